"""The wake check: after news may have been missed, the workers of a container look for newer versions, each entry once.

News is missed while a process gets no CPU (its ticks show that, see `receiver.ticks`), and when the worker that hears
for its container dies or hears anew. Each worker then claims the entries that it has in use; whoever is granted one
looks for it and tells the others, who wait to be told.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Final

from .knowledge import SECOND
from .threads import spawn
from .ticks import ASLEEP, Moment, heard_nothing_since, slept
from .watch import Watch


_ASLEEP_NS: Final = int(ASLEEP * SECOND)


class Wake:
    """Notice sleep, and start wake checks. Thread-safe.

    Args:
        check: looks for newer versions of all entries in use, given the monotonic second since which news may have
            been missed; runs on a daemon thread, must not raise, and ends in time.
        patience: for how many seconds after a check began requests wait for it.
        clock: monotonic seconds.
        wall: nanoseconds since the epoch.
        watch: shows from when until when this process counts as awake: never while a check is under way.
    """

    def __init__(
        self,
        check: Callable[[float], object],
        *,
        patience: float,
        clock: Callable[[], float],
        wall: Callable[[], int],
        watch: Watch,
    ) -> None:
        self._check = check
        self._patience = patience
        self._clock = clock
        self._wall = wall
        self._watch = watch
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: it is awake, and nothing is under way. Memory only."""
        self._lock = threading.Lock()
        self._under_way: tuple[threading.Event, float] | None = None
        self._mark(self._now())

    def started(self) -> None:
        """Say that ticks come from now on."""
        with self._lock:
            self._mark(self._now())

    def _now(self) -> Moment:
        return Moment(self._clock(), self._wall())

    def _mark(self, now: Moment) -> None:
        self._last_tick = now
        self._show()

    def _show(self) -> None:
        # Each request reads one clock, since a reading costs as much as all else that it compares: the wall clock,
        # which does not stop where a sandbox is frozen. Who finds it outside of this span asks both.
        wall = self._last_tick.wall
        self._watch.ticked_ns = wall
        self._watch.asleep_at_ns = wall + _ASLEEP_NS if self._under_way is None else 0

    @property
    def due(self) -> bool:
        """Whether `wait` may have something to do: one reading of a clock.

        A sleep shows in the wall clock, unless that was set back meanwhile by nearly as much; the next tick, which
        reads both clocks, tells then.
        """
        return not self._watch.ticked_ns <= self._wall() < self._watch.asleep_at_ns

    def tick(self) -> None:
        """Say that this process runs; starts a check where it had not run for long. Never waits."""
        with self._lock:
            before, now = self._last_tick, self._now()
            self._mark(now)
            if not slept(before, now):
                return
            done = self._begun(now.monotonic)
        self._start(heard_nothing_since(before, now), done)

    def begin(self, since: float) -> None:
        """Start a check because news may have been missed since that monotonic second. Never waits."""
        with self._lock:
            done = self._begun(self._clock())
        self._start(since, done)

    def _begun(self, now: float) -> threading.Event:
        done = threading.Event()
        self._under_way = done, now + self._patience
        self._show()
        return done

    def wait(self, until: float) -> None:
        """Notice sleep as `tick` does, and wait for the check that is under way, `patience` seconds at most.

        Args:
            until: a monotonic second after which this does not wait in any case.
        """
        self.tick()
        under_way = self._under_way
        if under_way is not None:
            done, end = under_way
            done.wait(max(0.0, min(end, until) - self._clock()))

    def _start(self, since: float, done: threading.Event) -> None:
        def check() -> None:
            try:
                self._check(since)
            finally:
                self._over(done)

        try:
            spawn(check, name="wake")
        except RuntimeError:  # out of threads, or the interpreter is going down
            self._over(done)

    def _over(self, done: threading.Event) -> None:
        with self._lock:
            if self._under_way is not None and self._under_way[0] is done:
                self._under_way = None
                self._show()
        done.set()


class Told:
    """When siblings last told this worker of an entry. Thread-safe.

    Args:
        clock: monotonic seconds, of the machine: workers compare theirs.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: nobody has told it anything. Memory only."""
        self._told = threading.Condition()
        self._at: dict[object, float] = {}

    def note(self, what: Iterable[object]) -> None:
        """Note that this worker serves what a sibling has just told of these."""
        with self._told:
            now = self._clock()
            for one in what:
                self._at[one] = now
            self._told.notify_all()

    def wait(self, what: Iterable[object], *, since: float, seconds: float) -> bool:
        """Wait until siblings have told of all of these since a monotonic second; say whether they have."""
        awaited = list(what)
        with self._told:
            return self._told.wait_for(
                lambda: all(self._at.get(one, float("-inf")) >= since for one in awaited), max(0.0, seconds)
            )
