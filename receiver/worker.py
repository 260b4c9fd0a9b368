"""One worker's side of its container: what it hears, and what it tells.

News travels one way. Whoever learns something writes it to the container's board first, tells its siblings, refreshes
its own entries meanwhile, and answers when all have confirmed. A worker that did not hear compares one number at the
start of each request and merges the board before the request runs.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .callbacks import PATIENCE
from .entry import Rest, Verdict
from .errors import BoardError, ConfigurationError
from .knowledge import Knowledge
from .live import LiveEntry
from .membership import Membership
from .names import SecretName
from .registry import Registry
from .rounds import UPSTREAM, Rounds, digest, is_followed
from .spread import Spread, may_mend, spread_of, worst
from .telemetry import entry as log
from .threads import each, spawn
from .watch import NOTHING, Watch


# Late: sockets, mappings and files are for those who serve, not for all who import.
if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from .container import Container


#: How long a request waits for its worker to catch up before it is served the last good value, in seconds.
CATCH_UP: Final = 1.0

#: How many entries load or refresh at the same time: as many calls as one HTTP/2 connection usually carries.
LOADERS: Final = 100

#: The ways of news that only a member hears of.
_UNASKED: Final = frozenset({"pull", "sibling"})

#: A person can have an entry looked at once in so many seconds.
EVERY: Final = 10.0


class Worker:
    """Be one worker of a container, for the entries of a registry. Thread-safe; touches nothing before `join`.

    Args:
        registry: the entries.
        key: says what workers that belong together have in common; asked when they first meet.
        run_dir: the directory under which they meet; None for the usual places.
        backstop: seconds between two safety reads of the container; None for none.
        clock: monotonic seconds.
        wall: nanoseconds since the epoch.
        jitter: a number between 0 and 1 at each call.
        begin: called with the directory that the workers share, before anybody reads as one of them.
        joined: called once this one has joined.
        alive: called after each safety read of this worker.
        in_a_fleet: whether every instance hears, so that news which no event confirms is a fault.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        key: Callable[[], str],
        run_dir: str | None,
        backstop: float | None,
        clock: Callable[[], float],
        wall: Callable[[], int],
        jitter: Callable[[], float],
        begin: Callable[[Path], None],
        joined: Callable[[], None],
        alive: Callable[[], None],
        in_a_fleet: bool = False,
    ) -> None:
        self._registry = registry
        self._key = key
        self._run_dir = run_dir
        self._clock = clock
        self._wall = wall
        self._begin = begin
        self._lock = threading.Lock()
        self._watch = Watch()
        #: Whether this process is a member, and of what.
        self.membership = Membership(self._enter, joined=joined)
        self._settled: dict[SecretName, Knowledge] = {}
        self._rounds = Rounds(
            registry,
            look=self.look,
            every=backstop,
            patience=CATCH_UP,
            clock=clock,
            wall=wall,
            jitter=jitter,
            alive=alive,
            in_a_fleet=in_a_fleet,
            watch=self._watch,
        )

    @property
    def current(self) -> bool:
        """Whether this worker was awake and has heard all that its container has; reads memory and a clock only."""
        return self._watch.current(self._wall())

    def _enter(self) -> "Container":
        from .container import Container

        container = Container(
            self._key(),
            run_dir=self._run_dir,
            apply=self._hear,
            merge=self._registry.tell,
            tick=self._tick,
            watch=self._watch,
            clock=self._clock,
        )
        try:
            generation = container.merge_board()
            if not any(entry.behind for entry in self._registry.all()):
                container.follow(generation)
            self._rounds.began(container)
            self._begin(container.directory)
        except BaseException:  # the next one who joins begins anew, rather than be a member that hears nothing
            self._rounds.ended()
            container.leave()
            raise
        return container

    def call(self, since: float) -> None:
        """Call all workers of the container to a wake check: news may have been missed since that monotonic second."""
        self._rounds.call(since)

    def leave(self, *, stays: Callable[[Callable[[], bool]], bool] | None = None) -> None:
        """Leave the container, where this process is a member; see `Siblings.leave`."""
        container = self.membership.end()
        if container is not None:
            self._rounds.ended()
            container.leave(stays=stays)

    def after_fork(self) -> None:
        """In a forked child: it is no member, and the parent's membership stays the parent's. Memory only."""
        self._lock = threading.Lock()
        self._rounds.after_fork()
        self.membership.after_fork()
        self._watch.seen = NOTHING  # even where another thread was about to join

    def fence(self) -> None:
        """Catch up before work begins; see `SecretCache.fence`."""
        if not self.current:
            self._fall_in()

    def fenced(self, app: "WSGIApplication") -> "WSGIApplication":
        """Let this worker catch up before each request of `app`; see `SecretCache.fenced`."""
        watch, wall = self._watch, self._wall

        def fenced(environ: Any, start_response: Any) -> Iterable[bytes]:
            # What `current` asks, spelled out: every request pays for it, and a call costs as much as it compares.
            if watch.seen != watch.memory[0] or not watch.ticked_ns <= wall() < watch.asleep_at_ns:
                self._fall_in()
            return app(environ, start_response)

        return fenced

    def _fall_in(self) -> None:
        container = self.membership.join()
        until = self._clock() + CATCH_UP  # for all of it
        self._rounds.wake.wait(until)
        if container.behind:
            self._catch_up(container, until)

    def announce(self, name: SecretName, news: Knowledge, *, deadline: float, path: str) -> Spread:
        """Take in what an event says of a secret, here and in every other worker; see `SecretCache.announce`."""
        entries = self._registry.concerned(name)
        if not entries:
            return Spread.NOT_OURS
        self._rounds.confirm(entries, news)
        settled = self._settled.get(name)
        # What a forked child's first read has found is told to callbacks later than it was announced.
        unfinished = any(entry.behind or entry.callbacks.pending() for entry in entries)
        if settled is not None and not settled.lacks(news) and not unfinished:
            return Spread.KNOWN
        spread = self._spread(name, news, deadline=deadline, path=path)
        return Spread.FIXED if all(entry.fixed for entry in entries) else spread

    def refresh(
        self, entries: Iterable[LiveEntry], *, deadline: float
    ) -> tuple[Spread, list[LiveEntry], dict[str, float]]:
        """Look for newer versions because a person asked; once in `EVERY` seconds per entry and container.

        Args:
            entries: which.
            deadline: monotonic time by which this returns.

        Returns:
            How far it got; the entries that were looked at or are never refreshed; and the names of those that were
            looked at lately, with the seconds until they can be again.

        Raises:
            BoardError: the container's directory cannot be written.
            ConfigurationError: the container's workers have nowhere to meet.
        """
        container = self.membership.join()
        asked: list[LiveEntry] = []
        too_soon: dict[str, float] = {}
        for entry in entries:
            wait = container.claim(f"refresh-{digest(entry)}", every=EVERY) if not entry.fixed else 0.0
            if wait:
                too_soon[str(entry.declaration.name)] = wait
            else:
                asked.append(entry)
        return self.look(asked, deadline=deadline, path="forced"), asked, too_soon

    def look(self, entries: Iterable[LiveEntry], *, deadline: float, path: str) -> Spread:
        """Ask upstream for newer versions of `entries`, and tell every other worker, as a member, what was found.

        Args:
            entries: which; static ones are left alone. Those that nobody has read here yet are loaded, since other
                workers may serve them.
            deadline: monotonic time by which this returns.
            path: by which path the news came, for the log.
        """
        concerned = list(entries)
        looking = [entry for entry in concerned if not entry.fixed]
        if not looking:
            return Spread.FIXED if concerned else Spread.NOT_OURS
        upstream = min(deadline, self._clock() + UPSTREAM)
        rests = self._refresh(looking, read=True, path=path, deadline=upstream)
        found = [Spread.UNSETTLED] * (len(looking) - len(rests))
        answered: dict[SecretName, None] = {}
        for entry, rest in rests:
            found.append(spread_of([rest]))
            if rest.verdict is not Verdict.FAILED:
                answered[entry.declaration.name] = None
        found += [self._settle(name, deadline) for name in answered]
        return worst(found)

    def share(self, entry: LiveEntry) -> None:
        """Tell every other worker what this one has found of an entry, without waiting for them."""
        if self.membership.container is not None:
            spawn(lambda: self._share(entry.declaration.name), name="share")

    def _share(self, declared: SecretName) -> None:
        try:
            self._settle(declared, self._clock() + UPSTREAM)
        except (BoardError, ConfigurationError) as exc:
            log(logging.ERROR, "board_unwritable", str(exc))

    def _settle(self, declared: SecretName, deadline: float) -> Spread:
        # The siblings learn what was found by the secret's number, under which everybody knows it.
        name = self._registry.numbered(declared)
        if name is None:
            return Spread.UNSETTLED
        return self._spread(name, self._registry.known(name), deadline=deadline, path="sibling")

    def _spread(self, name: SecretName, news: Knowledge, *, deadline: float, path: str) -> Spread:
        # Who hears or looks by itself is a member, and does not join anew where it has left meanwhile.
        container = self.membership.container if path in _UNASKED else self.membership.join()
        if container is None:
            return Spread.UNSETTLED
        here: list[Rest] = []
        told = container.tell(
            name, news, deadline=deadline, meanwhile=lambda: here.extend(self._apply(name, news, path=path))
        )
        spread = spread_of(here) if told.settled else Spread.UNSETTLED
        if spread is not Spread.UNSETTLED:
            with self._lock:
                self._settled[name] = self._settled.get(name, Knowledge()).merge(news)
        return spread

    def _apply(self, name: SecretName, news: Knowledge, *, path: str) -> list[Rest]:
        self._registry.tell(name, news)
        deadline = self._clock() + UPSTREAM
        followed = [entry for entry in self._registry.concerned(name) if is_followed(entry)]
        rests = [entry.refresh(deadline=deadline, path=path) for entry in followed]
        patience = self._clock() + PATIENCE
        for entry in followed:
            entry.callbacks.wait(patience)
        return rests

    def _hear(self, name: SecretName, news: Knowledge) -> bool:
        well = not any(may_mend(rest) for rest in self._apply(name, news, path="sibling"))
        self._rounds.heard(self._registry.concerned(name), news)
        return well

    def _catch_up(self, container: "Container", until: float) -> None:
        try:
            generation = container.merge_board()
        except BoardError as exc:
            if container is self.membership.container:  # who has left meanwhile has nothing to catch up with
                log(logging.ERROR, "board_unreadable", str(exc))
            return
        behind = [entry for entry in self._registry.all() if entry.behind]
        patience = until - self._clock()
        rests = self._refresh(behind, path="board", deadline=self._clock() + UPSTREAM, patience=patience)
        # Where the time went elsewhere, into a stop of this process say, the next request waits anew: others may have
        # acknowledged meanwhile, since this worker was silent.
        if len(rests) == len(behind) or patience > CATCH_UP / 2:
            container.follow(generation)

    def _refresh(
        self,
        entries: list[LiveEntry],
        *,
        path: str,
        deadline: float,
        read: bool = False,
        patience: float | None = None,
    ) -> list[tuple[LiveEntry, Rest]]:
        """Refresh all at once; returns where those came to rest that did so in time."""
        rests: list[tuple[LiveEntry, Rest]] = []
        each(
            entries,
            lambda entry: rests.append((entry, entry.refresh(read=read, deadline=deadline, path=path))),
            threads=LOADERS,
            seconds=deadline - self._clock() if patience is None else patience,
            name=path,
        )
        return list(rests)

    def _tick(self) -> None:
        self._rounds.tick()
        now, due = self._clock(), []
        for entry in self._registry.all():
            entry.tick()
            if entry.retry_at is not None and entry.retry_at <= now:
                entry.retry_at = now + 2 * UPSTREAM  # should nothing come of it, for want of threads
                due.append(entry)
        self._refresh(due, path="retry", deadline=now + UPSTREAM, patience=0)
        container = self.membership.container
        if container is not None and container.behind:
            # Where no request comes by, or none that passes the check, nobody else reads the board.
            spawn(lambda: self._catch_up(container, self._clock() + CATCH_UP), name="board")
