"""One contract for two servers: this Pub/Sub and, where it is installed, Google's emulator.

Everything goes through the official clients. What both do stands first; what one does otherwise stands in a table, and
each row of it is tested on both sides as what it is there.
"""

import base64
import queue
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.scheduler import ThreadScheduler
from google.pubsub_v1 import PublisherClient

from benchmarks import emulator
from notifier.local.clients import Clients
from notifier.local.cloud import LocalCloud
from tests.notifier.conftest import Endpoint


PROJECT = "projects/demo"
OURS, EMULATOR = "ours", "emulator"
SIDES = [OURS, pytest.param(EMULATOR, marks=pytest.mark.emulator)]


@pytest.fixture(scope="module", params=SIDES)
def side(request):
    return request.param


@pytest.fixture(scope="module")
def host(side):
    """Where the server listens, once for all tests: each has topics of its own."""
    if side == OURS:
        with LocalCloud(project="demo") as cloud:
            yield cloud.pubsub.host
        return
    jar = emulator.find()
    if jar is None:
        pytest.skip("Google's Pub/Sub emulator (google-cloud-cli-pubsub-emulator, and Java) is not installed")
    with emulator.running(jar, "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1") as (address, _):
        yield address


@pytest.fixture(scope="module")
def clients(host):
    made = Clients()
    yield made.publisher(host), made.subscriber(host)
    made.close()


class Pair:
    """A topic and its subscription, through the official clients."""

    def __init__(self, clients):
        self.publisher, self.subscriber = clients
        self.name = f"t{uuid.uuid4().hex[:12]}"
        self.topic = f"{PROJECT}/topics/{self.name}"
        self.subscription = f"{PROJECT}/subscriptions/{self.name}"
        self.publisher.create_topic(name=self.topic)

    def subscribe(self, name="", **more):
        return self.subscriber.create_subscription(
            request={"name": f"{self.subscription}{name}", "topic": self.topic, **more}
        )

    def publish(self, *data, **attributes):
        return [self.publisher.publish(self.topic, one, **attributes).result(5) for one in data]

    def pull(self, count=1, name=""):
        """Messages until there are so many, in the order in which they came."""
        got = []
        while len(got) < count:
            answer = self.subscriber.pull(subscription=f"{self.subscription}{name}", max_messages=10, timeout=10)
            got += answer.received_messages
        return got

    def at_once(self):
        """The messages that are there now."""
        with pytest.warns(DeprecationWarning, match="return_immediately"):
            answer = self.subscriber.pull(subscription=self.subscription, max_messages=10, return_immediately=True)
        return list(answer.received_messages)

    def acknowledge(self, *received):
        self.subscriber.acknowledge(subscription=self.subscription, ack_ids=[one.ack_id for one in received])

    def hand_back(self, received):
        self.subscriber.modify_ack_deadline(
            subscription=self.subscription, ack_ids=[received.ack_id], ack_deadline_seconds=0
        )

    def seek(self, target):
        field = "snapshot" if isinstance(target, str) else "time"
        self.subscriber.seek(request={"subscription": self.subscription, field: target})


@pytest.fixture
def pair(clients):
    return Pair(clients)


def data(received):
    return [one.message.data for one in received]


def refused(call, *arguments, **more):
    """The name of the error that a call ends in, "" where it succeeds."""
    try:
        call(*arguments, **more)
    except exceptions.GoogleAPICallError as exc:
        return type(exc).__name__
    return ""


# What both do.


def test_topics(pair):
    """Topics are made once, described, listed and deleted; what is not there is not found."""
    publisher, topic = pair.publisher, pair.topic
    assert topic == publisher.get_topic(topic=topic).name
    assert topic in {one.name for one in publisher.list_topics(project=PROJECT)}
    assert "AlreadyExists" == refused(publisher.create_topic, name=topic)
    assert "InvalidArgument" == refused(publisher.create_topic, name=f"{PROJECT}/topics/ab")
    pair.subscribe()
    assert [pair.subscription] == list(publisher.list_topic_subscriptions(topic=topic))
    publisher.delete_topic(topic=topic)

    assert "NotFound" == refused(publisher.get_topic, topic=topic)
    assert "NotFound" == refused(publisher.delete_topic, topic=topic)
    assert "_deleted-topic_" == pair.subscriber.get_subscription(subscription=pair.subscription).topic


def test_subscriptions(pair):
    """Subscriptions are made once, completed with defaults, changed by a mask, listed and deleted."""
    subscriber, name = pair.subscriber, pair.subscription
    made = pair.subscribe()
    assert (10, 7) == (made.ack_deadline_seconds, made.message_retention_duration.days)
    assert "AlreadyExists" == refused(pair.subscribe)
    assert "NotFound" == refused(subscriber.create_subscription, name=f"{name}2", topic=f"{pair.topic}2")
    assert "InvalidArgument" == refused(pair.subscribe, "-long", ack_deadline_seconds=601)
    assert "OutOfRange" == refused(
        pair.subscribe, "-dead", dead_letter_policy={"dead_letter_topic": pair.topic, "max_delivery_attempts": 4}
    )
    change = {"name": name, "ack_deadline_seconds": 60, "topic": "nonsense"}
    changed = subscriber.update_subscription(subscription=change, update_mask={"paths": ["ack_deadline_seconds"]})
    assert (60, pair.topic) == (changed.ack_deadline_seconds, changed.topic)
    assert changed == subscriber.get_subscription(subscription=name)
    assert name in {one.name for one in subscriber.list_subscriptions(project=PROJECT)}
    subscriber.delete_subscription(subscription=name)

    assert "NotFound" == refused(subscriber.get_subscription, subscription=name)


def test_publish_and_pull(pair):
    """Each subscription gets what is published after it was made, as it was published, until it is acknowledged."""
    pair.subscribe("-early")
    pair.publish(b"before")
    pair.subscribe()
    (sent,) = pair.publish("grüße".encode(), colour="blå")
    (received,) = pair.pull()
    assert ("grüße".encode(), {"colour": "blå"}, sent) == (
        received.message.data,
        dict(received.message.attributes),
        received.message.message_id,
    )
    assert abs(datetime.now(UTC) - received.message.publish_time) < timedelta(minutes=1)
    pair.acknowledge(received)
    pair.publish(b"next")

    assert [b"next"] == data(pair.pull())
    assert {b"before", "grüße".encode(), b"next"} == set(data(pair.pull(3, "-early")))


def test_what_cannot_be_published(pair):
    """An empty message is refused, and so is one for a topic that is not there."""
    assert "InvalidArgument" == refused(lambda: pair.publisher.publish(pair.topic, b"").result(5))
    assert "NotFound" == refused(lambda: pair.publisher.publish(f"{pair.topic}2", b"x").result(5))


def test_handed_back(pair):
    """A message whose deadline is set to nothing comes again, under another ack id."""
    pair.subscribe()
    pair.publish(b"x")
    (first,) = pair.pull()
    pair.hand_back(first)
    (second,) = pair.pull()

    assert first.message == second.message
    assert first.ack_id != second.ack_id


def test_streaming_pull(pair):
    """A stream hands over what is published, each message once while it is leased."""
    pair.subscribe()
    came, scheduler = queue.Queue(), ThreadScheduler()
    future = pair.subscriber.subscribe(pair.subscription, came.put, scheduler=scheduler)
    try:
        pair.publish(*(str(number).encode() for number in range(10)))
        got = [came.get(timeout=10) for _ in range(10)]
        for message in got:
            message.ack()
    finally:
        future.cancel()
        future.result(10)
        scheduler._executor.shutdown()

    assert {str(number).encode() for number in range(10)} == {message.data for message in got}
    assert came.empty()


def test_ordering(pair):
    """Messages of one ordering key are pulled in their order."""
    pair.subscribe(enable_message_ordering=True)
    messages = [{"data": str(number).encode(), "ordering_key": "ab"[number % 2]} for number in range(10)]
    # The publisher that batches nothing: one request with all of them.
    PublisherClient.publish(pair.publisher, topic=pair.topic, messages=messages)
    got = []
    while len(got) < 10:
        some = pair.pull()
        got += some
        pair.acknowledge(*some)

    for key in "ab":
        assert [one["data"] for one in messages if one["ordering_key"] == key] == [
            one.message.data for one in got if one.message.ordering_key == key
        ]


def test_seek_to_a_time(pair):
    """A seek to a time before brings acknowledged messages back, one to a time to come acknowledges all."""
    pair.subscribe(retain_acked_messages=True)
    before = datetime.now(UTC) - timedelta(seconds=5)
    pair.publish(b"a", b"b")
    pair.acknowledge(*pair.pull(2))
    pair.seek(before)
    assert {b"a", b"b"} == set(data(pair.pull(2)))
    pair.seek(datetime.now(UTC) + timedelta(minutes=1))
    pair.publish(b"c")

    assert [b"c"] == data(pair.pull())


def test_seek_to_a_snapshot(pair):
    """A snapshot brings back what was not acknowledged when it was made, and what came later."""
    pair.subscribe(retain_acked_messages=True)
    pair.publish(b"done", b"open")
    pulled = pair.pull(2)
    pair.acknowledge(*(one for one in pulled if one.message.data == b"done"))
    snapshot = f"{PROJECT}/snapshots/{pair.name}"
    made = pair.subscriber.create_snapshot(name=snapshot, subscription=pair.subscription)
    assert (snapshot, pair.topic) == (made.name, made.topic)
    assert [snapshot] == list(pair.publisher.list_topic_snapshots(topic=pair.topic))
    pair.acknowledge(*(one for one in pulled if one.message.data == b"open"))
    pair.publish(b"later")
    pair.acknowledge(*pair.pull())
    pair.seek(snapshot)

    assert {b"open", b"later"} == set(data(pair.pull(2)))
    pair.subscriber.delete_snapshot(snapshot=snapshot)
    assert "NotFound" == refused(pair.seek, snapshot)


def test_dead_letters(pair):
    """What was handed out as often as agreed goes to the dead letter topic and says where it comes from."""
    graves = Pair((pair.publisher, pair.subscriber))
    graves.subscribe()
    pair.subscribe(dead_letter_policy={"dead_letter_topic": graves.topic, "max_delivery_attempts": 5})
    pair.publish(b"x", a="b")
    attempts = []
    for _ in range(5):
        (received,) = pair.pull()
        attempts.append(received.delivery_attempt)
        pair.hand_back(received)
    assert [] == pair.at_once()  # the emulator buries when it is asked for more
    (buried,) = graves.pull()

    assert [1, 2, 3, 4, 5] == attempts
    assert b"x" == buried.message.data
    assert ("b", "5", pair.name, "demo") == tuple(
        buried.message.attributes[name]
        for name in (
            "a",
            "CloudPubSubDeadLetterSourceDeliveryCount",
            "CloudPubSubDeadLetterSourceSubscription",
            "CloudPubSubDeadLetterSourceSubscriptionProject",
        )
    )


class Answering(Endpoint):
    """Answers with the status that the path says, and counts by path."""

    def take(self, request):
        status = int(request.path.strip("/") or 204)
        super().take(request)
        return status, {"Location": "/0200"} if status == 307 else {}

    def at(self, status):
        with self.changed:
            return [request for request in self.received if request.path == f"/{status}"]


@pytest.fixture
def endpoint():
    serving = Answering()
    serving.base = serving.url.rpartition("/")[0]
    yield serving
    serving.close()


def pushing(endpoint, status=204, **more):
    return {"push_config": {"push_endpoint": f"{endpoint.base}/{status}", **more}}


def test_push(pair, endpoint):
    """A push is a POST of JSON that wraps the message, under both spellings; none is left to be pulled."""
    pair.subscribe(**pushing(endpoint))
    (sent,) = pair.publish(b"\x00\xff", colour="blue")
    (request,) = endpoint.wait_for(1)

    assert "application/json" == request.headers["Content-Type"]
    assert pair.subscription == request.body["subscription"]
    assert (sent, sent) == (request.message["messageId"], request.message["message_id"])
    assert request.message["publishTime"] == request.message["publish_time"]
    assert b"\x00\xff" == base64.b64decode(request.message["data"])
    assert {"colour": "blue"} == request.message["attributes"]
    assert [] == pair.at_once()


def test_pushes_pause(pair, endpoint):
    """An empty push configuration pauses, and a new one resumes with what has come meanwhile."""
    pair.subscribe(**pushing(endpoint))
    pair.subscriber.modify_push_config(subscription=pair.subscription, push_config={})
    (sent,) = pair.publish(b"x")
    assert [] == endpoint.received
    pair.subscriber.modify_push_config(subscription=pair.subscription, **pushing(endpoint))

    assert sent == endpoint.wait_for(1)[0].message["messageId"]


#: Which answers acknowledge a push. Ours are [documented]; the emulator follows redirects.
ACKNOWLEDGING = {OURS: {200, 201, 202, 204}, EMULATOR: {200, 201, 203, 204, 307}}


def test_which_answers_acknowledge(side, pair, endpoint):
    """The message comes again after any other answer."""
    statuses = {200, 201, 202, 203, 204, 206, 307, 400, 401, 403, 404, 409, 410, 429, 500, 503}
    for status in statuses:
        pair.subscribe(f"-{status}", **pushing(endpoint, status))
    pair.publish(b"x")
    again = statuses - ACKNOWLEDGING[side]
    with endpoint.changed:
        assert endpoint.changed.wait_for(lambda: all(len(endpoint.at(one)) > 1 for one in again), 10)

    assert ACKNOWLEDGING[side] == {status for status in statuses if len(endpoint.at(status)) == 1}
    assert (side == EMULATOR) == bool(endpoint.at("0200"))


# What one does otherwise than the other.


class Unlike:
    """One difference: how it is seen, and what is seen on each side.

    Args:
        seen: takes a pair and an endpoint and says what happens.
        ours: with the local Pub/Sub, as the real service does it.
        emulators: with Google's emulator.
    """

    def __init__(self, seen, ours, emulators):
        self.seen = seen
        self.expected = {OURS: ours, EMULATOR: emulators}


def pushed(pair, endpoint, *, config=None, message=None, **more):
    """The request of one push."""
    pair.subscribe(push_config={"push_endpoint": f"{endpoint.base}/204", **(config or {})}, **more)
    PublisherClient.publish(pair.publisher, topic=pair.topic, messages=[message or {"data": b"x"}])
    return endpoint.wait_for(1)[0]


def updated(pair, what, value):
    """How an update of one field ends: the error's name, or "" where it is as it was asked for."""
    pair.subscribe()
    change = {"name": pair.subscription, what: value}
    mask = {"paths": [what]}
    return refused(pair.subscriber.update_subscription, subscription=change, update_mask=mask)


def filtered(pair, _):
    pair.subscribe(filter='attributes.colour = "blue"')
    pair.publish(b"red", colour="red")
    pair.publish(b"blue", colour="blue")
    return sorted(data(pair.pull()))


def created(**more):
    return lambda pair, _: refused(pair.subscribe, **more)


def published(**message):
    return lambda pair, _: refused(
        PublisherClient.publish, pair.publisher, topic=pair.topic, messages=[{"data": b"x", **message}]
    )


OIDC = {"oidc_token": {"service_account_email": "a@b.example"}}
RAW = {"no_wrapper": {"write_metadata": True}}
KEYED = {"data": b"x", "ordering_key": "k"}
DEAD = {"max_delivery_attempts": 5}

UNLIKE = {
    # Pushes: [documented] on our side.
    "the caller says who it is": Unlike(
        lambda pair, endpoint: pushed(pair, endpoint).headers["User-Agent"].partition("/")[0],
        "CloudPubSub-Google", "Java",
    ),
    "a token is sent": Unlike(
        lambda pair, endpoint: "Authorization" in pushed(pair, endpoint, config=OIDC).headers, True, False
    ),
    "no attributes, no key": Unlike(
        lambda pair, endpoint: "attributes" in pushed(pair, endpoint).message, False, True
    ),
    "no data, no key": Unlike(
        lambda pair, endpoint: "data" in pushed(pair, endpoint, message={"attributes": {"a": "b"}}).message,
        False, True,
    ),
    "the ordering key is told": Unlike(
        lambda pair, endpoint: pushed(pair, endpoint, message=KEYED, enable_message_ordering=True).message.get(
            "orderingKey"
        ),
        "k", None,
    ),
    "the attempt is told": Unlike(
        lambda pair, endpoint: pushed(
            pair, endpoint, dead_letter_policy={"dead_letter_topic": pair.topic, **DEAD}
        ).body.get("deliveryAttempt"),
        1, None,
    ),
    "unwrapped data is untouched": Unlike(
        lambda pair, endpoint: pushed(pair, endpoint, config=RAW, message={"data": b"\xff\x00"}).raw == b"\xff\x00",
        True, False,
    ),
    "the ordering key as a header": Unlike(
        lambda pair, endpoint: sorted(
            name.lower()
            for name in pushed(pair, endpoint, config=RAW, message=KEYED, enable_message_ordering=True).headers
            if "ordering" in name.lower()
        ),
        ["x-goog-pubsub-ordering-key"], ["x-goog-ordering-key"],
    ),
    # Filters: [documented] on our side.
    "a filter is applied": Unlike(filtered, [b"blue"], [b"blue", b"red"]),
    "a bad filter": Unlike(created(filter="garbage(("), "InvalidArgument", ""),
    # Bounds: [documented] on our side.
    "an ack deadline of 5 s": Unlike(created(ack_deadline_seconds=5), "InvalidArgument", ""),
    "retention of 31 days": Unlike(created(message_retention_duration=timedelta(days=31)), "", "InvalidArgument"),
    "an expiration of an hour": Unlike(
        created(expiration_policy={"ttl": timedelta(hours=1)}), "InvalidArgument", ""
    ),
    "101 attributes": Unlike(published(attributes={str(n): "x" for n in range(101)}), "InvalidArgument", ""),
    "a long key": Unlike(published(attributes={"k" * 257: "x"}), "InvalidArgument", ""),
    "a long value": Unlike(published(attributes={"k": "x" * 1025}), "InvalidArgument", ""),
    "a reserved key": Unlike(published(attributes={"googclient": "x"}), "InvalidArgument", ""),
    # What there is: exactly once is not something that ours does.
    "exactly once": Unlike(created(enable_exactly_once_delivery=True), "MethodNotImplemented", ""),
    "labels can be changed": Unlike(
        lambda pair, _: updated(pair, "labels", {"a": "b"}), "", "InvalidArgument"
    ),
    "expiration can be changed": Unlike(
        lambda pair, _: updated(pair, "expiration_policy", {"ttl": timedelta(days=2)}), "", "InvalidArgument"
    ),
    "a subscription can be detached": Unlike(
        lambda pair, _: refused(
            pair.publisher.detach_subscription, request={"subscription": pair.subscribe().name}
        ),
        "", "MethodNotImplemented",
    ),
    "there is IAM": Unlike(
        lambda pair, _: refused(pair.publisher.get_iam_policy, request={"resource": pair.topic}),
        "", "MethodNotImplemented",
    ),
    "ids look like production's": Unlike(lambda pair, _: len(pair.publish(b"x")[0]) == 16, True, False),
}  # fmt: skip


@pytest.mark.parametrize("name", UNLIKE)
def test_what_is_unlike(side, pair, endpoint, name):
    """Each known difference is there, on both sides."""
    assert UNLIKE[name].expected[side] == UNLIKE[name].seen(pair, endpoint)


def test_notifications_of_the_secret_manager(host, pair):
    """The local Secret Manager announces its changes to whichever Pub/Sub the user has."""
    pair.subscribe()
    with LocalCloud(project="demo", pubsub_host=host) as cloud:
        secret = {"replication": {"automatic": {}}, "topics": [{"name": pair.topic}]}
        cloud.secret_manager_client().create_secret(parent=PROJECT, secret_id="db", secret=secret)
        cloud.add_version("db", b"one")
        told = pair.pull(3)

    assert ["SECRET_CREATE", "SECRET_VERSION_ADD", "TOPIC_CONFIGURED"] == sorted(
        got.message.attributes["eventType"] for got in told
    )
