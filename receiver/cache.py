"""`SecretCache`: what a service declares its secrets to, loads them with, and hands events to.

This is the door. Entries are in `receiver.registry`, each refreshes itself (`receiver.live`), and what the workers of
a container tell each other is in `receiver.worker`.
"""

import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from .declaration import Declaration
from .declares import Declares
from .errors import SecretUnavailable
from .hearing import Events, Hearing
from .hooks import at_exit, at_fork
from .instance import Instance
from .knowledge import Knowledge
from .live import LiveEntry
from .masters import in_a_master
from .names import SecretName
from .otel import Instruments
from .presence import Presence
from .registry import Registry
from .rounds import UPSTREAM
from .secret import Secret
from .secret_manager import SecretManagerSource
from .source import SecretSource
from .spread import Spread
from .status import describe
from .telemetry import Field, Voice
from .threads import each
from .upstream import Surroundings
from .worker import LOADERS, Worker


# The type is for readers only.
if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


#: Seconds between two safety reads of a container, where nothing else is said.
BACKSTOP: Final = 3600.0

_BACKSTOP_LEAST: Final = 60.0

FREEZE_VARIABLE: Final = "KEYTURN_FREEZE"
_OFF: Final = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a forced refresh.

    Args:
        spread: how far it got.
        entries: the status of those that were looked at, or are never refreshed.
        too_soon: which were looked at lately, and in how many seconds they can be again.
    """

    spread: Spread
    entries: list[dict[str, Any]]
    too_soon: dict[str, float]


class SecretCache(Declares):
    """Hold the secrets that a service declares, each at its newest usable version.

    Nothing outside is touched before the first `load`, read, request or event: no client, network or environment.
    Thread-safe. Safe to fork: a child starts with the inherited values as last good ones and looks for itself.

    Args:
        project: the project's id (or number) that secrets are declared in.
        location: the region of regional secrets, "" for global ones; a declaration may say otherwise.
        service: what tells this service from others of the same user on the same machine; the platform's name
            where it is not given.
        source: where values come from; Secret Manager where it is not given. Not closed by the cache if given.
        run_dir: the directory under which the container's workers meet; see KEYTURN_RUN_DIR.
        backstop: about how many seconds pass between two safety reads, in which one worker of the container looks for
            versions that no event announced; None for none.
        observe: fetch what events announce, log and count what would be swapped, and serve what was loaded at the
            start: for trying keyturn beside what refreshes secrets today.
        events: how changes are heard of: "push" to the route, which reaches one instance of the service; "pull" from
            a subscription that each instance makes for itself, which needs no route and no public address; "both"; or
            None, where safety reads alone look for changes.
        topic: where Secret Manager announces changes, its id or full name; needed for pulling.
        spread: over how many seconds the instances of a fleet spread what they fetch for an event that they pulled.
        environ: the environment; the process's own where it is not given.
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
        backstop: float | None = BACKSTOP,
        observe: bool = False,
        events: Events | None = "push",
        topic: str | None = None,
        spread: float = 0.0,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
        jitter: Callable[[], float] = random.random,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if backstop is not None and not backstop >= _BACKSTOP_LEAST:
            raise ValueError(f"backstop must be at least {_BACKSTOP_LEAST:g} seconds, or None")
        SecretName(project, "any", location)  # a wrong project or region is said here, not at the first read
        self.project = project
        self._location = location
        self._environ = os.environ if environ is None else environ
        instance = Instance(service=service, environ=self._environ)
        self._service = instance.service
        hearing = Hearing(events, project, topic=topic, spread=spread)
        self._own_source = source is None
        self._source = source or SecretManagerSource()
        self._clock = clock
        self._registry = Registry()
        #: Writes the log in this cache's name.
        self.instruments = Instruments(self._registry.all, wall=wall)
        self.voice = Voice(self._who, roll=self._roll, heard=self.instruments.record)
        self._groups = {}
        self._around = Surroundings(
            source=self._source,
            clock=clock,
            wall=wall,
            jitter=jitter,
            pause=pause,
            environ=self._environ,
            observe=observe,
            voice=self.voice,
            learned=self._registry.learn,
        )
        self._worker = Worker(
            self._registry,
            key=self._key,
            run_dir=run_dir,
            backstop=backstop,
            clock=clock,
            wall=wall,
            jitter=jitter,
            begin=self._begin,
            joined=self._joined,
            alive=self._sign,
            in_a_fleet=hearing.pulls,
        )
        self._presence = Presence(
            self,
            instance=instance,
            hearing=hearing,
            registry=self._registry,
            worker=self._worker,
            clock=clock,
            wall=wall,
            jitter=jitter,
        )
        self._at_fork: list[Callable[[], None]] = []
        at_fork(self)

    @classmethod
    def from_manifest(cls, path: str | os.PathLike[str], *, service: str, **settings: Any) -> Self:
        """Make a cache with every secret that a manifest gives to a service; read them as `cache["NAME"]`.

        Args:
            path: the file; needs `keyturn[manifest]`.
            service: the service's name in it.
            settings: as for `SecretCache`; the project, the location, the service, the topic and how it hears of
                changes are the manifest's.

        Raises:
            ManifestError: something is wrong in the file; every problem is listed with its line and column.
            KeyError: it has no such service.
        """
        from .manifest import Manifest

        manifest = Manifest.read(os.fspath(path))
        secrets = manifest.used_by(service)
        settings = {"events": manifest.services[service].events, "topic": manifest.topic} | settings
        cache = cls(manifest.project, location=manifest.location, service=service, **settings)
        for spec in secrets:
            cache._declare(
                Declaration(
                    name=SecretName(manifest.project, spec.name, spec.location),
                    pin=spec.pin,
                    type=spec.type,
                    static=spec.mode == "static",
                    hot_because=spec.because if spec.mode == "hot" else None,
                    on_revoked=spec.on_revoked,
                    fallback=spec.fallback,
                    overlap=spec.overlap,
                )
            )
        return cache

    def __getitem__(self, name: str) -> Secret[Any]:
        """The handle of a secret that has been declared.

        Raises:
            KeyError: no entry, or more than one, uses a secret of that name.
        """
        found = [entry for entry in self._registry.all() if name in _names(entry)]
        if len(found) != 1:
            declared = ", ".join(sorted({entry.declaration.name.secret for entry in self._registry.all()}))
            what = "is declared more than once" if found else f"is not declared; there are {declared or 'none'}"
            raise KeyError(f"{name} {what}")
        return found[0].handle

    def load(self, *, timeout: float = 10.0) -> None:
        """Load every declared secret, in parallel; returns when each has its newest usable version.

        Safe under `gunicorn --preload`: in a master nothing stays open that a worker must not inherit.

        Args:
            timeout: seconds for all of it.

        Raises:
            SecretUnavailable: some could not be loaded; the message says which, why, and what to do.
            ConfigurationError: the container's workers have nowhere to meet.
        """
        self._read([entry for entry in self._registry.all() if not entry.loaded], seconds=timeout, path="start")

    def fence(self) -> None:
        """Let this worker catch up before a piece of work begins: `cache.fence()` at the start of each.

        Where nothing happened since the last time it costs a few comparisons. Otherwise it waits until the entries
        concerned have been refreshed, `CATCH_UP` seconds at most; then the last good values serve. It raises
        `ConfigurationError` where the container's workers have nowhere to meet.
        """
        self._worker.fence()

    def fenced(self, app: "WSGIApplication") -> "WSGIApplication":
        """Wrap a WSGI application so that this worker catches up before each of its requests, as `fence` says.

        Args:
            app: a `(environ, start_response)` callable; `refresh_blueprint` wraps its Flask application by itself.
        """
        return self._worker.fenced(app)

    @property
    def events(self) -> Events | None:
        """How this service hears of changes."""
        return self._presence.events

    @property
    def current(self) -> bool:
        """Whether `fence` would find nothing to do; never waits."""
        return self._worker.current

    def announce(self, name: SecretName, news: Knowledge, *, deadline: float, path: str = "push") -> Spread:
        """Take in what an event says of a secret, here and in every other worker of the container.

        Args:
            name: the secret, its project by number.
            news: what the event teaches.
            deadline: monotonic time by which this returns.
            path: the way that the event came, for the log.
        """
        return self._worker.announce(name, news, deadline=deadline, path=path)

    def look(self, name: SecretName, *, deadline: float, path: str = "push") -> Spread:
        """Ask upstream for newer versions of a secret of which an event says only that it changed.

        What is found is told to every other worker of the container.

        Args:
            name: the secret, its project by number or id.
            deadline: monotonic time by which this returns.
            path: the way that the event came, for the log.
        """
        entries = self._registry.concerned(name)
        self._heed_freeze(entries)
        if entries:
            self._worker.membership.join()
        return self._worker.look(entries, deadline=deadline, path=path)

    def serves(self, name: SecretName, number: int) -> bool:
        """Whether an entry of this process serves this version of a secret, its project by number or id."""
        return any(entry.version == number for entry in self._registry.concerned(name))

    def refresh(self, secret: str | None = None, *, deadline: float) -> Outcome | None:
        """Look upstream for newer versions because a person asked, for all workers of this container.

        Args:
            secret: the id or the full name of one secret; all of them where it is not given.
            deadline: monotonic time by which this returns.

        Returns:
            What came of it; None where no entry uses that secret.

        Raises:
            BoardError: the container's directory cannot be written.
            ConfigurationError: the container's workers have nowhere to meet.
        """
        entries = self._registry.all()
        if secret is not None:
            entries = [entry for entry in entries if secret in _names(entry)]
            if not entries:
                return None
        self._heed_freeze(entries)
        spread, asked, too_soon = self._worker.refresh(entries, deadline=deadline)
        now = self._clock()
        return Outcome(spread, [describe(entry, now=now) for entry in asked], too_soon)

    def status(self) -> dict[str, Any]:
        """Say what this worker serves, and why; names, numbers and reasons, never a value."""
        now = self._clock()
        return {
            "project": self.project,
            **self._presence.status(),
            "pid": os.getpid(),
            "mode": "frozen" if self._is_frozen() else "observing" if self._around.observe else "live",
            "entries": [describe(entry, now=now) for entry in self._registry.all()],
        }

    def on_fork(self, hook: Callable[[], None]) -> None:
        """Call `hook` in every child that this process forks; it must touch memory only."""
        self._at_fork.append(hook)

    def close(self) -> None:
        """Leave the container and close what the cache opened. Values that are loaded stay readable."""
        self._presence.end()
        if self._own_source:
            self._source.close()

    def after_fork(self) -> None:
        """In a forked child, called by the interpreter: let go of what is the parent's. Memory only."""
        self._presence.after_fork()
        self._source.after_fork()
        self._registry.after_fork()
        for group in self._groups.values():
            group.after_fork()
        for hook in self._at_fork:
            hook()

    def __repr__(self) -> str:
        return f"<SecretCache {self.project}: {len(self._registry)} entries>"

    def _is_mine(self, secret: Secret[Any]) -> bool:
        return any(entry.handle is secret for entry in self._registry.all())

    def _declare(self, declaration: Declaration) -> Secret[Any]:
        return self._registry.declare(declaration, self._entry).handle

    def _entry(self, declaration: Declaration) -> LiveEntry:
        return LiveEntry(declaration, self._around, first_read=self._first_read, found=self._worker.share)

    def _key(self) -> str:
        return "\n".join((self.project, self._service, self._environ.get("SECRET_MANAGER_EMULATOR_HOST", "")))

    def _begin(self, directory: Path) -> None:
        at_exit(self)
        self._presence.begin(directory, hears=not self._is_frozen())

    def _joined(self) -> None:
        self.instruments.start()
        self._presence.joined()
        if self._is_frozen():
            self.voice(
                logging.WARNING, "frozen", f"nothing is refreshed in this process, because {FREEZE_VARIABLE} is set"
            )

    def _roll(self) -> list[str]:
        return self._worker.membership.members()

    def _sign(self) -> None:
        self._presence.alive()

    def _who(self) -> dict[str, Field]:
        return self._presence.who()

    def _is_frozen(self) -> bool:
        return self._environ.get(FREEZE_VARIABLE, "").strip().lower() not in _OFF

    def _heed_freeze(self, entries: list[LiveEntry]) -> None:
        if self._is_frozen():
            for entry in entries:
                entry.freeze()

    def _first_read(self, entry: LiveEntry) -> None:
        self._read([entry], seconds=UPSTREAM, path="read")

    def _read(self, entries: list[LiveEntry], *, seconds: float, path: str) -> None:
        master = in_a_master()
        path = "preload" if master else path  # which serves nobody
        deadline = self._clock() + seconds
        if not master:
            self._worker.membership.join()
            self._presence.wait(seconds / 2, strict=path == "start")
        self._heed_freeze(entries)
        self._load(entries, deadline=deadline, path=path)
        self._load([entry for entry in entries if entry.revived], deadline=deadline, path=path)
        if master:
            self._source.close()
        missing = [entry for entry in entries if not entry.loaded and not entry.fall_back()]
        if missing:
            raise SecretUnavailable(_unavailable(missing))

    def _load(self, entries: list[LiveEntry], *, deadline: float, path: str) -> None:
        each(
            entries,
            lambda entry: entry.load(deadline=deadline, path=path),
            threads=LOADERS,
            seconds=deadline - self._clock(),
            name=path,
        )


def _names(entry: LiveEntry) -> set[str]:
    return {entry.declaration.name.secret, str(entry.declaration.name)}


def _unavailable(entries: list[LiveEntry]) -> str:
    troubles = "; ".join(f"{e.declaration.name}: {e.trouble or 'no usable version'}" for e in entries)
    return (
        f"{len(entries)} of the declared secrets could not be loaded: {troubles}. Check that each exists, has an "
        "enabled version, and that this service's account has roles/secretmanager.secretAccessor on it"
    )
