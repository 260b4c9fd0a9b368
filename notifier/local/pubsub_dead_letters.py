"""Dead letters: what a message becomes that nobody acknowledged, and the thread that sends it on."""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .clocks import utc
from .messages import Message
from .subscription import Subscription


# The prefix of what is added to the attributes [documented].
_ADDED = "CloudPubSubDeadLetterSource"


def attributes(message: Message, *, subscription: str, attempts: int) -> dict[str, str]:
    """The attributes of a dead letter: the message's own and where it comes from [documented].

    The forms of their values are [seen in production by a third party]: short name, project, number, and the time
    with milliseconds and `+00:00`.
    """
    _, project, _, name = subscription.split("/")
    return {
        **message.attributes,
        f"{_ADDED}DeliveryCount": str(attempts),
        f"{_ADDED}Subscription": name,
        f"{_ADDED}SubscriptionProject": project,
        f"{_ADDED}TopicPublishTime": utc(message.at).isoformat(timespec="milliseconds"),
    }


@dataclass(frozen=True, slots=True)
class _Dead:
    subscription: Subscription
    number: int
    message: Message
    attempts: int
    topic: str


class DeadLetters:
    """Publish dead letters on a thread of its own: they are found where no topic may be published to.

    Thread-safe.

    Args:
        publish: takes topic, data, attributes and ordering key; answers None where there is no such topic.
        has_topic: whether a topic exists.
    """

    def __init__(
        self,
        publish: Callable[[str, bytes, Mapping[str, str], str], str | None],
        has_topic: Callable[[str], bool],
    ) -> None:
        self._publish = publish
        self._has_topic = has_topic
        self._waiting: queue.SimpleQueue[_Dead | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def bury(self, subscription: Subscription, number: int, message: Message, attempts: int) -> bool:
        """Publish a message as a dead letter soon; False where it has to stay, as there is no topic [documented].

        It is called under the backlog's lock, so it waits for nothing.
        """
        topic = str(subscription.message.dead_letter_policy.dead_letter_topic)
        if not self._has_topic(topic):
            return False
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="local-dead-letters", daemon=True)
                self._thread.start()
        self._waiting.put(_Dead(subscription, number, message, attempts, topic))
        return True

    def close(self) -> None:
        """End, once what was sent before is published."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            self._waiting.put(None)
            thread.join(1.0)

    def _work(self) -> None:
        while (dead := self._waiting.get()) is not None:
            name, message = dead.subscription.name, dead.message
            told = attributes(message, subscription=name, attempts=dead.attempts)
            sent = self._publish(dead.topic, message.data, told, message.ordering_key)
            dead.subscription.buried(dead.number, message, done=sent is not None)
