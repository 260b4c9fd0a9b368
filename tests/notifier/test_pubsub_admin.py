"""What becomes of topics, subscriptions and snapshots over time and by change, through the official clients."""

import contextlib
import json
import threading
from datetime import timedelta

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1.types import pubsub
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.local.clocks import utc
from notifier.local.cloud import LocalCloud
from notifier.local.rest_routes import Routes, read
from notifier.local.rpc import Caller, Refusal


PROJECT = "projects/demo"
TOPIC = f"{PROJECT}/topics/news"
SUBSCRIPTION = f"{PROJECT}/subscriptions/reader"
SNAPSHOT = f"{PROJECT}/snapshots/then"


@pytest.fixture
def publisher(cloud):
    made = cloud.publisher()
    made.create_topic(name=TOPIC)
    return made


@pytest.fixture
def subscriber(cloud, publisher):
    made = cloud.subscriber()
    made.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    return made


def pull(subscriber, name=SUBSCRIPTION):
    received = subscriber.pull(subscription=name, max_messages=10, timeout=5).received_messages
    return [one.message.data for one in received]


def test_a_topic_retains(cloud, publisher):
    """What a topic retains, for 31 days at most, a newborn subscription can be sought back over."""
    change = {"name": TOPIC, "message_retention_duration": timedelta(days=31)}
    publisher.update_topic(topic=change, update_mask={"paths": ["message_retention_duration"]})
    publisher.publish(TOPIC, b"old").result()
    cloud.advance(20 * 86400)
    publisher.publish(TOPIC, b"new").result()
    cloud.advance(10 * 86400)
    subscriber = cloud.subscriber()
    made = subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    long_ago = {"seconds": 1}

    assert 31 == made.topic_message_retention_duration.days
    subscriber.seek(request={"subscription": SUBSCRIPTION, "time": long_ago})
    assert [b"old", b"new"] == pull(subscriber)
    cloud.advance(5 * 86400)
    subscriber.seek(request={"subscription": SUBSCRIPTION, "time": long_ago})
    assert [b"new"] == pull(subscriber)
    change = {"name": TOPIC}
    publisher.update_topic(topic=change, update_mask={"paths": ["message_retention_duration"]})
    assert not subscriber.get_subscription(subscription=SUBSCRIPTION).topic_message_retention_duration
    with pytest.raises(exceptions.InvalidArgument, match="31 days"):
        publisher.create_topic(request={"name": f"{TOPIC}2", "message_retention_duration": timedelta(days=32)})


def test_unused_subscriptions_expire(cloud, publisher, subscriber):
    """A subscription that nobody uses is deleted after its time; one that is pulled or never expires is not."""
    for name, policy in (("used", {"ttl": timedelta(days=1)}), ("unused", {"ttl": timedelta(days=1)}), ("ever", {})):
        subscriber.create_subscription(
            request={"name": f"{PROJECT}/subscriptions/{name}", "topic": TOPIC, "expiration_policy": policy}
        )
    cloud.advance(0.9 * 86400)
    publisher.publish(TOPIC, b"x").result()
    pull(subscriber, f"{PROJECT}/subscriptions/used")
    cloud.advance(0.2 * 86400)
    there = {one.name.rpartition("/")[2] for one in subscriber.list_subscriptions(project=PROJECT)}
    assert {"reader", "used", "ever"} == there
    cloud.advance(40 * 86400)

    assert [f"{PROJECT}/subscriptions/ever"] == list(publisher.list_topic_subscriptions(topic=TOPIC))


def test_detached(cloud, publisher, subscriber):
    """A detached subscription gets nothing, holds nothing, is not pulled and stands no longer by its topic."""
    publisher.publish(TOPIC, b"x").result()
    publisher.detach_subscription(request={"subscription": SUBSCRIPTION})
    publisher.publish(TOPIC, b"y").result()

    assert subscriber.get_subscription(subscription=SUBSCRIPTION).detached
    assert 0 == cloud.pubsub.undelivered(SUBSCRIPTION)
    assert [] == list(publisher.list_topic_subscriptions(topic=TOPIC))
    for call in (
        lambda: subscriber.pull(subscription=SUBSCRIPTION, max_messages=1),
        lambda: subscriber.create_snapshot(name=SNAPSHOT, subscription=SUBSCRIPTION),
    ):
        with pytest.raises(exceptions.FailedPrecondition):
            call()


def test_detaching_ends_what_waits(publisher, subscriber):
    """A stream that waits ends with an error as soon as its subscription is detached."""
    over = threading.Event()

    def requests():
        yield pubsub.StreamingPullRequest(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=10)
        over.wait(10)

    stream = subscriber.streaming_pull(requests=requests(), timeout=20)
    publisher.publish(TOPIC, b"x").result()
    assert next(iter(stream)).received_messages
    publisher.detach_subscription(request={"subscription": SUBSCRIPTION})

    with pytest.raises(exceptions.FailedPrecondition, match="detached"):
        next(iter(stream))
    over.set()


def test_snapshots_end(cloud, publisher, subscriber):
    """A snapshot lives for a week less the age of its oldest message, or until the moment that it is told."""
    publisher.publish(TOPIC, b"x").result()
    cloud.advance(86400)
    made = subscriber.create_snapshot(name=SNAPSHOT, subscription=SUBSCRIPTION)
    assert timedelta(days=5.9) < made.expire_time - cloud_now(cloud) < timedelta(days=6.1)
    with pytest.raises(exceptions.AlreadyExists):
        subscriber.create_snapshot(name=SNAPSHOT, subscription=SUBSCRIPTION)
    cloud.advance(5.999 * 86400)
    with pytest.raises(exceptions.FailedPrecondition, match="an hour"):
        subscriber.create_snapshot(name=f"{SNAPSHOT}2", subscription=SUBSCRIPTION)
    cloud.advance(86400)

    with pytest.raises(exceptions.NotFound):
        subscriber.get_snapshot(snapshot=SNAPSHOT)
    assert [] == list(subscriber.list_snapshots(project=PROJECT))
    subscriber.create_snapshot(name=SNAPSHOT, subscription=SUBSCRIPTION)
    soon = {"name": SNAPSHOT, "expire_time": cloud_now(cloud) + timedelta(hours=2)}
    subscriber.update_snapshot(snapshot=soon, update_mask={"paths": ["expire_time"]})
    cloud.advance(3 * 3600)
    with pytest.raises(exceptions.NotFound):
        subscriber.seek(request={"subscription": SUBSCRIPTION, "snapshot": SNAPSHOT})


def cloud_now(cloud):
    return utc(cloud.clock())


def test_a_snapshot_of_another_topic(cloud, publisher, subscriber):
    """A subscription is sought to snapshots of its own topic only."""
    publisher.create_topic(name=f"{TOPIC}2")
    subscriber.create_subscription(name=f"{SUBSCRIPTION}2", topic=f"{TOPIC}2")
    subscriber.create_snapshot(name=SNAPSHOT, subscription=SUBSCRIPTION)

    with pytest.raises(exceptions.InvalidArgument, match="another topic"):
        subscriber.seek(request={"subscription": f"{SUBSCRIPTION}2", "snapshot": SNAPSHOT})
    with pytest.raises(exceptions.InvalidArgument, match="time or a snapshot"):
        subscriber.seek(request={"subscription": SUBSCRIPTION})


def test_retries_follow_the_clock(cloud, publisher):
    """A refused message waits as its retry policy says, in the time of the cloud."""
    subscriber = cloud.subscriber()
    policy = {"minimum_backoff": {"seconds": 600}, "maximum_backoff": {"seconds": 600}}
    subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC, "retry_policy": policy})
    publisher.publish(TOPIC, b"x").result()
    (received,) = subscriber.pull(subscription=SUBSCRIPTION, max_messages=1).received_messages
    subscriber.modify_ack_deadline(subscription=SUBSCRIPTION, ack_ids=[received.ack_id], ack_deadline_seconds=0)
    backlog = cloud.pubsub._broker.subscription(SUBSCRIPTION).backlog
    with backlog.changed:
        assert 500 < backlog.due_in() <= 600
    cloud.advance(600)

    assert [b"x"] == pull(subscriber)


def test_policies(cloud, publisher, subscriber):
    """A policy is kept with its resource, guarded by its etag, and goes with it."""
    for client, name in ((publisher, TOPIC), (subscriber, SUBSCRIPTION)):
        policy = client.get_iam_policy(request={"resource": name})
        assert (b"\x00\x20\x01", 0) == (policy.etag, len(policy.bindings))
        policy.bindings.add(role="roles/pubsub.viewer", members=["user:a@b.example"])
        held = client.set_iam_policy(request={"resource": name, "policy": policy})
        assert held == client.get_iam_policy(request={"resource": name})
        with pytest.raises(exceptions.Aborted):
            client.set_iam_policy(request={"resource": name, "policy": policy})
        asked = {"resource": name, "permissions": ["pubsub.topics.get"]}
        assert ["pubsub.topics.get"] == list(client.test_iam_permissions(request=asked).permissions)
        asked["resource"] = f"{name}2"
        assert [] == list(client.test_iam_permissions(request=asked).permissions)
    subscriber.delete_subscription(subscription=SUBSCRIPTION)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_iam_policy(request={"resource": SUBSCRIPTION})
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)

    assert not subscriber.get_iam_policy(request={"resource": SUBSCRIPTION}).bindings


@pytest.mark.parametrize(
    ("field", "value"),
    [("topic", TOPIC), ("filter", "x"), ("enable_message_ordering", True), ("nothing", None), ("", None)],
)
def test_what_cannot_be_changed(subscriber, field, value):
    """What a subscription is for ever, or what is no field of it, is refused by its mask."""
    change = {"name": SUBSCRIPTION, **({} if value is None else {field: value})}
    with pytest.raises(exceptions.InvalidArgument):
        subscriber.update_subscription(subscription=change, update_mask={"paths": [field]})
    for change in ({"ack_deadline_seconds": 5}, {"push_config": {"push_endpoint": "ftp://x"}}):
        with pytest.raises(exceptions.InvalidArgument):
            subscriber.update_subscription(
                subscription={"name": SUBSCRIPTION, **change}, update_mask={"paths": list(change)}
            )

    assert 10 == subscriber.get_subscription(subscription=SUBSCRIPTION).ack_deadline_seconds


@pytest.fixture(scope="module")
def attacked():
    """A cloud with one of each, for requests of any form."""
    with LocalCloud(project="demo") as cloud:
        cloud.publisher().create_topic(name=TOPIC)
        subscriber = cloud.subscriber()
        subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        subscriber.create_snapshot(name=SNAPSHOT, subscription=SUBSCRIPTION)
        yield cloud


@pytest.mark.parametrize(("seconds", "nanos"), [(2**62, 0), (-(2**62), 0), (-1, 0), (172_800, -5), (172_800, 10**9)])
@pytest.mark.parametrize(
    "path",
    [
        ("message_retention_duration",),
        ("retry_policy", "minimum_backoff"),
        ("retry_policy", "maximum_backoff"),
        ("expiration_policy", "ttl"),
    ],
    ids="/".join,
)
def test_times_beyond_all_bounds(attacked, path, seconds, nanos):
    """A duration that no calendar holds, or that is none, is refused: neither REST nor the journal could tell it."""
    request = pubsub.Subscription.pb()(name=f"{SUBSCRIPTION}-x", topic=TOPIC)
    field = request
    for name in path:
        field = getattr(field, name)
    field.seconds, field.nanos = seconds, nanos
    with pytest.raises(Refusal) as refused:
        attacked.pubsub._methods["CreateSubscription"].call(request, Caller())

    assert grpc.StatusCode.INVALID_ARGUMENT is refused.value.code


def test_numbers_beyond_all_bounds(attacked):
    """A page token or an ack id of any length is refused, or passed over."""
    subscriber = attacked.subscriber()
    endless = "9" * 10_000
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[endless, f"{endless}-1", f"1-{endless}"])
    with pytest.raises(exceptions.InvalidArgument):
        subscriber.list_subscriptions(request={"project": PROJECT, "page_token": endless})


NAMES = st.sampled_from([TOPIC, SUBSCRIPTION, SNAPSHOT, PROJECT, "", "projects/demo/topics/x", "news", "\x00/é"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAMES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=100)
@given(data=st.data())
def test_no_request_is_answered_with_a_traceback(attacked, data):
    """Whatever a request's fields hold, by gRPC or as JSON, it is answered or refused with a status."""
    methods = attacked.pubsub._methods
    name = data.draw(st.sampled_from(sorted(set(methods) - {"Pull"})))
    request = methods[name].request()
    for field in request.DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING and not field.is_repeated and data.draw(st.booleans()):
            setattr(request, field.name, data.draw(NAMES).replace("\x00", ""))
    junk = data.draw(st.binary(max_size=20))
    try:
        request.MergeFromString(junk)
    except Exception:  # noqa: BLE001 - what is no message of this type never reaches a method
        return
    with contextlib.suppress(Refusal):
        methods[name].call(request, Caller())


TARGETS = [("PUT", TOPIC), ("PATCH", TOPIC), ("PUT", SUBSCRIPTION), ("PATCH", SUBSCRIPTION), ("PUT", SNAPSHOT)]


@settings(max_examples=100)
@given(data=st.data())
def test_no_json_is_answered_with_a_traceback(attacked, data):
    """A body of any form becomes a request, or is refused."""
    routes: Routes = attacked.pubsub._routes
    verb, path = data.draw(st.sampled_from(TARGETS))
    rpc, name = routes.find(verb, f"/v1/{path}")
    field = st.sampled_from([one.json_name for one in rpc.request.DESCRIPTOR.fields])
    body = data.draw(st.dictionaries(field, JSON, max_size=3).map(lambda told: json.dumps(told).encode()) | st.binary())
    query = data.draw(st.text(max_size=10))
    try:
        asked = read(rpc, name, f"/v1/{path}?{query}", body)
        attacked.pubsub._methods[rpc.name].call(asked.request, Caller())
    except Refusal:
        pass
