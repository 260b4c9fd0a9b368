"""A local cloud with a directory: what outlives it."""

import resource

import pytest
from google.api_core import exceptions
from google.cloud.logging_v2.types import LogEntry
from google.iam.v1 import policy_pb2

from notifier.local.cloud import LocalCloud
from notifier.local.sqlite_journal import StoreUnusable


@pytest.fixture
def place(tmp_path):
    return tmp_path / "state"


def restarted(place, wall):
    return LocalCloud(project="demo", data=place, wall=wall)


def test_secrets_outlive_a_restart(place, wall):
    """Secrets, versions with values and states, aliases, policies and etags are as they were; numbers go on."""
    with restarted(place, wall) as cloud:
        client = cloud.secret_manager_client()
        cloud.create_topic("news")
        db = cloud.create_secret("db", b"one", topic="news")
        cloud.create_secret("sql", b"r", location="europe-west1")
        for data in (b"two", b"three", b"four"):
            cloud.add_version("db", data)
        cloud.secret_manager.set_aliases(db, {"live": 1})
        cloud.secret_manager.disable_version(db, 2)
        cloud.secret_manager.destroy_version(db, 3)
        policy = policy_pb2.Policy(bindings=[{"role": "roles/viewer", "members": ["user:a@b.example"]}])
        client.set_iam_policy(request={"resource": db, "policy": policy})
        gone = cloud.create_secret("gone", b"x")
        cloud.secret_manager.delete_secret(gone)
        before = told(client)
    with restarted(place, wall) as cloud:
        client = cloud.secret_manager_client()

        assert before == told(client)
        assert b"four" == client.access_secret_version(name=f"{db}/versions/latest").payload.data
        assert b"one" == client.access_secret_version(name=f"{db}/versions/live").payload.data
        with pytest.raises(exceptions.FailedPrecondition):
            client.access_secret_version(name=f"{db}/versions/2")
        assert 5 == cloud.add_version("db", b"five")
        assert 1 == cloud.add_version(cloud.create_secret("gone"), b"new life")


def told(client):
    """All that the Secret Manager tells."""
    secrets = [
        secret
        for parent in ("projects/demo", "projects/demo/locations/europe-west1")
        for secret in client.list_secrets(parent=parent)
    ]
    versions = [list(client.list_secret_versions(parent=secret.name)) for secret in secrets]
    return secrets, versions, [client.get_iam_policy(request={"resource": secret.name}) for secret in secrets]


def test_what_was_due_while_nothing_ran_happens_at_the_start(place, wall):
    """Rotations, expiries and delayed ends are announced when the cloud is up again."""
    with restarted(place, wall) as cloud:
        client = cloud.secret_manager_client()
        topic = cloud.create_topic("news")
        base = {"replication": {"automatic": {}}, "topics": [{"name": topic}]}
        client.create_secret(parent="projects/demo", secret_id="short", secret={**base, "ttl": {"seconds": 3600}})
        later = {"next_rotation_time": {"seconds": int(wall.now) + 3600}, "rotation_period": {"seconds": 7200}}
        client.create_secret(parent="projects/demo", secret_id="turning", secret={**base, "rotation": later})
        slow = client.create_secret(
            parent="projects/demo", secret_id="slow", secret={**base, "version_destroy_ttl": {"seconds": 86400}}
        ).name
        cloud.add_version("slow", b"x")
        cloud.secret_manager.destroy_version(slow, 1)
    wall.now += 3 * 86400
    with restarted(place, wall) as cloud:
        cloud.secret_manager.settle()
        client = cloud.secret_manager_client()

        assert {"turning", "slow"} == {
            secret.name.rpartition("/")[2] for secret in client.list_secrets(parent="projects/demo")
        }
        assert "DESTROYED" == client.get_secret_version(name=f"{slow}/versions/1").state.name
        assert client.get_secret(name=cloud.secret("turning")).rotation.next_rotation_time.timestamp() > wall.now
    with restarted(place, wall) as cloud:
        client = cloud.secret_manager_client()

        assert "DESTROYED" == client.get_secret_version(name=f"{slow}/versions/1").state.name
        assert 2 == len(list(client.list_secrets(parent="projects/demo")))


def test_managed_rotation_goes_on(place, wall):
    """A secret that rotates itself still knows whose password it is."""
    with restarted(place, wall) as cloud:
        client = cloud.secret_manager_client()
        sql = client.create_secret(
            parent="projects/demo/locations/us-east1",
            secret_id="sql",
            secret={"secret_type": "CLOUD_SQL_DB_CREDENTIALS"},
        ).name
        credentials = {"instance_id": "i", "username": "u", "password": "p"}
        client.enable_managed_rotation(parent=sql, cloud_sql_single_user_credentials=credentials)
    with restarted(place, wall) as cloud:
        client = cloud.secret_manager_client()
        client.rotate_secret(parent=sql)

        assert b'"username": "u"' in client.access_secret_version(name=f"{sql}/versions/2").payload.data


def test_logs_outlive_a_restart(place, wall):
    """Log entries of all kinds are there, in their order, with those that come after."""
    with restarted(place, wall) as cloud:
        cloud.create_secret("db", b"one")
        cloud.logging.take_lines(['{"message": "a"}', "b"], service="api")
    with restarted(place, wall) as cloud:
        cloud.logging.take_lines(["c"], service="api")
        found = list(cloud.logging_client().list_log_entries(resource_names=["projects/demo"]))
        printed = [entry for entry in found if entry.log_name.endswith("stdout")]

    assert 2 == len(found) - len(printed)
    assert [{"message": "a"}, "b", "c"] == [
        entry.text_payload or LogEntry.to_dict(entry)["json_payload"] for entry in printed
    ]


def test_a_directory_that_cannot_be_used(place, wall):
    """A cloud whose directory is taken does not start, and nothing of it is left."""
    with restarted(place, wall), pytest.raises(StoreUnusable):
        restarted(place, wall).start()


def test_a_full_disk(place, wall):
    """A change that finds no room is refused with UNAVAILABLE; reading goes on, and nothing acknowledged is lost."""
    kept = []

    def fill(client, db):
        for number in range(20):
            data = bytes([number]) * 60_000
            kept.append((client.add_secret_version(parent=db, payload={"data": data}).name, data))

    with restarted(place, wall) as cloud:
        client = cloud.secret_manager_client()
        db = cloud.create_secret("db", topic="news")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        try:
            with pytest.raises(exceptions.ServiceUnavailable, match="The change could not be kept"):
                fill(client, db)
            assert client.get_secret(name=db)
            assert 1 == len(list(cloud.publisher().list_topics(project="projects/demo", retry=None, timeout=5)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        full = len(kept)
        fill(client, db)
    with restarted(place, wall) as cloud:
        client = cloud.secret_manager_client()

        assert 0 < full < len(kept)
        assert kept == [(name, client.access_secret_version(name=name).payload.data) for name, _ in kept]
