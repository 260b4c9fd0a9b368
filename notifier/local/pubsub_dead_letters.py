"""Dead letters: what a message becomes that nobody acknowledged, and the thread that sends it on."""

import queue
import threading
from collections.abc import Callable, Mapping

from .backlog import Message
from .clocks import utc


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


class DeadLetters:
    """Publish dead letters on a thread of its own: they are found where no topic may be published to.

    Thread-safe.

    Args:
        publish: takes topic, data, attributes and ordering key.
    """

    def __init__(self, publish: Callable[[str, bytes, Mapping[str, str], str], object]) -> None:
        self._publish = publish
        self._waiting: queue.SimpleQueue[tuple[str, Message] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def send(self, topic: str, message: Message) -> None:
        """Publish a dead letter soon."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="local-dead-letters", daemon=True)
                self._thread.start()
        self._waiting.put((topic, message))

    def close(self) -> None:
        """End, once what was sent before is published."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            self._waiting.put(None)
            thread.join(1.0)

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            topic, message = job
            self._publish(topic, message.data, message.attributes, message.ordering_key)
