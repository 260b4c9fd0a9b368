"""Short-lived daemon threads.

Daemon, because a pool's threads are joined at interpreter exit and one call that upstream never answers would hold
the exit up; short-lived, because an idle worker should cost a service no threads.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar


_T = TypeVar("_T")

#: Waits are made of pieces of so many seconds, and a piece that took longer counts as two: the process was stopped.
_PIECE: Final = 0.1


def spawn(work: Callable[[], object], *, name: str) -> threading.Thread:
    """Run `work` on a daemon thread; it must not raise."""
    thread = threading.Thread(target=work, name=f"keyturn-{name}", daemon=True)
    thread.start()
    return thread


def each(items: Iterable[_T], work: Callable[[_T], object], *, threads: int, seconds: float, name: str) -> bool:
    """Run `work` for every item, on at most so many threads; say whether all ended in time.

    Args:
        items: for which.
        work: what to do; must not raise.
        threads: at most.
        seconds: how long to wait, not counting time for which the process was stopped: work that has not had its
            seconds is no reason to go on without it.
        name: of the threads.
    """
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
    left = seconds
    for _ in range(count):
        ended_in_time, left = _wait(ended, left)
        if not ended_in_time:
            return False
    return True


def _wait(ended: threading.Semaphore, seconds: float) -> tuple[bool, float]:
    """Wait for one end; returns whether it came, and how many seconds are left."""
    while True:
        began = time.monotonic()
        came = ended.acquire(timeout=max(0.0, min(seconds, _PIECE)))
        seconds -= min(time.monotonic() - began, 2 * _PIECE)
        if came or seconds <= 0:
            return came, seconds
