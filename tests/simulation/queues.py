"""The standard library's `queue`, as far as the package uses it, on simulated threads."""

import queue as real_queue
from collections import deque
from types import SimpleNamespace
from typing import Any

from .scheduler import SCHEDULER, Task
from .threads import forget


class SimpleQueue:
    """`queue.SimpleQueue`."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._waiting: list[Task] = []

    def put(self, item: Any) -> None:
        self._items.append(item)
        SCHEDULER.wake_one(self._waiting)
        SCHEDULER.step()

    def get(self, timeout: float | None = None) -> Any:
        SCHEDULER.step()
        end = None if timeout is None else SCHEDULER.now + timeout
        while not self._items:
            if end is not None and end <= SCHEDULER.now:
                raise real_queue.Empty
            self._waiting.append(SCHEDULER.current)
            if not SCHEDULER.block(None if end is None else end - SCHEDULER.now):
                forget(self._waiting)
        return self._items.popleft()

    def get_nowait(self) -> Any:
        return self.get(timeout=0.0)

    def forked(self, copied: Any) -> "SimpleQueue":
        child = SimpleQueue()
        child._items = copied(self._items)
        return child


queue = SimpleNamespace(SimpleQueue=SimpleQueue, Empty=real_queue.Empty)
