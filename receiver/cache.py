"""`SecretCache`: what a service declares, and how news reaches every entry of every worker.

News travels one way. Whoever learns something writes it to the container's board first, tells its siblings, refreshes
its own entries meanwhile, and answers when all have confirmed. A worker that did not hear compares one number at the
start of each request and merges the board before the request runs.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Literal, overload

from .board import BoardError
from .container import Container
from .declaration import Declaration, OnRevoked
from .entry import Rest, Verdict
from .errors import SecretUnavailable
from .hooks import at_exit, at_fork
from .knowledge import LATEST, Knowledge, Pin
from .live import LiveEntry, Surroundings
from .masters import in_a_master
from .names import SecretName
from .registry import Registry
from .secret import Secret
from .secret_manager import SecretManagerSource
from .source import SecretSource
from .telemetry import entry as log
from .threads import each
from .values import Type


#: How long one refresh may spend upstream, in seconds: well inside a push's ack deadline.
UPSTREAM: Final = 4.0

#: How long a request waits for its worker to catch up before it is served the last good value, in seconds.
CATCH_UP: Final = 1.0

#: How many entries load at the same time.
LOADERS: Final = 64


class Spread(Enum):
    """How far an event got."""

    NOT_OURS = "not ours"
    KNOWN = "known"
    SETTLED = "settled"
    HELD_BACK = "held back"
    UNSETTLED = "unsettled"


class SecretCache:
    """Hold the secrets that a service declares, each at its newest usable version.

    Nothing outside is touched before the first `load`, read, request or event: no client, network or environment.
    Thread-safe. Safe to fork: a child starts with the inherited values as last good ones and looks for itself.

    Args:
        project: the project's id (or number) that secrets are declared in.
        location: the region of regional secrets, "" for global ones; a declaration may say otherwise.
        service: what tells this service from others of the same user on the same machine; the platform's name
            (K_SERVICE) where it is not given.
        source: where values come from; Secret Manager where it is not given. Not closed by the cache if given.
        run_dir: the directory under which the container's workers meet; see KEYTURN_RUN_DIR.
        clock: monotonic seconds.
        wall: nanoseconds since the epoch.
        jitter: a number between 0 and 1 at each call, for the pauses between retries.
        pause: waits for so many seconds.
    """

    def __init__(
        self,
        project: str,
        *,
        location: str = "",
        service: str | None = None,
        source: SecretSource | None = None,
        run_dir: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
        jitter: Callable[[], float] = random.random,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        SecretName(project, "any", location)  # a wrong project or region is said here, not at the first read
        self.project = project
        self._location = location
        self._service = service
        self._run_dir = run_dir
        self._own_source = source is None
        self._source = source or SecretManagerSource()
        self._clock = clock
        self._wall = wall
        self._registry = Registry()
        self._around = Surroundings(
            source=self._source, clock=clock, wall=wall, jitter=jitter, pause=pause, learned=self._registry.learn
        )
        self._settled: dict[SecretName, Knowledge] = {}
        self._lock = threading.Lock()
        self._joining = threading.Lock()
        self._container: Container | None = None
        self._at_fork: list[Callable[[], None]] = []
        at_fork(self)

    @overload
    def secret(
        self,
        name: str,
        *,
        type: Literal["text"] = "text",
        pin: Pin = ...,
        location: str | None = ...,
        static: bool = ...,
        hot_because: str | None = ...,
        on_revoked: OnRevoked = ...,
    ) -> Secret[str]: ...
    @overload
    def secret(
        self,
        name: str,
        *,
        type: Literal["bytes"],
        pin: Pin = ...,
        location: str | None = ...,
        static: bool = ...,
        hot_because: str | None = ...,
        on_revoked: OnRevoked = ...,
    ) -> Secret[bytes]: ...
    @overload
    def secret(
        self,
        name: str,
        *,
        type: Literal["json"],
        pin: Pin = ...,
        location: str | None = ...,
        static: bool = ...,
        hot_because: str | None = ...,
        on_revoked: OnRevoked = ...,
    ) -> Secret[Any]: ...

    def secret(
        self,
        name: str,
        *,
        type: Type = "text",  # noqa: A002  # the manifest's word for it
        pin: Pin = LATEST,
        location: str | None = None,
        static: bool = False,
        hot_because: str | None = None,
        on_revoked: OnRevoked = "keep",
    ) -> Secret[Any]:
        """Declare a secret and return the handle to read it by. The same declaration returns the same handle.

        Args:
            name: the secret's id.
            type: "text" (UTF-8, one trailing newline dropped), "bytes" (untouched) or "json" (parsed and frozen).
            pin: "latest" (the highest usable version), an alias, or a fixed number.
            location: the region of a regional secret, "" for a global one; the cache's where it is not given.
            static: never change it while the process runs.
            hot_because: why a secret whose name looks like a private or signing key may change nevertheless.
            on_revoked: what happens when no version is usable any more: "keep" the last good value and log an
                error, or "raise" `SecretRevoked` at each read.

        Raises:
            ValueError: an argument is not one of these, the name looks like a private or signing key and the
                declaration says neither `static=True` nor why it is hot, or it contradicts an earlier declaration.
        """
        declaration = Declaration(
            name=SecretName(self.project, name, self._location if location is None else location),
            pin=pin,
            type=type,
            static=static,
            hot_because=hot_because,
            on_revoked=on_revoked,
        )
        return self._registry.declare(declaration, self._entry).handle

    def load(self, *, timeout: float = 10.0) -> None:
        """Load every declared secret, in parallel; returns when each has its newest usable version.

        Safe under `gunicorn --preload`: in a master nothing stays open that a worker must not inherit.

        Args:
            timeout: seconds for all of it.

        Raises:
            SecretUnavailable: some could not be loaded; the message says which, why, and what to do.
            ConfigurationError: the container's workers have nowhere to meet.
        """
        master = in_a_master()
        if not master:
            self._member()
        deadline = self._clock() + timeout
        waiting = [entry for entry in self._registry.all() if not entry.loaded]
        each(
            waiting,
            lambda entry: entry.refresh(read=True, deadline=deadline, path="start"),
            threads=LOADERS,
            seconds=timeout,
            name="load",
        )
        if master:
            self._source.close()
        missing = [entry for entry in waiting if not entry.loaded]
        if missing:
            raise SecretUnavailable(_unavailable(missing))

    def fence(self) -> None:
        """Let this worker catch up before a request runs; called at the start of each.

        Where nothing happened since the last time it costs one comparison. Otherwise it waits until the entries
        concerned have been refreshed, `CATCH_UP` seconds at most; then the last good values serve.

        Raises:
            ConfigurationError: the container's workers have nowhere to meet.
        """
        container = self._container
        if container is None:
            container = self._member()
        if container.seen != container.generation:
            self._catch_up(container)

    def announce(self, name: SecretName, news: Knowledge, *, deadline: float) -> Spread:
        """Take in what an event says of a secret, here and in every other worker of the container.

        Args:
            name: the secret, its project by number.
            news: what the event teaches.
            deadline: monotonic time by which this returns.
        """
        entries = self._registry.concerned(name)
        if not entries:
            return Spread.NOT_OURS
        settled = self._settled.get(name)
        if settled is not None and settled.merge(news) is settled and not any(e.behind for e in entries):
            return Spread.KNOWN
        here: list[Rest] = []
        told = self._member().tell(
            name, news, deadline=deadline, meanwhile=lambda: here.extend(self._apply(name, news, path="push"))
        )
        if not told.settled or any(r.verdict is Verdict.FAILED and r.transient for r in here):
            return Spread.UNSETTLED
        with self._lock:
            self._settled[name] = self._settled.get(name, Knowledge()).merge(news)
        return Spread.SETTLED if all(r.verdict in _WELL for r in here) else Spread.HELD_BACK

    def on_fork(self, hook: Callable[[], None]) -> None:
        """Call `hook` in every child that this process forks; it must touch memory only."""
        self._at_fork.append(hook)

    def close(self) -> None:
        """Leave the container and close what the cache opened. Values that are loaded stay readable."""
        with self._joining:
            container, self._container = self._container, None
        if container is not None:
            container.leave()
        if self._own_source:
            self._source.close()

    def after_fork(self) -> None:
        """In a forked child, called by the interpreter: let go of what is the parent's. Memory only."""
        self._lock, self._joining = threading.Lock(), threading.Lock()
        container, self._container = self._container, None
        if container is not None:
            container.after_fork()
        self._source.after_fork()
        self._registry.after_fork()
        for hook in self._at_fork:
            hook()

    def __repr__(self) -> str:
        return f"<SecretCache {self.project}: {len(self._registry)} entries>"

    def _entry(self, declaration: Declaration) -> LiveEntry:
        return LiveEntry(declaration, self._around, first_read=self._first_read)

    def _member(self) -> Container:
        container = self._container
        if container is not None:
            return container
        with self._joining:
            if self._container is None:
                container = Container(
                    self._key(),
                    run_dir=self._run_dir,
                    apply=self._from_sibling,
                    merge=self._registry.tell,
                    tick=self._tick,
                )
                container.seen = container.merge_board()
                self._container = container
                at_exit(self)
            return self._container

    def _key(self) -> str:
        service = self._service or os.environ.get("K_SERVICE", "")
        return "\n".join((self.project, service, os.environ.get("SECRET_MANAGER_EMULATOR_HOST", "")))

    def _apply(self, name: SecretName, news: Knowledge, *, path: str) -> list[Rest]:
        self._registry.tell(name, news)
        deadline = self._clock() + UPSTREAM
        return [
            entry.refresh(deadline=deadline, path=path)
            for entry in self._registry.joined(name)
            if entry.loaded and not entry.declaration.static
        ]

    def _from_sibling(self, name: SecretName, news: Knowledge) -> bool:
        rests = self._apply(name, news, path="sibling")
        return not any(rest.verdict is Verdict.FAILED and rest.transient for rest in rests)

    def _catch_up(self, container: Container) -> None:
        try:
            generation = container.merge_board()
        except BoardError as exc:
            log(logging.ERROR, "board_unreadable", str(exc))
            return
        behind = [entry for entry in self._registry.all() if entry.behind]
        self._refresh(behind, path="board", seconds=CATCH_UP)
        container.follow(generation)

    def _refresh(self, entries: list[LiveEntry], *, path: str, seconds: float) -> None:
        deadline = self._clock() + UPSTREAM
        each(
            entries,
            lambda entry: entry.refresh(deadline=deadline, path=path),
            threads=LOADERS,
            seconds=seconds,
            name=path,
        )

    def _tick(self) -> None:
        now = self._clock()
        due = [entry for entry in self._registry.all() if entry.retry_at is not None and entry.retry_at <= now]
        for entry in due:
            entry.retry_at = None
        self._refresh(due, path="retry", seconds=0)

    def _first_read(self, entry: LiveEntry) -> None:
        master = in_a_master()
        if not master:
            self._member()
        entry.refresh(read=True, deadline=self._clock() + UPSTREAM, path="read")
        if master:
            self._source.close()
        if not entry.loaded and not entry.fall_back():
            raise SecretUnavailable(_unavailable([entry]))


#: Where a refresh may rest without anything being wrong.
_WELL: Final = frozenset({Verdict.SERVED, Verdict.WAITING})


def _unavailable(entries: list[LiveEntry]) -> str:
    troubles = "; ".join(f"{e.declaration.name}: {e.trouble or 'no usable version'}" for e in entries)
    return (
        f"{len(entries)} of the declared secrets could not be loaded: {troubles}. Check that each exists, has an "
        "enabled version, and that this service's account has roles/secretmanager.secretAccessor on it"
    )
