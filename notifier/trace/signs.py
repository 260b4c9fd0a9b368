"""What the entries of receivers say of each worker, kept as registers that no order or repetition of entries changes.

A worker is known by its container and its name in it; entries of services that write no such names are told apart by
instance and process. For each worker there is its newest word on which version it serves, the first word of each
adoption, its newest trouble, and the moments of its first and last entry. For each container there is its newest roll
call: who lived in it then. Whatever is not of the form that a receiver writes is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .forms import inner, log_project, milliseconds, numeral, secret_name, text, version_name, whole
from .registers import Adoption, Followed, Instance, Of, Push, Trouble, Word, Worker
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

#: So many spellings of secrets are remembered; a project has some hundreds.
_REMEMBERED: Final = 4096

#: What tells apart instances of equal names: GKE's clusters and namespaces.
_PLACE: Final = ("location", "cluster_name", "namespace_name")


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
        # Who speaks is mostly known already: found by the three names of an entry, whatever their form.
        self._known: dict[tuple[object, object, object], tuple[Instance, Worker]] = {}
        self._projects: dict[str, tuple[str | None]] = {}

    def note(self, entry: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
        """Take in one entry; says whether it is a receiver's.

        Args:
            entry: the LogEntry, as JSON has it; the payload itself for a line that a service printed.
            payload: its structured payload.
        """
        event = payload.get("event")
        if type(event) is not str or event not in _OURS:
            return False
        at = nanoseconds(entry.get("timestamp")) or nanoseconds(entry.get("time"))
        speaker = self._speaker(entry, payload)
        if at is None or speaker is None:
            return False
        instance, worker = speaker
        worker.last = max(worker.last, at)
        if at <= worker.first[0] or event in ENDS:
            received = nanoseconds(entry.get("receiveTimestamp"))
            received = at if received is None else received
            worker.first = min(worker.first, (at, received))
            if event in ENDS:
                worker.stopped = max(worker.stopped, (at, -received))
        project = self._project(payload.get("secret"))
        if project is None:
            self._of_the_process(worker, event, payload, at)
        elif project:
            self._of_the_secret(worker, project, event, entry, payload, at=at)
        members = payload.get("members")
        if type(members) is list and at >= instance.roll[0]:
            called = tuple(sorted(filter(None, map(text, members))))
            # Of two at one moment the longer one counts: nobody may be overlooked.
            instance.roll = max(instance.roll, (at, len(called), called))
        return True

    def all(self) -> Iterator[Instance]:
        """Every instance that was heard of."""
        return iter(self._instances.values())

    def settle(self) -> None:
        """Keep of each worker's moves what every order of the entries leaves, now that all are in."""
        for instance in self._instances.values():
            for worker in instance.workers.values():
                for kept in (worker.adopted, worker.called_back, worker.pushed):
                    self._prune(kept)

    def _speaker(self, entry: Mapping[str, Any], payload: Mapping[str, Any]) -> tuple[Instance, Worker] | None:
        names = payload.get("container"), payload.get("member"), payload.get("instance")
        try:
            known = self._known.get(names)
        except TypeError:  # a list, or an object, is no name
            known = None
        if known is not None:
            return known
        instance = self._instance(entry, payload) if payload.get("path") != PRELOAD else None
        if instance is None:
            return None
        found = instance, _worker(instance, payload)
        if all(type(name) is str and name for name in names):
            self._known[names] = found
        return found

    def _project(self, secret: object) -> str | None:
        """The project by which an entry spells the secret; "" for another secret, None for none."""
        if type(secret) is not str:
            return None
        found = self._projects.get(secret)
        if found is None:
            name = secret_name(secret)
            found = (None if name is None else name.project if name[1:] == self._named else "",)
            if len(self._projects) < _REMEMBERED:
                self._projects[secret] = found
        return found[0]

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

    def _of_the_process(self, worker: Worker, event: str, payload: Mapping[str, Any], at: int) -> None:
        if event == "frozen":
            _troubled(worker, "", event, payload, at)
        elif event == "alive":
            for listed, fixed in ((payload.get("serving"), False), (payload.get("fixed"), True)):
                for path in listed if isinstance(listed, list) else ():
                    name, number = version_name(text(path))
                    version = numeral(number)
                    if name is not None and name[1:] == self._named and version is not None:
                        _word(worker, (name.project, fixed), version, at)

    def _of_the_secret(
        self,
        worker: Worker,
        project: str,
        event: str,
        entry: Mapping[str, Any],
        payload: Mapping[str, Any],
        *,
        at: int,
    ) -> None:
        version = whole(payload.get("version"))
        if event in TROUBLES:
            if event == "fallback_served":
                _word(worker, (project, False), version or 0, at)
            _troubled(worker, project, event, payload, at)
        elif version is None:
            return
        elif event in ADOPTIONS:
            fixed = payload.get("static") is True or payload.get("pin") is not None
            _word(worker, (project, fixed), version, at)
            self._first(worker.adopted, (version, project), at, lambda: _adoption(at, entry, payload))
        elif event in ANSWERS:
            self._first(worker.pushed, (version, project), at, lambda: _push(at, payload))
        elif event == CALLED_BACK:
            self._first(worker.called_back, (version, project), at, lambda: (at,))

    def _first(
        self,
        kept: dict[Of, Any],
        key: Of,
        at: int,
        read: Callable[[], Any],
    ) -> None:
        known = kept.get(key)
        if known is not None:
            if known[0] < at:
                return
        elif len(kept) > KEPT and key[0] != self._version and key < min(kept):
            return
        found = read()
        if known is None or _order(found) < _order(known):
            kept[key] = found
        if len(kept) > 2 * KEPT:  # seldom, and then to half
            self._prune(kept)

    def _prune(self, kept: dict[Of, Any]) -> None:
        for one in sorted(one for one in kept if one[0] != self._version)[:-KEPT]:
            del kept[one]


def _worker(instance: Instance, payload: Mapping[str, Any]) -> Worker:
    member, process = text(payload.get("member")), payload.get("worker")
    number = whole(process)
    pid = text(process) if number is None else str(number)
    instance.by_member = instance.by_member or bool(member)
    found = instance.workers.setdefault(member or pid, Worker())
    found.pid = max(found.pid, pid)
    return found


def _adoption(at: int, entry: Mapping[str, Any], payload: Mapping[str, Any]) -> Adoption:
    received = nanoseconds(entry.get("receiveTimestamp"))
    return Adoption(
        at,
        whole(payload.get("previous")) or 0,
        text(payload.get("path")),
        milliseconds(payload.get("event_ms")),
        milliseconds(payload.get("arrival_ms")),
        milliseconds(payload.get("fetch_ms")),
        at if received is None else received,
    )


def _push(at: int, payload: Mapping[str, Any]) -> Push:
    return Push(at, milliseconds(payload.get("publish_ms")))


def _word(worker: Worker, key: Followed, version: int, at: int) -> None:
    known = worker.words.get(key)
    if known is None or at > known[0] or (at == known[0] and -version > known[1]):
        worker.words[key] = Word(at, -version)


def _troubled(worker: Worker, project: str, event: str, payload: Mapping[str, Any], at: int) -> None:
    trouble = Trouble(at, event, text(payload.get("message")))
    known = worker.trouble.get(project)
    if known is None or trouble > known:
        worker.trouble[project] = trouble


def _order(one: tuple[Any, ...]) -> tuple[Any, ...]:
    # None has no order among numbers.
    return tuple((part is None, part) for part in one)
