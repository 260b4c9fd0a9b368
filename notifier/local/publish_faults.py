"""Faults of delivery on demand: messages that come late, twice or in another order."""

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from .fault_plan import REORDERED, FaultPlan, check_count
from .messages import Message


@dataclass(slots=True)
class _Duplicate:
    times: int
    new_id: bool


class PublishFaults:
    """What happens to the messages still to be published, by topic. Thread-safe.

    Args:
        next_id: makes ids of messages.
    """

    def __init__(self, next_id: Callable[[], str]) -> None:
        self._next_id = next_id
        self._lock = threading.Lock()
        self._delays: defaultdict[str, deque[float]] = defaultdict(deque)
        self._duplicates: defaultdict[str, deque[_Duplicate]] = defaultdict(deque)
        self._plan: FaultPlan | None = None
        self._last: dict[str, Message] = {}

    def delay(self, topic: str, seconds: float, *, times: int) -> None:
        """Deliver the next `times` messages of the topic `seconds` late.

        Raises:
            ValueError: that cannot be.
        """
        if not 0.0 <= seconds < math.inf:
            raise ValueError("`seconds` is not a number of seconds")
        check_count(times)
        with self._lock:
            self._delays[topic].extend([seconds] * times)

    def reorder(self, topic: str, *, times: int) -> None:
        """Let the next `times` messages of the topic be overtaken by the ones after them."""
        self.delay(topic, REORDERED, times=times)

    def duplicate(self, topic: str, *, times: int, copies: int, new_id: bool) -> None:
        """Deliver the next `times` messages of the topic `copies` more times, under the same or new ids.

        Raises:
            ValueError: that cannot be.
        """
        check_count(times)
        check_count(copies)
        with self._lock:
            self._duplicates[topic].extend(_Duplicate(copies, new_id) for _ in range(times))

    def follow(self, plan: FaultPlan | None) -> None:
        """Let messages meet what the plan says, where nothing else was asked for; None ends it."""
        with self._lock:
            self._plan = plan

    def clear(self) -> None:
        """End the faults."""
        with self._lock:
            self._delays.clear()
            self._duplicates.clear()
            self._plan = None

    def apply(self, topic: str, message: Message) -> list[tuple[Message, float]]:
        """What a published message becomes: itself and its copies, each with its delay in seconds."""
        with self._lock:
            self._last[topic] = message
            plan = self._plan
            delay = self._delays[topic].popleft() if self._delays[topic] else plan.late(message.id) if plan else 0.0
            if self._duplicates[topic]:
                copies = self._duplicates[topic].popleft()
            else:
                copies = _Duplicate(plan.copies(message.id) if plan else 0, True)
        return [(message, delay)] + [(self.copy(message, copies.new_id), delay) for _ in range(copies.times)]

    def last(self, topic: str) -> Message | None:
        """The message that was published last."""
        with self._lock:
            return self._last.get(topic)

    def copy(self, message: Message, new_id: bool) -> Message:
        """The message again; a publisher's repeat has a new id [seen in production by a third party]."""
        return replace(message, id=self._next_id()) if new_id else message
