"""What a Pub/Sub with a journal still has after a restart."""

import pytest

from notifier.local.clients import Clients
from notifier.local.issuer import Issuer
from notifier.local.pubsub import PubSub
from tests.notifier.memory_journal import MemoryJournal


TOPIC = "projects/demo/topics/news"
SUBSCRIPTION = "projects/demo/subscriptions/reader"
SNAPSHOT = "projects/demo/snapshots/then"


@pytest.fixture
def lives(wall):
    """Start the Pub/Sub anew with what it had; the one before is gone without having been told."""
    clients, running = Clients(), []
    issuer = Issuer(wall=wall)

    def begin(journal):
        pubsub = PubSub(issuer=issuer, wall=wall, journal=journal)
        running.append(pubsub)
        return clients.publisher(pubsub.host), clients.subscriber(pubsub.host)

    yield begin
    clients.close()
    for pubsub in running:
        pubsub.stop()


def pull(subscriber):
    """The messages that are there, at least one."""
    return subscriber.pull(subscription=SUBSCRIPTION, max_messages=10, timeout=5).received_messages


def data(received):
    return [one.message.data for one in received]


@pytest.fixture
def before(lives):
    journal = MemoryJournal()
    publisher, subscriber = lives(journal)
    publisher.create_topic(request={"name": TOPIC, "message_retention_duration": {"seconds": 3600}})
    more = {"retain_acked_messages": True, "labels": {"a": "b"}, "retry_policy": {}}
    subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC, **more})
    return journal, publisher, subscriber


def test_messages(lives, before):
    """What was published and not acknowledged comes again, as it was; what was acknowledged does not."""
    journal, publisher, subscriber = before
    for number in range(3):
        publisher.publish(TOPIC, str(number).encode(), a="ü").result()
    first, second, _ = pull(subscriber)
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[first.ack_id])
    publisher, subscriber = lives(journal.crash())
    again = pull(subscriber)

    assert [b"1", b"2"] == data(again)
    assert second.message == again[0].message
    newer = publisher.publish(TOPIC, b"3").result()
    assert newer > again[-1].message.message_id


def test_an_acknowledgement_of_before(lives, before):
    """An acknowledgement that comes after the restart still means the message that it meant before."""
    journal, publisher, subscriber = before
    publisher.publish(TOPIC, b"old").result()
    (old,) = pull(subscriber)
    publisher, subscriber = lives(journal.crash())
    publisher.publish(TOPIC, b"new").result()
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[old.ack_id])

    assert [b"new"] == data(pull(subscriber))


def test_settings(lives, before):
    """Topics, subscriptions, policies and snapshots are as they were."""
    journal, publisher, subscriber = before
    publisher.set_iam_policy(
        request={"resource": TOPIC, "policy": {"bindings": [{"role": "r", "members": ["user:a"]}]}}
    )
    subscriber.create_snapshot(request={"name": SNAPSHOT, "subscription": SUBSCRIPTION, "labels": {"c": "d"}})

    def told(publisher, subscriber):
        return (
            list(publisher.list_topics(project="projects/demo")),
            list(subscriber.list_subscriptions(project="projects/demo")),
            list(subscriber.list_snapshots(project="projects/demo")),
            publisher.get_iam_policy(request={"resource": TOPIC}),
        )

    then = told(publisher, subscriber)
    assert 3 == sum(len(some) for some in then[:3])
    assert then == told(*lives(journal.crash()))


def test_what_is_sought(lives, before, wall):
    """Acknowledged, retained and held messages can be sought after the restart."""
    journal, publisher, subscriber = before
    publisher.publish(TOPIC, b"acknowledged").result()
    began = wall()
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[pull(subscriber)[0].ack_id])
    subscriber.create_snapshot(request={"name": SNAPSHOT, "subscription": SUBSCRIPTION})
    wall.now += 1
    publisher.publish(TOPIC, b"later").result()
    _, subscriber = lives(journal.crash())

    assert [b"later"] == data(pull(subscriber))
    subscriber.seek(request={"subscription": SUBSCRIPTION, "time": {"seconds": int(began)}})
    assert [b"acknowledged", b"later"] == data(pull(subscriber))
    subscriber.seek(request={"subscription": SUBSCRIPTION, "snapshot": SNAPSHOT})
    assert [b"later"] == data(pull(subscriber))


def test_dead_letters(lives, before):
    """A message that is buried waits in one place or the other at every moment, and in the end in one only."""
    journal, publisher, subscriber = before
    grave = f"{TOPIC}-graves"
    publisher.create_topic(name=grave)
    subscriber.create_subscription(name=f"{SUBSCRIPTION}-graves", topic=grave)
    policy = {"dead_letter_topic": grave, "max_delivery_attempts": 5}
    change = {"name": SUBSCRIPTION, "dead_letter_policy": policy}
    subscriber.update_subscription(subscription=change, update_mask={"paths": ["dead_letter_policy", "retry_policy"]})
    publisher.publish(TOPIC, b"x").result()
    for _ in range(5):
        (received,) = pull(subscriber)
        seen = {key.partition("#")[0] for kind, key in journal.durable if kind == "waiting"}
        assert {SUBSCRIPTION} == seen
        subscriber.modify_ack_deadline(subscription=SUBSCRIPTION, ack_ids=[received.ack_id], ack_deadline_seconds=0)
    buried = subscriber.pull(subscription=f"{SUBSCRIPTION}-graves", max_messages=1, timeout=5).received_messages
    assert [b"x"] == data(buried)
    _, subscriber = lives(journal.crash())

    again = subscriber.pull(subscription=f"{SUBSCRIPTION}-graves", max_messages=1, timeout=5).received_messages
    assert [b"x"] == data(again)


def test_what_has_gone_leaves_nothing(lives, before):
    """A deleted topic, subscription and snapshot leave no record behind."""
    journal, publisher, subscriber = before
    publisher.publish(TOPIC, b"x").result()
    publisher.set_iam_policy(request={"resource": SUBSCRIPTION, "policy": {}})
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[pull(subscriber)[0].ack_id])
    publisher.publish(TOPIC, b"y").result()
    subscriber.create_snapshot(request={"name": SNAPSHOT, "subscription": SUBSCRIPTION})
    assert {
        "topic",
        "subscription",
        "snapshot",
        "policy",
        "count",
        "waiting",
        "acknowledged",
        "retained",
        "held",
    } == {kind for kind, _ in journal.durable}
    subscriber.delete_snapshot(snapshot=SNAPSHOT)
    subscriber.delete_subscription(subscription=SUBSCRIPTION)
    publisher.delete_topic(topic=TOPIC)

    assert {("count", "ids"), ("count", "numbers")} == set(journal.durable)
