"""The topics and subscriptions that exist, and the way of a message from one to the others."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .clocks import microseconds
from .issuer import Issuer
from .journal import Forgetful, Journal
from .messages import Message
from .ports import Report, Wall
from .publish_faults import PublishFaults
from .pubsub_dead_letters import DeadLetters
from .pubsub_history import History
from .pubsub_journal import Keeper, PubSubJournal
from .pubsub_policies import PubSubPolicies
from .pubsub_refusals import exists, missing
from .push_faults import PushFaults
from .push_log import PushLog
from .subscription import DELETED_TOPIC, Shared, Subscription


# Ids look like production's: numbers of sixteen digits [assumed from documented examples].
_FIRST_ID = 10**15


class Broker:
    """All topics and subscriptions of all projects, by their full name. Thread-safe.

    Whatever it is told is in the journal, in the order in which it happened, when the call returns; whoever answers a
    client calls `journal.flush` before.

    Args:
        issuer: signs the tokens of pushes.
        wall: wall time, for publish times.
        report: told of each push, in a line for people.
        push_timeout: seconds for a push in place of the ack deadline.
        longest_pause: seconds that push backoff leaves an endpoint alone.
        clock: monotonic seconds, for leases and waits; a test may move it.
        journal: where it reads what there was before a restart, and writes what there is.
    """

    def __init__(
        self,
        *,
        issuer: Issuer,
        wall: Wall,
        report: Report,
        push_timeout: float | None = None,
        longest_pause: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        journal: Journal | None = None,
    ) -> None:
        self._wall = wall
        self.journal = PubSubJournal(journal or Forgetful())
        saved = self.journal.read()
        self.lock = threading.RLock()
        self.pushes = PushLog(report)
        self.faults = PublishFaults(self._next_id)
        self.push_faults = PushFaults()
        self._dead_letters = DeadLetters(self.publish, self.has_topic)
        self._shared = Shared(
            issuer=issuer,
            push_timeout=push_timeout,
            longest_pause=longest_pause,
            done=self.pushes.note,
            fault=self.push_faults.next,
            wall=wall,
            clock=clock,
            number=self.journal.numbers.next,
            bury=self._dead_letters.bury,
        )
        self._topics: dict[str, Any] = saved.topics
        self._subscriptions: dict[str, Subscription] = {}
        # The subscriptions of each topic, so that publishing looks at no others.
        self._attached: defaultdict[str, list[Subscription]] = defaultdict(list)
        self.policies = PubSubPolicies(has=self.has, lock=self.lock, journal=self.journal, kept=saved.policies)
        self.history = History(wall=wall, journal=self.journal, saved=saved, forgotten=self.policies.forget)
        for name, (message, stripped) in saved.subscriptions.items():
            subscription = self._enter(message, stripped)
            subscription.backlog.restore(saved.of("waiting", name), saved.of("acknowledged", name))
        for subscription in self._subscriptions.values():
            subscription.start()

    def has(self, name: str) -> bool:
        """Whether there is such a topic, subscription or snapshot."""
        with self.lock:
            self._expire()
            return name in self._topics or name in self._subscriptions or self.history.has(name)

    def create_topic(self, message: Any) -> None:
        """Keep a new topic.

        Raises:
            Refusal: ALREADY_EXISTS.
        """
        with self.lock:
            if message.name in self._topics:
                raise exists(message.name)
            self._save_topic(message)

    def topic(self, name: str) -> Any:
        """The topic's message.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self.lock:
            if name not in self._topics:
                raise missing(name)
            return self._topics[name]

    def has_topic(self, topic: str) -> bool:
        """Whether the topic exists."""
        return topic in self._topics

    def topics(self, project: str) -> list[Any]:
        """The topics of `projects/P`, by name."""
        with self.lock:
            return [one for name, one in sorted(self._topics.items()) if name.startswith(f"{project}/")]

    def change_topic(self, message: Any) -> None:
        """Let a topic that is there be as `message` says from now on."""
        with self.lock:
            self._save_topic(message)
            self.history.drop_old(message)
            for subscription in self._attached.get(message.name, ()):
                self.change_subscription(subscription, subscription.copy())

    def delete_topic(self, name: str) -> None:
        """Forget a topic; its subscriptions keep their messages and get no more, also from a new one of its name.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self.lock:
            self.topic(name)
            del self._topics[name]
            self.journal.resource("topic", name, None)
            self.history.forget(name, renamed=DELETED_TOPIC)
            for subscription in self._attached.pop(name, []):
                subscription.orphan()
                self.save(subscription)
            self.policies.forget(name)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str], ordering_key: str = "") -> str | None:
        """Send one message to every subscription of the topic; None where there is no such topic."""
        with self.lock:
            if topic not in self._topics:
                return None
            message = Message(self._next_id(), microseconds(self._wall()), data, dict(attributes), ordering_key)
            self.history.note(self._topics[topic], message)
            attached = self.attached(topic)
            for sent, delay in self.faults.apply(topic, message):
                for subscription in attached:
                    subscription.put(sent, delay=delay)
        return message.id

    def deliver(self, topic: str, message: Message) -> None:
        """Give every subscription of a topic a message once more."""
        with self.lock:
            for subscription in self.attached(topic):
                subscription.put(message)

    def create_subscription(self, message: Any, *, strip_signature: bool = False) -> Subscription:
        """Keep a new subscription; it gets what is published from now on.

        Args:
            message: what was asked for.
            strip_signature: push tokens as Cloud Run hands them on.

        Raises:
            Refusal: ALREADY_EXISTS; NOT_FOUND, there is no such topic.
        """
        with self.lock:
            self._expire()
            if message.name in self._subscriptions:
                raise exists(message.name)
            self.check_topics(message)
            subscription = self._enter(message, strip_signature)
            self.save(subscription)
            subscription.start()
            return subscription

    def check_topics(self, message: Any) -> None:
        """See to it that a subscription's topics exist, and note how long its own retains messages.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self.lock:
            if message.HasField("dead_letter_policy"):
                self.topic(message.dead_letter_policy.dead_letter_topic)
            message.ClearField("topic_message_retention_duration")
            if message.topic != DELETED_TOPIC:
                topic = self.topic(message.topic)
                if topic.HasField("message_retention_duration"):
                    message.topic_message_retention_duration.CopyFrom(topic.message_retention_duration)

    def subscription(self, name: str) -> Subscription:
        """The subscription.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self.lock:
            self._expire()
            if name not in self._subscriptions:
                raise missing(name)
            return self._subscriptions[name]

    def subscriptions(self, project: str) -> list[Subscription]:
        """The subscriptions of `projects/P`, by name."""
        with self.lock:
            self._expire()
            return [one for name, one in sorted(self._subscriptions.items()) if name.startswith(f"{project}/")]

    def change_subscription(self, subscription: Subscription, message: Any) -> None:
        """Let a subscription be as `message` says from now on.

        Raises:
            Refusal: NOT_FOUND, its topic or that of its dead letters.
        """
        with self.lock:
            self.check_topics(message)
            subscription.change(message)
            self.save(subscription)

    def detach(self, subscription: Subscription) -> None:
        """Give a subscription nothing more, and forget its messages."""
        with self.lock:
            subscription.detach()
            self.save(subscription)

    def delete_subscription(self, name: str) -> None:
        """Forget a subscription and its messages.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self.lock:
            self._forget(subscription := self.subscription(name))
        subscription.close(time.monotonic() + 1.0)

    def attached(self, topic: str) -> Sequence[Subscription]:
        """The subscriptions that get what the topic is sent."""
        with self.lock:
            self._expire()
            return [one for one in self._attached.get(topic, ()) if not one.message.detached]

    def save(self, subscription: Subscription) -> None:
        """Write a subscription into the journal as it is now."""
        stripped = subscription.strip_signature
        self.journal.resource("subscription", subscription.name, subscription.message, stripped=stripped)

    def look_again(self) -> None:
        """Let whoever waits look at the clock: it has been moved."""
        with self.lock:
            self._expire()
            for subscription in self._subscriptions.values():
                subscription.look_again()

    def close(self, deadline: float) -> None:
        """End all pushing by `deadline` (monotonic)."""
        with self.lock:
            ending = list(self._subscriptions.values())
        for subscription in ending:
            subscription.close(deadline)
        self._dead_letters.close()

    def _next_id(self) -> str:
        return str(_FIRST_ID + self.journal.ids.next())

    def _save_topic(self, message: Any) -> None:
        self._topics[message.name] = message
        self.journal.resource("topic", message.name, message)

    def _enter(self, message: Any, strip_signature: bool) -> Subscription:
        keeping = Keeper(self.journal, message.name)
        subscription = Subscription(message, self._shared, keeping=keeping, strip_signature=strip_signature)
        self._subscriptions[message.name] = subscription
        self._attached[message.topic].append(subscription)
        return subscription

    def _forget(self, subscription: Subscription) -> None:
        del self._subscriptions[subscription.name]
        attached = self._attached.get(subscription.message.topic, [])
        if subscription in attached:
            attached.remove(subscription)
        subscription.backlog.replace((), ())
        self.journal.resource("subscription", subscription.name, None)
        self.policies.forget(subscription.name)

    def _expire(self) -> None:
        now = self._wall()
        for subscription in [one for one in self._subscriptions.values() if one.expires <= now]:
            self._forget(subscription)
            subscription.close(time.monotonic())
