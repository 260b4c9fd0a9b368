"""What a worker does unasked: wake checks, safety reads, and saying which news no event has confirmed.

Both look upstream for newer versions of what this worker has in use. Of a container's workers one does it for each
entry; which one, the board says.
"""

import logging
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from .errors import BoardError, ConfigurationError
from .knowledge import Knowledge
from .live import LiveEntry
from .registry import Registry
from .telemetry import entry as log
from .threads import spawn
from .unconfirmed import Unconfirmed
from .wake import Told, Wake
from .watch import Watch


if TYPE_CHECKING:
    from .container import Container


#: How long one refresh may spend upstream, in seconds: well inside a push's ack deadline.
UPSTREAM: Final = 4.0

#: A safety read that another worker made within this part of the interval need not be made again.
_FRESH: Final = 0.5


class Rounds:
    """Go the rounds of a worker. Thread-safe; nothing is due before `began`.

    Args:
        registry: the entries.
        look: looks upstream for newer versions of entries, and tells the other workers; see `Worker.look`.
        every: seconds between two safety reads of the container; None for none.
        patience: for how many seconds a request waits for a wake check.
        clock: monotonic seconds.
        wall: nanoseconds since the epoch.
        jitter: a number between 0 and 1 at each call.
        alive: called after each safety read of this worker.
        in_a_fleet: whether every instance hears, so that news which no event confirms is a fault.
        watch: shows whether this process was awake.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        look: Callable[..., Any],
        every: float | None,
        patience: float,
        clock: Callable[[], float],
        wall: Callable[[], int],
        jitter: Callable[[], float],
        alive: Callable[[], None],
        in_a_fleet: bool,
        watch: Watch,
    ) -> None:
        self._registry = registry
        self._look = look
        self._every = every
        self._clock = clock
        self._jitter = jitter
        self._alive = alive
        self._in_a_fleet = in_a_fleet
        self.wake = Wake(self._check, patience=patience, clock=clock, wall=wall, watch=watch)
        self._told = Told(clock=clock)
        self._unconfirmed = Unconfirmed(clock=clock)
        self._container: Container | None = None
        self._called = 0.0
        self._read_at = math.inf

    def began(self, container: "Container") -> None:
        """Go the rounds of a member of `container` from now on."""
        self._container = container
        self._called = container.called()
        self.wake.started()
        self._plan()

    def ended(self) -> None:
        """Go no rounds from now on."""
        self._container = None

    def after_fork(self) -> None:
        """In a forked child: it is no member. Memory only."""
        self._container = None
        self.wake.after_fork()
        self._told.after_fork()
        self._unconfirmed.after_fork()

    def call(self, since: float) -> None:
        """Call all workers of the container to a wake check: news may have been missed since that monotonic second."""
        container = self._container
        if container is not None:
            container.call(since)
            self._called = max(self._called, since)
            self.wake.begin(since)

    def tick(self) -> None:
        """Start what is due; never waits. To be called each second."""
        self.wake.tick()
        container = self._container
        if container is not None and (called := container.called()) > self._called:
            self._called = called
            self.wake.begin(called)
        if self._clock() >= self._read_at and not self.wake.due:  # a wake check that is under way is one
            spawn(self._read, name="backstop")
            self._plan()
        self._say_unconfirmed()

    def heard(self, entries: Iterable[LiveEntry], news: Knowledge) -> None:
        """Note that this worker serves what a sibling has told of `entries`."""
        concerned = list(entries)
        self._told.note(entry.declaration.key for entry in concerned)
        self.confirm(concerned, news)

    def confirm(self, entries: Iterable[LiveEntry], news: Knowledge) -> None:
        """Note that an event has told of `entries`."""
        for entry in entries:
            self._unconfirmed.confirm(entry.declaration.name, news)

    def _check(self, since: float) -> None:
        """Look for newer versions of what this worker has in use, but for what another one looks for."""
        container = self._container
        if container is None:
            return
        is_safety_read = self._clock() >= self._read_at
        if is_safety_read:
            self._plan()
        mine: list[LiveEntry] = []
        theirs: list[LiveEntry] = []
        for entry in self._registry.all():
            if is_followed(entry):
                (mine if container.claim_since(f"wake-{digest(entry)}", since) else theirs).append(entry)
        deadline = self._clock() + 2 * UPSTREAM
        try:
            self._look(mine, deadline=deadline, path="wake")
        except (BoardError, ConfigurationError) as exc:
            log(logging.ERROR, "board_unwritable", str(exc))
        awaited = [entry.declaration.key for entry in theirs]
        self._told.wait(awaited, since=since, seconds=deadline - self._clock())
        if is_safety_read:
            self._alive()

    def _plan(self) -> None:
        if self._every is not None:
            self._read_at = self._clock() + self._every * (_FRESH + self._jitter())

    def _read(self) -> None:
        container, every = self._container, self._every
        if container is None or every is None:
            return
        try:
            # One by one, since another worker may not have read all that this one serves.
            mine = [
                entry
                for entry in self._registry.all()
                if is_followed(entry) and not container.claim(f"backstop-{digest(entry)}", every=every * _FRESH)
            ]
            before = [entry.version for entry in mine]
            self._look(mine, deadline=self._clock() + 2 * UPSTREAM, path="backstop")
        except (BoardError, ConfigurationError) as exc:
            log(logging.ERROR, "board_unwritable", str(exc))
        else:
            for entry, version in zip(mine, before, strict=True):
                if entry.version is not None and entry.version > (version or 0) and entry.report.path == "backstop":
                    self._unconfirmed.note(entry.declaration.name, entry.version)
        self._alive()

    def _say_unconfirmed(self) -> None:
        for name, version in self._unconfirmed.overdue():
            if self._in_a_fleet:
                text = f"no event has told of version {version} of {name}, which a safety read found: see its topic"
                log(logging.ERROR, "unconfirmed", text, secret=str(name), version=version)


def is_followed(entry: LiveEntry) -> bool:
    """Whether an entry is in use here and may change."""
    return entry.in_use and not entry.fixed


def digest(entry: LiveEntry) -> str:
    """A name for an entry that every worker of the container gives it, fit for a file's."""
    import hashlib

    return hashlib.sha256(repr(entry.declaration.key).encode()).hexdigest()[:16]
