"""What happens to secrets of itself, on a clock that the test moves."""

import warnings

import pytest
from google.api_core import exceptions
from google.protobuf.field_mask_pb2 import FieldMask

from notifier.local.cloud import LocalCloud
from notifier.local.names import project_number


NUMBER = project_number("demo")
DAY = 86_400


@pytest.fixture
def cloud(wall):
    with LocalCloud(project="demo", wall=wall) as running:
        running.create_topic("news")
        running.subscriber().create_subscription(
            name=running.subscription("heard"), topic=running.topic("news"), ack_deadline_seconds=600
        )
        yield running


@pytest.fixture
def make(cloud, client):
    """Create the secret `db` with a topic and whatever else is asked for."""

    def make(**fields):
        secret = {"replication": {"automatic": {}}, "topics": [{"name": cloud.topic("news")}], **fields}
        return client.create_secret(parent="projects/demo", secret_id="db", secret=secret)

    return make


@pytest.fixture
def heard(cloud):
    """The attributes of the messages that came since the last call, oldest first."""

    def heard():
        with warnings.catch_warnings():
            # `return_immediately` is deprecated for what costs money; a test wants to know that nothing came.
            warnings.simplefilter("ignore", DeprecationWarning)
            answer = cloud.subscriber().pull(
                subscription=cloud.subscription("heard"), max_messages=100, return_immediately=True
            )
        # Leases end by the clock that the test moves.
        if ids := [got.ack_id for got in answer.received_messages]:
            cloud.subscriber().acknowledge(subscription=cloud.subscription("heard"), ack_ids=ids)
        return sorted(
            (dict(got.message.attributes) for got in answer.received_messages),
            key=lambda attributes: attributes.get("timestamp", ""),
        )

    return heard


def events(heard):
    return [attributes["eventType"] for attributes in heard()]


def test_a_secret_expires(cloud, client, make, heard, wall):
    """At its time a secret is gone with its versions, and its topics hear that it expired."""
    made = make(ttl={"seconds": DAY})
    cloud.add_version("db", b"one")
    cloud.advance(DAY - 1)
    assert b"one" == client.access_secret_version(name=f"{made.name}/versions/1").payload.data
    heard()

    cloud.advance(1)

    (message,) = heard()
    assert ("SECRET_DELETE", "EXPIRATION", made.name) == tuple(
        message[name] for name in ("eventType", "deleteType", "secretId")
    )
    with pytest.raises(exceptions.NotFound):
        client.get_secret(name=made.name)
    assert wall() + DAY == made.expire_time.timestamp()


def test_a_rotation_comes_with_the_next_time_already_told(cloud, client, make, heard, wall):
    """SECRET_ROTATE comes at each time; the secret tells the next one by then, and has another etag."""
    made = make(rotation={"next_rotation_time": {"seconds": int(wall()) + 600}, "rotation_period": {"seconds": DAY}})
    heard()
    cloud.advance(600 + 2 * DAY)

    assert ["SECRET_ROTATE"] * 3 == events(heard)
    secret = client.get_secret(name=made.name)
    assert int(wall()) + 600 + 3 * DAY == int(secret.rotation.next_rotation_time.timestamp())
    assert made.etag != secret.etag
    assert [] == list(client.list_secret_versions(parent=made.name))


def test_a_rotation_without_a_period_comes_once(cloud, client, make, heard, wall):
    """Without a period there is one rotation, and then none is planned."""
    made = make(rotation={"next_rotation_time": {"seconds": int(wall()) + 600}})
    heard()
    cloud.advance(10 * DAY)

    assert ["SECRET_ROTATE"] == events(heard)
    assert "rotation" not in client.get_secret(name=made.name)


def test_a_managed_rotation_adds_a_version(cloud, client, wall):
    """Where rotation is managed, each time that comes brings a version of its own."""
    secret = {
        "secret_type": "CLOUD_SQL_DB_CREDENTIALS",
        "rotation": {"next_rotation_time": {"seconds": int(wall()) + 600}, "rotation_period": {"seconds": DAY}},
    }
    made = client.create_secret(parent="projects/demo/locations/us-east1", secret_id="sql", secret=secret)
    credentials = {"instance_id": "demo:main", "username": "app"}
    client.enable_managed_rotation(parent=made.name, cloud_sql_single_user_credentials=credentials)

    cloud.advance(600 + DAY)

    assert 3 == len(list(client.list_secret_versions(parent=made.name)))


def test_a_delayed_end(cloud, client, make, heard):
    """A version that is destroyed with a delay is disabled, then destroyed; enabling it meanwhile saves it."""
    made = make(version_destroy_ttl={"seconds": DAY})
    for data in (b"one", b"two"):
        cloud.add_version("db", data)
    one, two = (f"{made.name}/versions/{number}" for number in (1, 2))
    state = type(client.get_secret_version(name=one)).State
    heard()

    doomed = client.destroy_secret_version(name=one)
    client.destroy_secret_version(name=two)
    saved = client.enable_secret_version(name=two)

    assert (state.DISABLED, state.ENABLED) == (doomed.state, saved.state)
    assert doomed.scheduled_destroy_time
    assert "scheduled_destroy_time" not in saved
    assert 2 == events(heard).count("SECRET_VERSION_DESTROY_SCHEDULED")
    cloud.advance(DAY)
    assert state.DESTROYED == client.get_secret_version(name=one).state
    assert b"two" == client.access_secret_version(name=two).payload.data
    assert ["SECRET_VERSION_DESTROY"] == events(heard)


def test_plans_can_be_changed(cloud, client, make, heard):
    """What is planned by an update replaces what was planned, and what it removes does not happen."""
    made = make(ttl={"seconds": 100})
    client.update_secret(secret={"name": made.name, "ttl": {"seconds": 500}}, update_mask=FieldMask(paths=["ttl"]))
    cloud.advance(200)
    client.update_secret(secret={"name": made.name}, update_mask=FieldMask(paths=["expire_time"]))
    heard()
    cloud.advance(10 * DAY)

    assert [] == heard()
    assert "expire_time" not in client.get_secret(name=made.name)


def test_it_happens_of_itself(cloud, make, heard, wall):
    """Without any call, a wall that was moved is noticed by the cloud."""
    make(ttl={"seconds": 100})
    heard()
    wall.now += 100
    answer = cloud.subscriber().pull(subscription=cloud.subscription("heard"), max_messages=1, timeout=5)

    assert "EXPIRATION" == answer.received_messages[0].message.attributes["deleteType"]


@pytest.mark.parametrize(
    "fields",
    [
        {"rotation": {"rotation_period": {"seconds": 3600}}},
        {"rotation": {"next_rotation_time": {"seconds": 1_790_917_413 + 299}}},
        {"rotation": {"next_rotation_time": {"seconds": 1_790_918_413}, "rotation_period": {"seconds": 3599}}},
        {"rotation": {"next_rotation_time": {"seconds": 1_790_918_413}}, "topics": []},
        {"expire_time": {"seconds": 1_790_917_413}},
        {"ttl": {}},
        {"version_destroy_ttl": {"seconds": 3600}},
        {"labels": {"Env": "x"}},
        {"labels": {"env": "X"}},
        {"annotations": {"-a": "x"}},
        {"annotations": {"a": "x" * 16 * 1024}},
        {"topics": [{"name": "news"}]},
        {"topics": [{"name": f"projects/demo/topics/news{n}"} for n in range(11)]},
        {"labels": {f"l{n}": "" for n in range(65)}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_cannot_be_planned_is_refused(make, fields):
    """Times, bounds and names that the documentation forbids are INVALID_ARGUMENT."""
    with pytest.raises(exceptions.InvalidArgument):
        make(**fields)
