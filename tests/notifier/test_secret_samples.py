"""What Google's pages about Secret Manager show people to do, each with calls of our own: it goes as they say."""

from datetime import timedelta

import google_crc32c
import pytest
from google.api_core import exceptions
from google.cloud import secretmanager
from google.protobuf import duration_pb2, field_mask_pb2
from google.protobuf import timestamp_pb2 as stamps

from notifier.local.names import project_number


PROJECT = "projects/demo"
NUMBER = project_number("demo")


@pytest.fixture(params=["", "europe-west1"], ids=["global", "regional"])
def parent(request):
    return f"{PROJECT}/locations/{request.param}" if request.param else PROJECT


def made(client, parent, secret_id, **more):
    """A secret, as both kinds are created."""
    replication = {} if "locations" in parent else {"replication": {"automatic": {}}}
    return client.create_secret(request={"parent": parent, "secret_id": secret_id, "secret": {**replication, **more}})


def test_quickstart(client, parent):
    """Create a secret, add a version with its checksum, access it, and verify the checksum of what came."""
    secret = made(client, parent, "first")
    sent = b"hello world!"
    version = client.add_secret_version(
        request={"parent": secret.name, "payload": {"data": sent, "data_crc32c": google_crc32c.value(sent)}}
    )
    answer = client.access_secret_version(request={"name": version.name})

    assert sent == answer.payload.data
    assert google_crc32c.value(answer.payload.data) == answer.payload.data_crc32c
    assert secretmanager.SecretVersion.State.ENABLED == version.state
    assert f"{secret.name}/versions/1" == version.name


def test_names_of_the_client(client):
    """The client's own helpers for names are understood, and answers have the project's number."""
    made(client, PROJECT, "named")
    client.add_secret_version(parent=client.secret_path("demo", "named"), payload={"data": b"x"})
    version = client.get_secret_version(name=client.secret_version_path("demo", "named", "1"))

    assert client.secret_version_path(NUMBER, "named", "1") == version.name
    assert client.common_project_path("demo") == PROJECT


def test_edit_with_labels_annotations_and_aliases(client, parent):
    """An update changes what its mask names; an alias then stands for its version."""
    secret = made(client, parent, "edited", labels={"env": "dev"})
    for data in (b"one", b"two"):
        client.add_secret_version(parent=secret.name, payload={"data": data})
    change = secretmanager.Secret(name=secret.name, labels={"env": "prod"}, annotations={"owner": "me"})
    mask = field_mask_pb2.FieldMask(paths=["labels", "annotations"])
    edited = client.update_secret(request={"secret": change, "update_mask": mask})
    change = {"name": secret.name, "version_aliases": {"stable": 1}}
    client.update_secret(request={"secret": change, "update_mask": {"paths": ["version_aliases"]}})

    assert ({"env": "prod"}, {"owner": "me"}) == (dict(edited.labels), dict(edited.annotations))
    assert b"one" == client.access_secret_version(name=f"{secret.name}/versions/stable").payload.data
    assert b"two" == client.access_secret_version(name=f"{secret.name}/versions/latest").payload.data
    assert edited.name in [found.name for found in client.list_secrets({"parent": parent, "filter": "labels.env=prod"})]


def test_with_etags(client, parent):
    """Whoever gives the etag of what they read is refused where somebody changed it meanwhile."""
    read = made(client, parent, "etagged")
    client.update_secret(
        request={"secret": {"name": read.name, "labels": {"a": "b"}}, "update_mask": {"paths": ["labels"]}}
    )
    with pytest.raises(exceptions.FailedPrecondition):
        client.delete_secret(request={"name": read.name, "etag": read.etag})
    version = client.add_secret_version(parent=read.name, payload={"data": b"x"})
    disabled = client.disable_secret_version(request={"name": version.name, "etag": version.etag})
    enabled = client.enable_secret_version(request={"name": version.name, "etag": disabled.etag})
    client.destroy_secret_version(request={"name": version.name, "etag": enabled.etag})
    client.delete_secret(request={"name": read.name, "etag": client.get_secret(name=read.name).etag})

    with pytest.raises(exceptions.NotFound):
        client.get_secret(name=read.name)


def test_an_end_and_a_delay(cloud, client, parent):
    """A secret with a time to live goes; with a delay, a destroyed version is first disabled and can be taken back."""
    short = made(client, parent, "short", ttl=duration_pb2.Duration(seconds=900))
    slow = made(client, parent, "slow", version_destroy_ttl=timedelta(days=1))
    version = client.add_secret_version(parent=slow.name, payload={"data": b"x"})
    doomed = client.destroy_secret_version(name=version.name)
    assert secretmanager.SecretVersion.State.DISABLED == doomed.state
    assert doomed.scheduled_destroy_time
    client.enable_secret_version(name=version.name)
    cloud.advance(2 * 86400)

    assert b"x" == client.access_secret_version(name=version.name).payload.data
    with pytest.raises(exceptions.NotFound):
        client.get_secret(name=short.name)


def test_access_is_granted_and_revoked(client, parent):
    """A binding is added to a policy that was read, and taken out again: only who holds the role reads."""
    secret = made(client, parent, "shared")
    client.add_secret_version(parent=secret.name, payload={"data": b"x"})
    member, me = "user:you@demo.example", (("x-keyturn-caller", "user:you@demo.example"),)
    version = f"{secret.name}/versions/1"
    policy = client.get_iam_policy(request={"resource": secret.name})
    policy.bindings.add(role="roles/secretmanager.secretAccessor", members=[member])
    granted = client.set_iam_policy(request={"resource": secret.name, "policy": policy})
    assert b"x" == client.access_secret_version(name=version, metadata=me).payload.data
    del granted.bindings[:]
    client.set_iam_policy(request={"resource": secret.name, "policy": granted})

    with pytest.raises(exceptions.PermissionDenied):
        client.access_secret_version(name=version, metadata=me)


def test_rotation_is_scheduled(cloud, client, parent):
    """A secret with a schedule and a topic announces each rotation, and tells the next one."""
    topic = cloud.create_topic("rotations")
    cloud.subscriber().create_subscription(name=cloud.subscription("rotator"), topic=topic)
    begin = stamps.Timestamp(seconds=int(cloud.clock()) + 600)
    rotation = {"next_rotation_time": begin, "rotation_period": duration_pb2.Duration(seconds=86400)}
    secret = made(client, parent, "turning", topics=[{"name": topic}], rotation=rotation)
    cloud.advance(601)
    pulled = cloud.subscriber().pull(subscription=cloud.subscription("rotator"), max_messages=9)

    assert ["SECRET_CREATE", "SECRET_ROTATE", "TOPIC_CONFIGURED"] == sorted(
        got.message.attributes["eventType"] for got in pulled.received_messages
    )
    following = client.get_secret(name=secret.name).rotation.next_rotation_time
    assert begin.seconds + 86400 == int(following.timestamp())
