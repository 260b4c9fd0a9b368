"""Short-lived daemon threads.

Daemon, because a pool's threads are joined at interpreter exit and one call that upstream never answers would hold
the exit up; short-lived, because an idle worker should cost a service no threads.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar


_T = TypeVar("_T")


def spawn(work: Callable[[], object], *, name: str) -> threading.Thread:
    """Run `work` on a daemon thread; it must not raise."""
    thread = threading.Thread(target=work, name=f"keyturn-{name}", daemon=True)
    thread.start()
    return thread


def each(items: Iterable[_T], work: Callable[[_T], object], *, threads: int, seconds: float, name: str) -> bool:
    """Run `work` for every item, on at most so many threads; say whether all ended in time."""
    waiting: queue.SimpleQueue[_T] = queue.SimpleQueue()
    count = 0
    for item in items:
        waiting.put(item)
        count += 1
    ended = threading.Semaphore(0)

    def drain() -> None:
        while True:
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                work(item)
            finally:
                ended.release()

    for _ in range(min(threads, count)):
        spawn(drain, name=name)
    deadline = time.monotonic() + seconds
    return all(ended.acquire(timeout=max(0.0, deadline - time.monotonic())) for _ in range(count))
