"""What the entries of receivers say of each worker, kept as registers that no order or repetition of entries changes.

A worker is known by its container and its name in it; entries of services that write no such names are told apart by
instance and process. For each worker there is its newest word on which version it serves, the first word of each
adoption, its newest trouble, and the moments of its first and last entry. For each container there is its newest roll
call: who lived in it then. Whatever is not of the form that a receiver writes is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from .forms import inner, log_project, milliseconds, numeral, secret_name, text, version_name, whole
from .times import nanoseconds


#: Events by which a worker says which version it serves now.
ADOPTIONS: Final = frozenset({"loaded", "refreshed", "stepped_back", "backstop_found"})
#: Events that say why one does not follow.
TROUBLES: Final = frozenset(
    {"held_back", "refresh_failed", "revoked", "waiting", "would_refresh", "frozen", "fallback_served"}
)
#: Events of a worker's and an instance's life, of which some say that the worker ends.
ENDS: Final = frozenset({"instance_stopped", "worker_stopped"})
LIFE: Final = ENDS | {"instance_started", "worker_started", "alive", "sibling_lagging"}

#: How an event was answered, whichever way it had come.
ANSWERS: Final = frozenset({"push_answered", "pull_answered"})
CALLED_BACK: Final = "called_back"

_OURS: Final = ADOPTIONS | TROUBLES | LIFE | ANSWERS | {CALLED_BACK}

#: What a process loads that only forks others (`gunicorn --preload`) serves nobody.
PRELOAD: Final = "preload"

#: Of each worker the adoptions of so many versions are kept, the highest, beside the one that is asked for.
KEPT: Final = 4

#: What tells apart instances of equal names: GKE's clusters and namespaces.
_PLACE: Final = ("location", "cluster_name", "namespace_name")


class Word(NamedTuple):
    """Which version a worker said that it serves: compared as a tuple, so of two at one moment the lower one counts."""

    at: int
    lowness: int

    @property
    def version(self) -> int:
        """The version."""
        return -self.lowness


class Adoption(NamedTuple):
    """The first entry by which a worker said that it had taken a version."""

    at: int
    previous: int
    path: str
    event_ms: float | None
    arrival_ms: float | None
    fetch_ms: float | None


class Trouble(NamedTuple):
    """The newest entry by which a worker said why it does not follow; compared as a tuple."""

    at: int
    event: str
    text: str


class Push(NamedTuple):
    """The first entry by which a worker said that it had answered a push."""

    at: int
    publish_ms: float | None


#: A project, and whether the entry never follows (static, or pinned).
Followed = tuple[str, bool]
#: A project and a version.
Of = tuple[str, int]


@dataclass(slots=True)
class Worker:
    """What one worker said. Moments in nanoseconds by its own clock; the second of `first` is by Cloud Logging's."""

    pid: str = ""
    first: tuple[int, int] = (2**63, 2**63)
    last: int = 0
    stopped: int = 0
    words: dict[Followed, Word] = field(default_factory=dict)
    adopted: dict[Of, Adoption] = field(default_factory=dict)
    called_back: dict[Of, tuple[int]] = field(default_factory=dict)
    pushed: dict[Of, Push] = field(default_factory=dict)
    trouble: dict[str, Trouble] = field(default_factory=dict)


@dataclass(slots=True)
class Instance:
    """What the workers of one instance said, and who they were at its newest roll call (its moment, number, names)."""

    naming: tuple[str, str, str] = ("", "", "")
    workers: dict[str, Worker] = field(default_factory=dict)
    roll: tuple[int, int, tuple[str, ...]] = (0, 0, ())
    by_member: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return self.naming[0]

    @property
    def service(self) -> str:
        """The service that it is of."""
        return self.naming[1]

    @property
    def revision(self) -> str:
        """The revision that it is of."""
        return self.naming[2]

    @property
    def last(self) -> int:
        """When something was last heard of it."""
        return max((worker.last for worker in self.workers.values()), default=0)


class _Said(NamedTuple):
    """One entry."""

    event: str
    entry: Mapping[str, Any]
    payload: Mapping[str, Any]
    at: int


class Signs:
    """Keep what receivers said. Not thread-safe.

    Args:
        secret: the secret's id.
        location: its region, "" for a global one.
        version: the version that is asked about, whose adoptions are kept in any case; 0 for none.
    """

    def __init__(self, secret: str, location: str, *, version: int) -> None:
        self._named = (location, secret)
        self._version = version
        self._instances: dict[tuple[str, ...], Instance] = {}

    def note(self, entry: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
        """Take in one entry; says whether it is a receiver's.

        Args:
            entry: the LogEntry, as JSON has it; the payload itself for a line that a service printed.
            payload: its structured payload.
        """
        event = payload.get("event")
        if not isinstance(event, str) or event not in _OURS or payload.get("path") == PRELOAD:
            return False
        at = nanoseconds(entry.get("timestamp")) or nanoseconds(entry.get("time"))
        instance = self._instance(entry, payload) if at is not None else None
        if at is None or instance is None:
            return False
        said = _Said(event, entry, payload, at)
        worker = _worker(instance, said)
        name = secret_name(text(payload.get("secret")))
        if name is None:
            self._of_the_process(worker, said)
        elif name[1:] == self._named:
            self._of_the_secret(worker, name.project, said)
        members = payload.get("members")
        if isinstance(members, list) and at >= instance.roll[0]:
            called = tuple(sorted(filter(None, map(text, members))))
            # Of two at one moment the longer one counts: nobody may be overlooked.
            instance.roll = max(instance.roll, (at, len(called), called))
        return True

    def all(self) -> Iterator[Instance]:
        """Every instance that was heard of."""
        return iter(self._instances.values())

    def _instance(self, entry: Mapping[str, Any], payload: Mapping[str, Any]) -> Instance | None:
        name, container = text(payload.get("instance")), text(payload.get("container"))
        if container:  # random, so it tells apart what has equal names, and a pod from its successor
            found = self._instances.get((container,))
            if found is not None and found.naming[0] == name:
                return found
        name = name or text(inner(entry, "labels").get("instanceId"))
        if not (name or container):
            return None
        labels = inner(inner(entry, "resource"), "labels")
        service = text(payload.get("service")) or text(labels.get("service_name"))
        key: tuple[str, ...] = (container,)
        if not container:
            project = log_project(text(entry.get("logName")))
            key = (project, *(text(labels.get(label)) for label in _PLACE), service, name)
        found = self._instances.get(key)
        if found is None:
            found = self._instances[key] = Instance()
        # On Cloud Run a container begins to speak before it knows its name.
        revision = text(payload.get("revision")) or text(labels.get("revision_name"))
        found.naming = max(found.naming, (name, service, revision))
        return found

    def _of_the_process(self, worker: Worker, said: _Said) -> None:
        if said.event in ENDS:
            worker.stopped = max(worker.stopped, said.at)
        elif said.event == "frozen":
            _troubled(worker, "", said)
        elif said.event == "alive":
            for listed, fixed in ((said.payload.get("serving"), False), (said.payload.get("fixed"), True)):
                for path in listed if isinstance(listed, list) else ():
                    name, number = version_name(text(path))
                    version = numeral(number)
                    if name is not None and name[1:] == self._named and version is not None:
                        _word(worker, (name.project, fixed), version, said.at)

    def _of_the_secret(self, worker: Worker, project: str, said: _Said) -> None:
        event, payload = said.event, said.payload
        version = whole(payload.get("version"))
        if event in TROUBLES:
            if event == "fallback_served":
                _word(worker, (project, False), version or 0, said.at)
            _troubled(worker, project, said)
        elif version is None:
            return
        elif event in ADOPTIONS:
            fixed = payload.get("static") is True or payload.get("pin") is not None
            _word(worker, (project, fixed), version, said.at)
            self._first(worker.adopted, (project, version), said, _adoption)
        elif event in ANSWERS:
            self._first(worker.pushed, (project, version), said, _push)
        elif event == CALLED_BACK:
            self._first(worker.called_back, (project, version), said, _call)

    def _first(self, kept: dict[Of, Any], key: Of, said: _Said, read: Callable[[_Said], tuple[Any, ...]]) -> None:
        known = kept.get(key)
        if known is not None and known[0] < said.at:
            return
        found = read(said)
        if known is None or _order(found) < _order(known):
            kept[key] = found
        if len(kept) > 2 * KEPT:  # seldom, and then to half
            others = sorted((one for one in kept if one[1] != self._version), key=lambda one: (one[1], one[0]))
            for one in others[:-KEPT]:
                del kept[one]


def _worker(instance: Instance, said: _Said) -> Worker:
    member = text(said.payload.get("member"))
    found = instance.workers.get(member) if member else None
    if found is None:
        process = said.payload.get("worker")
        number = whole(process)
        pid = text(process) if number is None else str(number)
        found = instance.workers.setdefault(member or pid, Worker(pid))
        instance.by_member = instance.by_member or bool(member)
    found.last = max(found.last, said.at)
    if said.at <= found.first[0]:
        received = nanoseconds(said.entry.get("receiveTimestamp"))
        found.first = min(found.first, (said.at, said.at if received is None else received))
    return found


def _adoption(said: _Said) -> Adoption:
    payload = said.payload
    return Adoption(
        said.at,
        whole(payload.get("previous")) or 0,
        text(payload.get("path")),
        milliseconds(payload.get("event_ms")),
        milliseconds(payload.get("arrival_ms")),
        milliseconds(payload.get("fetch_ms")),
    )


def _push(said: _Said) -> Push:
    return Push(said.at, milliseconds(said.payload.get("publish_ms")))


def _call(said: _Said) -> tuple[int]:
    return (said.at,)


def _word(worker: Worker, key: Followed, version: int, at: int) -> None:
    word = Word(at, -version)
    known = worker.words.get(key)
    if known is None or word > known:
        worker.words[key] = word


def _troubled(worker: Worker, project: str, said: _Said) -> None:
    trouble = Trouble(said.at, said.event, text(said.payload.get("message")))
    known = worker.trouble.get(project)
    if known is None or trouble > known:
        worker.trouble[project] = trouble


def _order(one: tuple[Any, ...]) -> tuple[Any, ...]:
    # None has no order among numbers.
    return tuple((part is None, part) for part in one)
