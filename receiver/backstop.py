"""When a worker's safety read is due, and who waits for one that is late.

It is looked at each second. Where nothing runs between two requests (Cloud Run with CPU during requests only, a process
that was stopped) the seconds are not counted, so the next request finds the read overdue and waits for it.
"""

import math
import threading
from collections.abc import Callable
from typing import Final

from .threads import spawn


#: Seconds: a read that was due so long ago was passed over by a tick each second, so ticks do not come.
LATE: Final = 5.0


class Backstop:
    """Start safety reads. Thread-safe.

    Args:
        every: seconds between two reads of a container; None for none.
        look: reads; runs on a daemon thread and ends in time.
        patience: how many seconds a request waits for a read that is late.
        clock: monotonic seconds.
        jitter: a number between 0 and 1 at each call.
    """

    def __init__(
        self,
        every: float | None,
        *,
        look: Callable[[], None],
        patience: float,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._every = every
        self._look = look
        self._patience = patience
        self._clock = clock
        self._jitter = jitter
        #: From this monotonic time on a request has to call `make_up`; infinity where nothing is due.
        self.overdue_at = math.inf
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: nothing is under way, and nothing is due before `plan`. Memory only."""
        self._lock = threading.Lock()
        self._due_at = math.inf
        self._late: tuple[threading.Event, float] | None = None
        self.overdue_at = math.inf

    def plan(self) -> None:
        """Set the time of the next read, half an interval to one and a half from now."""
        with self._lock:
            self._plan()

    def tick(self) -> None:
        """Start the read where it is due; never waits."""
        if self._clock() >= self._due_at:
            self._start()

    def make_up(self) -> None:
        """Start the read where it is overdue, and wait for it until it ends or has taken `patience` seconds."""
        if self._clock() >= self.overdue_at:
            self._start()
        late = self._late
        if late is not None:
            done, since = late
            done.wait(max(0.0, since + self._patience - self._clock()))

    def _plan(self) -> None:
        if self._every is not None:
            self._due_at = self._clock() + self._every * (0.5 + self._jitter())
            self.overdue_at = self._due_at + LATE

    def _start(self) -> None:
        done = threading.Event()
        with self._lock:
            now = self._clock()
            if now < self._due_at:
                return
            if now >= self.overdue_at:
                self._late = done, now
            self._plan()
            if self._late is not None:
                # Requests that begin while it is under way wait for it too.
                self.overdue_at = -math.inf
        try:
            spawn(lambda: self._run(done), name="backstop")
        except BaseException:  # out of threads: the next tick tries again
            with self._lock:
                self._due_at = now
            self._end(done)
            raise

    def _run(self, done: threading.Event) -> None:
        try:
            self._look()
        finally:
            self._end(done)

    def _end(self, done: threading.Event) -> None:
        with self._lock:
            if self._late is not None and self._late[0] is done:
                self._late = None
                self.overdue_at = self._due_at + LATE
        done.set()
