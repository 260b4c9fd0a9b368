"""The local Secret Manager, through the official client."""

import google_crc32c
import pytest
from google.api_core import exceptions
from google.cloud import secretmanager
from google.cloud.secretmanager_v1 import CreateSecretRequest
from google.protobuf.field_mask_pb2 import FieldMask

from notifier.local.names import project_number


AUTOMATIC = {"replication": {"automatic": {}}}
NUMBER = project_number("demo")


@pytest.fixture(params=["projects/demo", "projects/demo/locations/europe-west4"], ids=["global", "regional"])
def parent(request):
    return request.param


@pytest.fixture
def db(client, parent):
    """A secret with three versions: one, two, three."""
    secret = {} if "locations" in parent else AUTOMATIC
    made = client.create_secret(parent=parent, secret_id="db", secret=secret)
    for data in (b"one", b"two", b"three"):
        client.add_secret_version(parent=f"{parent}/secrets/db", payload={"data": data})
    return made


def by_id(name):
    return name.replace(NUMBER, "demo")


def test_answers_say_the_number(client, db, parent):
    """Requests may say the project's id or number, and answers say the number, globally and regionally."""
    name = f"{parent}/secrets/db".replace("demo", NUMBER)

    assert name == db.name
    assert name == client.get_secret(name=by_id(name)).name
    assert name == client.get_secret(name=name).name
    assert f"{name}/versions/3" == client.access_secret_version(name=f"{by_id(name)}/versions/latest").name


def test_projects_and_places_are_apart(client, cloud):
    """One short name is another secret in each project and location."""
    parents = ["projects/demo", "projects/other", "projects/demo/locations/us-east1"]
    for parent in parents:
        cloud.create_secret(f"{parent}/secrets/db", parent.encode())

    served = [client.access_secret_version(name=f"{parent}/secrets/db/versions/1").payload.data for parent in parents]

    assert [parent.encode() for parent in parents] == served
    assert project_number("demo") != project_number("other")
    assert [1, 1, 1] == [len(list(client.list_secrets(parent=parent))) for parent in parents]


def test_access_by_number_latest_and_alias(client, db):
    """A version is read by its number, as `latest` and by an alias, with its checksum each time."""
    client.update_secret(
        secret={"name": db.name, "version_aliases": {"blue": 2}}, update_mask=FieldMask(paths=["version_aliases"])
    )

    served = {
        asked: client.access_secret_version(name=f"{db.name}/versions/{asked}") for asked in ("1", "latest", "blue")
    }

    assert {"1": b"one", "latest": b"three", "blue": b"two"} == {
        asked: answer.payload.data for asked, answer in served.items()
    }
    for answer in served.values():
        assert google_crc32c.value(answer.payload.data) == answer.payload.data_crc32c
    assert f"{db.name}/versions/2" == client.get_secret_version(name=f"{db.name}/versions/blue").name


@pytest.mark.parametrize(("call", "state"), [("disable", "DISABLED"), ("destroy", "DESTROYED")])
def test_unusable_latest_is_refused(client, db, call, state):
    """`latest` is the version created last, whatever its state: it does not fall back to a usable one."""
    getattr(client, f"{call}_secret_version")(name=f"{db.name}/versions/3")

    with pytest.raises(exceptions.FailedPrecondition) as refused:
        client.access_secret_version(name=f"{db.name}/versions/latest")

    assert f"Secret Version [{db.name}/versions/3] is in {state} state." == refused.value.message


def test_states_of_a_version(client, db):
    """Enabling and disabling may be repeated, destroying may not, and a destroyed version stays so."""
    name = f"{db.name}/versions/2"
    state = secretmanager.SecretVersion.State

    assert state.DISABLED == client.disable_secret_version(name=name).state
    assert state.DISABLED == client.disable_secret_version(name=name).state
    assert state.ENABLED == client.enable_secret_version(name=name).state
    assert b"two" == client.access_secret_version(name=name).payload.data
    destroyed = client.destroy_secret_version(name=name)
    assert state.DESTROYED == destroyed.state
    assert destroyed.destroy_time
    for call in (client.destroy_secret_version, client.enable_secret_version):
        with pytest.raises(exceptions.FailedPrecondition):
            call(name=name)
    with pytest.raises(exceptions.InvalidArgument):
        client.disable_secret_version(name=f"{db.name}/versions/latest")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("none/versions/1", "Secret [{}/none] not found or has no versions."),
        ("empty/versions/latest", "Secret [{}/empty] not found or has no versions."),
        ("one/versions/2", "Secret Version [{}/one/versions/2] not found."),
        ("one/versions/blue", "Secret Version [{}/one/versions/blue] not found."),
    ],
    ids=["no secret", "no versions", "no such number", "no such alias"],
)
def test_missing(cloud, client, asked, message):
    """What does not exist is NOT_FOUND, told with the project's number."""
    cloud.create_secret("empty")
    cloud.create_secret("one", b"x")

    with pytest.raises(exceptions.NotFound) as refused:
        client.access_secret_version(name=f"projects/demo/secrets/{asked}")

    assert message.format(f"projects/{NUMBER}/secrets") == refused.value.message


@pytest.mark.parametrize(
    ("field", "seconds", "nanos"),
    [("ttl", 3600, -1), ("ttl", 2**62, 0), ("expire_time", 2**40, 0), ("create_time", 1, -1)],
)
def test_what_json_cannot_tell_is_refused(client, field, seconds, nanos):
    """A time or a length that is none has a status as other mistakes have, though only the audit log writes it."""
    request = CreateSecretRequest.pb()(parent="projects/demo", secret_id="odd")
    request.secret.replication.automatic.SetInParent()
    told = getattr(request.secret, field)
    told.seconds, told.nanos = seconds, nanos
    with pytest.raises(exceptions.InvalidArgument, match="is not valid"):
        client.create_secret(request=CreateSecretRequest.wrap(request))

    assert [] == list(client.list_secrets(parent="projects/demo"))


@pytest.mark.parametrize(
    "payload",
    [{"data": b"x", "data_crc32c": 1}, {"data": b"x" * (64 * 1024 + 1)}, {"data": b""}],
    ids=["checksum", "too large", "empty"],
)
def test_bad_payloads_add_nothing(client, db, payload):
    """A value that is empty, too large or does not match its checksum is refused."""
    with pytest.raises(exceptions.InvalidArgument):
        client.add_secret_version(parent=db.name, payload=payload)

    assert 3 == len(list(client.list_secret_versions(parent=db.name)))


def test_largest_payload_with_its_checksum(client, db):
    """64 KiB with the right checksum are taken."""
    data = b"x" * (64 * 1024)

    added = client.add_secret_version(parent=db.name, payload={"data": data, "data_crc32c": google_crc32c.value(data)})

    assert added.client_specified_payload_checksum
    assert data == client.access_secret_version(name=added.name).payload.data


def test_wrong_etags_are_refused(client, db):
    """An etag that is not the current one changes nothing; each change makes a new one."""
    version = client.get_secret_version(name=f"{db.name}/versions/1")
    moved = client.disable_secret_version(request={"name": version.name, "etag": version.etag})

    assert version.etag != moved.etag
    for call, request in [
        (client.enable_secret_version, {"name": version.name, "etag": version.etag}),
        (client.delete_secret, {"name": db.name, "etag": '"0"'}),
        (
            client.update_secret,
            {"secret": {"name": db.name, "etag": '"0"'}, "update_mask": FieldMask(paths=["labels"])},
        ),
    ]:
        with pytest.raises(exceptions.FailedPrecondition):
            call(request=request)
    assert db.etag == client.get_secret(name=db.name).etag


def test_update_replaces_what_the_mask_names(client, db):
    """Labels and annotations in the mask are replaced, and nothing else is."""
    client.update_secret(
        secret={"name": db.name, "labels": {"a": "1"}, "annotations": {"b": "2"}},
        update_mask=FieldMask(paths=["labels", "annotations"]),
    )
    secret = client.update_secret(
        secret={"name": db.name, "labels": {"c": "3"}}, update_mask=FieldMask(paths=["labels"])
    )

    assert ({"c": "3"}, {"b": "2"}) == (dict(secret.labels), dict(secret.annotations))


@pytest.mark.parametrize(
    ("secret", "paths", "error"),
    [
        ({"version_aliases": {"latest": 1}}, ["version_aliases"], exceptions.InvalidArgument),
        ({"version_aliases": {"blue": 9}}, ["version_aliases"], exceptions.InvalidArgument),
        ({"replication": {"automatic": {}}}, ["replication"], exceptions.InvalidArgument),
        ({}, [], exceptions.InvalidArgument),
        ({"topics": [{"name": "projects/demo/topics/none"}]}, ["topics"], exceptions.NotFound),
        ({}, ["customer_managed_encryption"], exceptions.MethodNotImplemented),
    ],
    ids=["reserved alias", "alias of nothing", "immutable", "no mask", "no topic", "not here"],
)
def test_bad_updates_change_nothing(client, db, secret, paths, error):
    """An update that cannot be is refused whole."""
    with pytest.raises(error):
        client.update_secret(secret={"name": db.name, **secret}, update_mask=FieldMask(paths=paths))

    assert db.etag == client.get_secret(name=db.name).etag


@pytest.mark.parametrize(
    ("parent", "secret_id", "secret", "error"),
    [
        ("projects/demo", "one", AUTOMATIC, exceptions.AlreadyExists),
        ("projects/demo", "a/b", AUTOMATIC, exceptions.InvalidArgument),
        ("projects/demo", "two", {}, exceptions.InvalidArgument),
        ("projects/demo/locations/us-east1", "two", AUTOMATIC, exceptions.InvalidArgument),
        ("demo", "two", AUTOMATIC, exceptions.InvalidArgument),
        (
            "projects/demo",
            "two",
            {"replication": {"automatic": {"customer_managed_encryption": {"kms_key_name": "k"}}}},
            exceptions.MethodNotImplemented,
        ),
        (
            "projects/demo",
            "two",
            {**AUTOMATIC, "topics": [{"name": "projects/demo/topics/none"}]},
            exceptions.NotFound,
        ),
    ],
    ids=["exists", "id", "no replication", "regional replication", "parent", "not here", "no topic"],
)
def test_bad_secrets_are_not_created(cloud, client, parent, secret_id, secret, error):
    """A secret that cannot be is refused, and what this Secret Manager does not do is refused by name."""
    cloud.create_secret("one")

    with pytest.raises(error):
        client.create_secret(parent=parent, secret_id=secret_id, secret=secret)

    assert [f"projects/{NUMBER}/secrets/one"] == [s.name for s in client.list_secrets(parent="projects/demo")]


def test_lists_come_in_pages_newest_first(client, db):
    """Versions are listed newest first, in pages of the size asked for, without their values."""
    pages = list(client.list_secret_versions(request={"parent": db.name, "page_size": 2}).pages)

    assert [["3", "2"], ["1"]] == [[v.name[-1] for v in page.versions] for page in pages]
    assert 3 == pages[0].total_size


def test_deleted_and_created_again(cloud, client, db):
    """A deleted secret is gone with its versions, and a new one of its name counts from 1 again."""
    client.delete_secret(name=db.name)

    with pytest.raises(exceptions.NotFound):
        client.access_secret_version(name=f"{db.name}/versions/1")
    cloud.create_secret(db.name, b"new")
    assert b"new" == client.access_secret_version(name=f"{db.name}/versions/1").payload.data
    with pytest.raises(exceptions.NotFound):
        client.access_secret_version(name=f"{db.name}/versions/2")
