"""The topics and subscriptions that exist, and the way of a message from one to the others."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import grpc

from . import pubsub_dead_letters
from .backlog import Message
from .issuer import Issuer
from .ports import Report, Wall
from .publish_faults import PublishFaults
from .pubsub_history import History
from .push import PushAttempt
from .rpc import Refusal
from .subscription import DELETED_TOPIC, Subscription


# Ids look like production's: numbers of sixteen digits [assumed from the examples that are documented].
_FIRST_ID = 10**15 + 1

# Pushes that are remembered; enough for a long demo.
_KEPT = 100_000


class Broker:
    """All topics and subscriptions of all projects, by their full name. Thread-safe.

    Args:
        issuer: signs the tokens of pushes.
        wall: wall time, for publish times.
        report: told of each push, in a line for people.
        push_timeout: seconds for a push in place of the ack deadline.
    """

    def __init__(self, *, issuer: Issuer, wall: Wall, report: Report, push_timeout: float | None) -> None:
        self._issuer = issuer
        self._wall = wall
        self._report = report
        self._push_timeout = push_timeout
        self._lock = threading.RLock()
        self._topics: dict[str, Any] = {}
        self.history = History(wall=wall)
        self._subscriptions: dict[str, Subscription] = {}
        ids = itertools.count(_FIRST_ID)
        self._next_id: Callable[[], str] = lambda: str(next(ids))
        self.faults = PublishFaults(self._next_id)
        self._dead_letters = pubsub_dead_letters.DeadLetters(self.publish)
        self._pushed = threading.Condition()
        self._pushes: deque[PushAttempt] = deque(maxlen=_KEPT)

    def create_topic(self, message: Any) -> None:
        """Keep a new topic.

        Raises:
            Refusal: ALREADY_EXISTS.
        """
        with self._lock:
            if message.name in self._topics:
                raise exists(message.name)
            self._topics[message.name] = message

    def topic(self, name: str) -> Any:
        """The topic's message.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            if name not in self._topics:
                raise missing(name)
            return self._topics[name]

    def has_topic(self, topic: str) -> bool:
        """Whether the topic exists."""
        with self._lock:
            return topic in self._topics

    def topics(self, project: str) -> list[Any]:
        """The topics of `projects/P`, by name."""
        with self._lock:
            return [self._topics[name] for name in sorted(self._topics) if name.startswith(f"{project}/")]

    def delete_topic(self, name: str) -> None:
        """Forget a topic; its subscriptions keep their messages and get no more, also from a new one of its name.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            self.topic(name)
            del self._topics[name]
            self.history.forget(name, renamed=DELETED_TOPIC)
            for subscription in self.attached(name):
                subscription.orphan()

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str], ordering_key: str = "") -> str | None:
        """Send one message to every subscription of the topic; None where there is no such topic."""
        with self._lock:
            if topic not in self._topics:
                return None
            message = Message(self._next_id(), self._wall(), data, dict(attributes), ordering_key)
            self.history.note(self._topics[topic], message)
            attached = self.attached(topic)
            for sent, delay in self.faults.apply(topic, message):
                for subscription in attached:
                    subscription.put(sent, delay=delay)
        return message.id

    def repeat(self, topic: str, *, new_id: bool) -> str | None:
        """Send the last message of the topic once more, and return its id; None where there was none."""
        last = self.faults.last(topic)
        if last is None:
            return None
        again = self.faults.copy(last, new_id)
        with self._lock:
            attached = self.attached(topic)
        for subscription in attached:
            subscription.put(again)
        return again.id

    def create_subscription(self, message: Any, *, strip_signature: bool = False) -> Subscription:
        """Keep a new subscription; it gets what is published from now on.

        Args:
            message: what was asked for.
            strip_signature: push tokens as Cloud Run hands them on.

        Raises:
            Refusal: ALREADY_EXISTS; NOT_FOUND, there is no such topic.
        """
        with self._lock:
            if message.name in self._subscriptions:
                raise exists(message.name)
            self.check_topics(message)
            subscription = Subscription(
                message,
                issuer=self._issuer,
                timeout=self._push_timeout,
                done=self._push_done,
                wall=self._wall,
                bury=self._bury,
                strip_signature=strip_signature,
            )
            self._subscriptions[message.name] = subscription
            return subscription

    def check_topics(self, message: Any) -> None:
        """See to it that a subscription's topics exist, and note how long its own retains messages.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            if message.HasField("dead_letter_policy"):
                self.topic(message.dead_letter_policy.dead_letter_topic)
            if message.topic != DELETED_TOPIC:
                topic = self.topic(message.topic)
                if topic.HasField("message_retention_duration"):
                    message.topic_message_retention_duration.CopyFrom(topic.message_retention_duration)

    def subscription(self, name: str) -> Subscription:
        """The subscription.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            self._expire()
            if name not in self._subscriptions:
                raise missing(name)
            return self._subscriptions[name]

    def subscriptions(self, project: str) -> list[Subscription]:
        """The subscriptions of `projects/P`, by name."""
        with self._lock:
            self._expire()
            names = sorted(name for name in self._subscriptions if name.startswith(f"{project}/"))
            return [self._subscriptions[name] for name in names]

    def delete_subscription(self, name: str) -> None:
        """Forget a subscription and its messages.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            subscription = self.subscription(name)
            del self._subscriptions[name]
        subscription.close(time.monotonic() + 1.0)

    def attached(self, topic: str) -> list[Subscription]:
        """The subscriptions that get what the topic is sent."""
        with self._lock:
            self._expire()
            return [one for one in self._subscriptions.values() if one.message.topic == topic]

    def seek(self, name: str, *, at: float | None, snapshot: str) -> None:
        """Take a subscription to a time, or to a snapshot where there is no time.

        Raises:
            Refusal: NOT_FOUND; INVALID_ARGUMENT, the snapshot is another topic's.
        """
        with self._lock:
            subscription = self.subscription(name)
            topic = self._topics.get(subscription.message.topic)
            if at is not None:
                # Messages published at that moment or later are delivered [documented].
                retained = [] if topic is None else self.history.retained(topic)
                subscription.seek(lambda message: message.at >= at, retained)
                return
            found = self.history.snapshot(snapshot)
            if found is None:
                raise missing(snapshot)
            if found.message.topic != subscription.message.topic:
                raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "The snapshot is of another topic.")
            subscription.seek(lambda message: message.id in found.waiting, found.waiting.values())

    def create_snapshot(self, request: Any) -> Any:
        """Keep what a subscription has not acknowledged, and what is published from now on.

        Raises:
            Refusal: NOT_FOUND; ALREADY_EXISTS; FAILED_PRECONDITION, its oldest message is too old.
        """
        with self._lock:
            subscription = self.subscription(request.subscription)
            if self.history.snapshot(request.name) is not None:
                raise exists(request.name)
            waiting, _ = subscription.backlog.messages()
            return self.history.create(request, topic=subscription.message.topic, waiting=waiting)

    def pushes(self) -> list[PushAttempt]:
        """The pushes that were answered or failed, oldest first."""
        with self._pushed:
            return list(self._pushes)

    def wait_for_pushes(self, wanted: Callable[[list[PushAttempt]], bool], timeout: float) -> bool:
        """Wait until the pushes so far are as `wanted`; False after `timeout` seconds."""
        with self._pushed:
            return self._pushed.wait_for(lambda: wanted(list(self._pushes)), timeout)

    def close(self, deadline: float) -> None:
        """End all pushing by `deadline` (monotonic)."""
        with self._lock:
            ending = list(self._subscriptions.values())
        for subscription in ending:
            subscription.close(deadline)
        self._dead_letters.close()

    def _expire(self) -> None:
        for name in [one.name for one in self._subscriptions.values() if one.expired]:
            self._subscriptions.pop(name).close(time.monotonic())

    def _bury(self, subscription: Subscription, message: Message, attempts: int) -> bool:
        topic = subscription.message.dead_letter_policy.dead_letter_topic
        # No lock: this is called under a backlog's. Without a topic to go to, the message stays [documented].
        if topic not in self._topics:
            return False
        attributes = pubsub_dead_letters.attributes(message, subscription=subscription.name, attempts=attempts)
        self._dead_letters.send(topic, replace(message, attributes=attributes))
        return True

    def _push_done(self, attempt: PushAttempt) -> None:
        with self._pushed:
            self._pushes.append(attempt)
            self._pushed.notify_all()
        answer = "no answer" if attempt.status is None else str(attempt.status)
        self._report(
            f"pushed {attempt.message} (attempt {attempt.attempt}) to {attempt.subscription}: {answer}, "
            f"{'acknowledged' if attempt.acknowledged else 'will come again'}, {attempt.seconds * 1000:.0f} ms"
        )


def missing(name: str) -> Refusal:
    """No such topic or subscription."""
    return Refusal(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name.rpartition('/')[2]}).")


def exists(name: str) -> Refusal:
    """That name is taken."""
    return Refusal(
        grpc.StatusCode.ALREADY_EXISTS,
        f"Resource already exists in the project (resource={name.rpartition('/')[2]}).",
    )
