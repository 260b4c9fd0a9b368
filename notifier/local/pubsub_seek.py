"""Seek: a subscription goes back, or ahead, to a time or to a snapshot; and the snapshots to go to."""

from typing import Any

from .broker import Broker
from .clocks import seconds
from .pubsub_refusals import invalid


def seek(broker: Broker, request: Any) -> None:
    """Take a subscription to a time, or to a snapshot.

    Raises:
        Refusal: NOT_FOUND; INVALID_ARGUMENT, there is neither, or the snapshot is of another topic.
    """
    with broker.lock:
        subscription = broker.subscription(request.subscription)
        if request.HasField("time"):
            at = seconds(request.time)
            # Messages published at that moment or later are delivered [documented].
            topic = subscription.message.topic
            retained = broker.history.retained(broker.topic(topic)) if broker.has_topic(topic) else []
            subscription.seek(lambda message: message.at >= at, retained)
            return
        if not request.snapshot:
            raise invalid("A seek needs a time or a snapshot.")
        found = broker.history.snapshot(request.snapshot)
        if found.message.topic != subscription.message.topic:
            raise invalid("The snapshot is of another topic.")
        subscription.seek(lambda message: message.id in found.waiting, found.waiting.values())


def create_snapshot(broker: Broker, request: Any) -> Any:
    """Keep what a subscription has not acknowledged, and what is published from now on.

    Raises:
        Refusal: NOT_FOUND; ALREADY_EXISTS; FAILED_PRECONDITION, it is detached or its oldest message is too old.
    """
    with broker.lock:
        subscription = broker.subscription(request.subscription)
        subscription.check_attached()
        waiting, _ = subscription.backlog.messages()
        return broker.history.create(request, topic=subscription.message.topic, waiting=waiting)
