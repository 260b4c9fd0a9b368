"""Topics, subscriptions, publish and pull, through the official clients."""

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient


TOPIC = "projects/demo/topics/news"
SUBSCRIPTION = "projects/demo/subscriptions/reader"


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


def pull(subscriber, **more):
    return subscriber.pull(subscription=SUBSCRIPTION, max_messages=10, **more).received_messages


def test_publish_and_pull(publisher, subscriber):
    """A published message is pulled with its data, attributes, id and time."""
    sent = publisher.publish(TOPIC, b"hello", colour="blue").result()
    (received,) = pull(subscriber)

    assert (b"hello", {"colour": "blue"}, sent) == (
        received.message.data,
        dict(received.message.attributes),
        received.message.message_id,
    )
    assert received.message.publish_time


def test_acknowledged_is_gone(cloud, publisher, subscriber):
    """An acknowledged message does not come again; unknown ids are passed over."""
    publisher.publish(TOPIC, b"x").result()
    (received,) = pull(subscriber)
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[received.ack_id, "rubbish"])

    assert 0 == cloud.pubsub.undelivered(SUBSCRIPTION)


def test_handed_back_comes_again(publisher, subscriber):
    """A message whose deadline is set to nothing comes again at once, under another ack id."""
    publisher.publish(TOPIC, b"x").result()
    (first,) = pull(subscriber)
    subscriber.modify_ack_deadline(subscription=SUBSCRIPTION, ack_ids=[first.ack_id], ack_deadline_seconds=0)
    (second,) = pull(subscriber)

    assert first.message == second.message
    assert first.ack_id != second.ack_id


def test_leased_messages_are_not_handed_out_twice(publisher, subscriber):
    """What one pull has leased another does not get."""
    publisher.publish(TOPIC, b"x").result()

    assert 1 == len(pull(subscriber))
    with pytest.raises(exceptions.DeadlineExceeded):
        pull(subscriber, timeout=0.1, retry=None)


def test_a_pull_waits_for_a_message(cloud, publisher, subscriber):
    """A pull that finds nothing waits until something is published."""
    cloud.pubsub.delay(TOPIC, 0.1)
    publisher.publish(TOPIC, b"x").result()

    assert 1 == len(pull(subscriber, timeout=5))


def test_each_subscription_gets_each_message(cloud, publisher, subscriber):
    """Every subscription has its own copy of what is published after it was made."""
    publisher.publish(TOPIC, b"before").result()
    subscriber.create_subscription(name=f"{SUBSCRIPTION}2", topic=TOPIC)
    publisher.publish(TOPIC, b"after").result()

    assert (2, 1) == (cloud.pubsub.undelivered(SUBSCRIPTION), cloud.pubsub.undelivered(f"{SUBSCRIPTION}2"))


def test_a_push_subscription_is_not_pulled(cloud, publisher, endpoint):
    """A pull from a subscription that pushes is empty."""
    name = cloud.push_to(endpoint.url, topic=TOPIC)

    assert [] == list(cloud.subscriber().pull(subscription=name, max_messages=1).received_messages)


def test_topics(publisher):
    """Topics are made once, described, listed and deleted."""
    assert TOPIC == publisher.get_topic(topic=TOPIC).name
    assert [TOPIC] == [topic.name for topic in publisher.list_topics(project="projects/demo")]
    assert [] == list(publisher.list_topics(project="projects/other"))
    with pytest.raises(exceptions.AlreadyExists):
        publisher.create_topic(name=TOPIC)
    publisher.delete_topic(topic=TOPIC)
    for call in (publisher.get_topic, publisher.delete_topic):
        with pytest.raises(exceptions.NotFound):
            call(topic=TOPIC)
    with pytest.raises(exceptions.NotFound):
        publisher.publish(TOPIC, b"x").result()


def test_subscriptions(cloud, subscriber):
    """Subscriptions are made once, described with the defaults, listed and deleted."""
    made = subscriber.get_subscription(subscription=SUBSCRIPTION)

    assert (TOPIC, 10, 7) == (made.topic, made.ack_deadline_seconds, made.message_retention_duration.days)
    assert [SUBSCRIPTION] == [one.name for one in subscriber.list_subscriptions(project="projects/demo")]
    with pytest.raises(exceptions.AlreadyExists):
        subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    with pytest.raises(exceptions.NotFound):
        subscriber.create_subscription(name=f"{SUBSCRIPTION}2", topic=f"{TOPIC}2")
    subscriber.delete_subscription(subscription=SUBSCRIPTION)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_subscription(subscription=SUBSCRIPTION)


def test_labels_are_kept(cloud, publisher):
    """Labels of topics and subscriptions are told as they were given."""
    subscriber = cloud.subscriber()
    publisher.create_topic(request={"name": f"{TOPIC}2", "labels": {"a": "1"}})
    subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": f"{TOPIC}2", "labels": {"b": "2"}})

    assert {"a": "1"} == dict(publisher.get_topic(topic=f"{TOPIC}2").labels)
    assert {"b": "2"} == dict(subscriber.get_subscription(subscription=SUBSCRIPTION).labels)


def test_a_deleted_topic_leaves_its_subscriptions(cloud, publisher, subscriber):
    """A subscription outlives its topic, and a new topic of that name is another one."""
    publisher.delete_topic(topic=TOPIC)
    publisher.create_topic(name=TOPIC)
    publisher.publish(TOPIC, b"x").result()

    assert "_deleted-topic_" == subscriber.get_subscription(subscription=SUBSCRIPTION).topic
    assert 0 == cloud.pubsub.undelivered(SUBSCRIPTION)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"ack_deadline_seconds": 9}, exceptions.InvalidArgument),
        ({"ack_deadline_seconds": 601}, exceptions.InvalidArgument),
        ({"retry_policy": {"minimum_backoff": {"seconds": 9}, "maximum_backoff": {"seconds": 8}}},
         exceptions.InvalidArgument),
        ({"filter": "attributes.a = b"}, exceptions.InvalidArgument),
        ({"enable_exactly_once_delivery": True}, exceptions.MethodNotImplemented),
        ({"dead_letter_policy": {"dead_letter_topic": TOPIC, "max_delivery_attempts": 4}}, exceptions.OutOfRange),
        ({"dead_letter_policy": {"dead_letter_topic": f"{TOPIC}2"}}, exceptions.NotFound),
    ],
    ids=["short", "long", "backoff", "filter", "exactly once", "attempts", "no dead letters"],
)  # fmt: skip
def test_bad_subscriptions_are_refused(cloud, publisher, more, error):
    """What cannot be is refused, and what this Pub/Sub does not do is refused by name."""
    with pytest.raises(error):
        cloud.subscriber().create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC, **more})


@pytest.mark.parametrize("name", ["projects/demo/topics/ab", "projects/demo/topics/goog-x", "news"])
def test_bad_names_are_refused(publisher, name):
    """Names of topics have three characters or more, and none begins with what Google reserves."""
    with pytest.raises(exceptions.InvalidArgument):
        publisher.create_topic(name=name)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"data": b"x", "attributes": {"googclient": "x"}},
        {"data": b"x", "attributes": {"k" * 257: "x"}},
        {"data": b"x", "attributes": {"k": "x" * 1025}},
        {"data": b"x", "attributes": {str(number): "x" for number in range(101)}},
    ],
    ids=["empty", "reserved", "long key", "long value", "too many"],
)
def test_bad_messages_are_refused(cloud, publisher, subscriber, message):
    """A message that cannot be is refused, and with it all that came in the same request."""
    # The publisher that batches nothing: one request with both messages.
    with pytest.raises(exceptions.InvalidArgument):
        PublisherClient.publish(publisher, topic=TOPIC, messages=[{"data": b"good"}, message])

    assert 0 == cloud.pubsub.undelivered(SUBSCRIPTION)
