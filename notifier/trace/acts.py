"""What Secret Manager's audit entries say was done to a secret, and by whom; pure.

Their shape is no contract, so whatever is missing is left out rather than guessed: an AddSecretVersion that does not
show its answer is no version.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from .forms import inner, numeral, secret_name, text, version_name, whole
from .times import nanoseconds


_SERVICE: Final = "secretmanager.googleapis.com"

ADD: Final = "AddSecretVersion"
#: After it the numbers begin anew.
DELETED: Final = "DeleteSecret"

#: What is done to a version, by the method's short name: whether the version is usable afterwards.
_USABLE: Final = {
    ADD: True,
    "EnableSecretVersion": True,
    "DisableSecretVersion": False,
    "DestroySecretVersion": False,
}
#: Types of Secret Manager's own entries that say so.
_LOST: Final = {"TOPIC_NOT_FOUND", "TOPIC_PERMISSION_DENIED"}

_METHODS: Final = {*_USABLE, DELETED, "AccessSecretVersion"}


class Act(NamedTuple):
    """One call that changed a version."""

    at: int
    method: str
    version: int
    by: str
    caller: str  # the address it came from, and with what


class Reader(NamedTuple):
    """Who accessed a version by its number."""

    version: int
    by: str


@dataclass(frozen=True, slots=True)
class Access:
    """How often one caller accessed a version after its successor was there.

    Args:
        version: which.
        by: who.
        times: how often.
        last: when last, in nanoseconds.
    """

    version: int
    by: str
    times: int
    last: int


class Acts:
    """Keep what was done to one secret. Not thread-safe.

    Args:
        project: the project's id or number, as it was asked for.
        location: the secret's region, "" for a global one.
        secret: its id.
    """

    def __init__(self, project: str, location: str, secret: str) -> None:
        self._named = (location, secret)
        #: The spellings of the project: its id and its number, as soon as an entry has shown both.
        self.spelt = {project}
        self._pairs: set[tuple[str, str]] = set()
        self._acts: dict[str, set[Act]] = {}
        self._accesses: dict[str, dict[Reader, array[int]]] = {}
        self._lost: dict[str, set[int]] = {}

    def note(self, entry: Mapping[str, Any], audit: Mapping[str, Any]) -> bool:
        """Take in one audit entry; says whether it is of the secret, or of one that is called as it is.

        Args:
            entry: the LogEntry, as JSON has it.
            audit: its AuditLog.
        """
        method = text(audit.get("methodName")).rpartition(".")[2]
        if audit.get("serviceName") != _SERVICE or method not in _METHODS:
            return False
        at = nanoseconds(entry.get("timestamp"))
        asked, version = version_name(text(audit.get("resourceName")))
        if at is None or asked is None or asked[1:] != self._named or _failed(audit):
            return False
        if method == "AccessSecretVersion":
            self._accessed(asked.project, numeral(version), _caller(audit), at)
            return True
        answer, given = version_name(text(inner(audit, "response").get("name")))
        if answer is not None and answer[1:] == self._named:
            self._pair(asked.project, answer.project)
            self._pair(text(inner(inner(entry, "resource"), "labels").get("project_id")), answer.project)
        number = 0 if method == DELETED else numeral(version or given)
        if number is None:
            return False
        request = inner(audit, "requestMetadata")
        came_from = " ".join(filter(None, map(text, (request.get("callerIp"), request.get("callerSuppliedUserAgent")))))
        act = Act(at, method, number, _caller(audit), came_from)
        self._acts.setdefault(asked.project, set()).add(act)
        return True

    def note_lost(self, entry: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
        """Take in an entry of Secret Manager's own; says whether it could not publish news of the secret.

        Args:
            entry: the LogEntry, as JSON has it.
            payload: its SecretEvent.
        """
        at, name = nanoseconds(entry.get("timestamp")), secret_name(text(payload.get("name")))
        if at is None or name is None or name[1:] != self._named or payload.get("type") not in _LOST:
            return False
        self._lost.setdefault(name.project, set()).add(at)
        return True

    def lost_since(self, moment: int) -> bool:
        """Whether news of the secret could not be published at a moment, or later."""
        return any(at >= moment for spelling in self.spelt for at in self._lost.get(spelling, ()))

    def _accessed(self, project: str, version: int | None, by: str, at: int) -> None:
        if version is not None:  # `latest` shows what was asked for, not what was served
            readers = self._accesses.setdefault(project, {})
            readers.setdefault(Reader(version, by), array("q")).append(at)

    def _pair(self, spelling: str, number: str) -> None:
        if spelling and number.isdecimal():
            self._pairs.add((spelling, number))

    def settle(self) -> None:
        """Join the spellings of the project, now that all entries are in."""
        numbers = {number for spelling, number in self._pairs if {spelling, number} & self.spelt}
        self.spelt |= numbers | {spelling for spelling, number in self._pairs if number in numbers}

    def all(self) -> list[Act]:
        """What was done to the secret's versions in all its lives, and each end of one, oldest first."""
        return sorted(act for spelling in self.spelt for act in self._acts.get(spelling, ()))

    def accesses(self, *, below: int, since: int) -> list[Access]:
        """Who accessed a version lower than `below` after the moment `since`; entries that came twice count once."""
        found: dict[Reader, set[int]] = {}
        for spelling in self.spelt:
            for reader, moments in self._accesses.get(spelling, {}).items():
                if reader.version < below:
                    found.setdefault(reader, set()).update(at for at in moments if at > since)
        return sorted(
            (Access(reader.version, reader.by, len(at), max(at)) for reader, at in found.items() if at),
            key=lambda access: (-access.last, access.version, access.by),
        )


def usable(acts: list[Act]) -> dict[int, Act | None]:
    """For each version that was spoken of: None where it is usable, else the act that ended that."""
    found: dict[int, Act | None] = {}
    for act in acts:
        found[act.version] = None if _USABLE[act.method] else act
    return found


def _caller(audit: Mapping[str, Any]) -> str:
    return text(inner(audit, "authenticationInfo").get("principalEmail"))


def _failed(audit: Mapping[str, Any]) -> bool:
    status = inner(audit, "status")
    return bool(status) and whole(status.get("code")) != 0
