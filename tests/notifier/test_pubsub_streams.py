"""Streaming pull, through the official subscriber."""

import contextlib
import queue
import threading

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.scheduler import ThreadScheduler
from google.cloud.pubsub_v1.types import FlowControl
from google.pubsub_v1.types import StreamingPullRequest


TOPIC = "projects/demo/topics/news"
NO_BOUNDS = FlowControl()
SUBSCRIPTION = "projects/demo/subscriptions/reader"


@pytest.fixture
def publisher(cloud):
    made = cloud.publisher()
    made.create_topic(name=TOPIC)
    return made


@pytest.fixture
def stream(cloud, publisher):
    """Start a subscriber: returns the messages that come, and its future."""
    started = []

    def start(callback=None, *, flow=NO_BOUNDS, **more):
        subscriber = cloud.subscriber()
        with contextlib.suppress(exceptions.AlreadyExists):
            subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC, **more})
        came = queue.Queue()

        def take(message):
            came.put(message)
            if callback is None:
                message.ack()
            else:
                callback(message)

        scheduler = ThreadScheduler()
        future = subscriber.subscribe(SUBSCRIPTION, take, flow_control=flow, scheduler=scheduler)
        started.append((future, scheduler))
        return came, future

    yield start
    for future, scheduler in started:
        future.cancel()
        with contextlib.suppress(exceptions.GoogleAPICallError):
            future.result(5)
        scheduler._executor.shutdown()


@pytest.mark.long
def test_many_streams_leave_room_for_others(cloud, publisher):
    """Two hundred instances that stream, each holding a thread, keep nobody else waiting."""
    cloud.subscriber().create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC})
    over = threading.Event()

    def asking():
        yield StreamingPullRequest(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=60)
        over.wait(20)

    with grpc.insecure_channel(cloud.pubsub.host) as channel:
        stream = channel.stream_stream(
            "/google.pubsub.v1.Subscriber/StreamingPull", request_serializer=StreamingPullRequest.serialize
        )
        streams = [stream(asking()) for _ in range(200)]
        for opened in streams:
            opened.initial_metadata()
        names = [topic.name for topic in publisher.list_topics(request={"project": "projects/demo"}, timeout=5)]
        over.set()

    assert [TOPIC] == names


def test_messages_come_at_once_and_are_acknowledged(cloud, publisher, stream):
    """A stream delivers what is published, and what the callback acknowledges is gone."""
    came, _ = stream()
    for number in range(20):
        publisher.publish(TOPIC, str(number).encode(), a="b")
    got = [came.get(timeout=5) for _ in range(20)]

    assert {str(number).encode() for number in range(20)} == {message.data for message in got}
    assert {"b"} == {message.attributes["a"] for message in got}
    assert [None] * 20 == [message.delivery_attempt for message in got]
    waited = threading.Event()
    for _ in range(100):
        if not cloud.pubsub.undelivered(SUBSCRIPTION):
            break
        waited.wait(0.05)
    assert 0 == cloud.pubsub.undelivered(SUBSCRIPTION)


def test_handed_back_comes_again(publisher, stream):
    """What the callback hands back comes again, and counts its attempts where dead letters are wanted."""
    publisher.create_topic(name=f"{TOPIC}-dead")
    policy = {"dead_letter_topic": f"{TOPIC}-dead", "max_delivery_attempts": 5}
    came, _ = stream(lambda message: message.nack() if message.delivery_attempt < 3 else message.ack(),
                     dead_letter_policy=policy)  # fmt: skip
    publisher.publish(TOPIC, b"x")

    assert [1, 2, 3] == [came.get(timeout=5).delivery_attempt for _ in range(3)]


def test_the_client_keeps_its_lease(cloud, publisher, stream):
    """The client's lease management lengthens leases: the server hears a deadline for each message it holds."""
    held = []
    came, _ = stream(held.append)
    publisher.publish(TOPIC, b"x")
    came.get(timeout=5)
    backlog = cloud.pubsub._broker.subscription(SUBSCRIPTION).backlog
    lease = held[0]._ack_id

    assert backlog.leased(lease)
    held[0].modify_ack_deadline(600)
    with backlog.changed:
        assert backlog.changed.wait_for(lambda: backlog.due_in() > 500, 5)
    held[0].ack()


def test_no_more_than_the_client_has_room_for(cloud, publisher, stream):
    """A stream sends no more messages than its client said, until one is acknowledged."""
    held = queue.Queue()
    _came, _ = stream(held.put, flow=FlowControl(max_messages=2))
    for number in range(3):
        publisher.publish(TOPIC, str(number).encode()).result()
    first, _second = held.get(timeout=5), held.get(timeout=5)

    assert 3 == cloud.pubsub.undelivered(SUBSCRIPTION)
    with pytest.raises(queue.Empty):
        held.get(timeout=0.2)
    first.ack()
    held.get(timeout=5).ack()
    _second.ack()


def test_in_order(cloud, stream):
    """Messages of one ordering key reach the callback one after the other, in their order."""
    from google.cloud.pubsub_v1 import PublisherClient
    from google.cloud.pubsub_v1.types import PublisherOptions
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

    transport = cloud.publisher().transport
    assert isinstance(transport, PublisherGrpcTransport)
    publisher = PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True), transport=transport)
    came, _ = stream(enable_message_ordering=True)
    for number in range(30):
        publisher.publish(TOPIC, str(number).encode(), ordering_key="ab"[number % 2])
    got = [came.get(timeout=5) for _ in range(30)]

    for key in "ab":
        numbers = [int(message.data) for message in got if message.ordering_key == key]
        assert sorted(numbers) == numbers


def test_a_deleted_subscription_ends_the_stream(cloud, publisher, stream):
    """A stream ends with NOT_FOUND when its subscription is deleted."""
    came, future = stream()
    publisher.publish(TOPIC, b"x")
    came.get(timeout=5)
    cloud.subscriber().delete_subscription(subscription=SUBSCRIPTION)

    with pytest.raises(exceptions.NotFound):
        future.result(5)


def test_a_push_subscription_has_no_stream(cloud, publisher, endpoint):
    """A stream from a subscription that pushes is refused."""
    name = cloud.push_to(endpoint.url, topic=TOPIC)
    first = StreamingPullRequest(subscription=name, stream_ack_deadline_seconds=10)

    with pytest.raises(exceptions.FailedPrecondition):
        next(iter(cloud.subscriber().streaming_pull(requests=iter([first]))))


def test_two_streams_share(publisher, stream):
    """Two streams of one subscription share its messages: each comes to one of them."""
    one, _ = stream()
    other, _ = stream()
    for number in range(50):
        publisher.publish(TOPIC, str(number).encode()).result()
    got = []
    while len(got) < 50:
        for came in (one, other):
            with contextlib.suppress(queue.Empty):
                got.append(came.get(timeout=0.05).data)

    assert 50 == len(set(got))
