"""The secrets and versions that exist, and what they were: memory under one lock, no I/O.

Every secret remembers its changes, so that `latest` and aliases can be answered as they were: the real service lets
those lag for minutes to hours, while access by number is consistent at once [documented].
"""

import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import google_crc32c
import grpc

from .clocks import utc
from .ports import Wall
from .rpc import Refusal
from .secret_records import DESTROYED, ENABLED, Change, State, Stored, Version, VersionMessage


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind `latest` and the aliases of a secret are: up to a change, or by a time."""

    change: int | None = None
    seconds: float = 0.0


class SecretStore:
    """All secrets of all projects, by their full name with the project's number.

    Thread-safe: each method takes the lock once; what it returns is a copy.

    Args:
        wall: wall time.
    """

    def __init__(self, *, wall: Wall) -> None:
        self._wall = wall
        self._lock = threading.RLock()
        self._secrets: dict[str, Stored] = {}
        self._lags: dict[str, Lag] = {}
        self._etag = 0

    def create(self, path: str, message: Any) -> Change:
        """Keep a new secret.

        Raises:
            Refusal: ALREADY_EXISTS.
        """
        with self._lock:
            if path in self._secrets:
                raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{path}] already exists.")
            at = self._wall()
            kept = _copy(message)
            kept.name = path
            kept.create_time.FromDatetime(utc(at))
            kept.etag = self._next_etag()
            self._secrets[path] = Stored(kept)
            return Change(at, _copy(kept))

    def get(self, path: str) -> Any:
        """The secret's message.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            return _copy(self._stored(path).message)

    def under(self, parent: str) -> list[Any]:
        """The secrets directly under `parent`, newest first."""
        with self._lock:
            inside = [stored.message for path, stored in self._secrets.items() if _under(parent, path)]
            return [_copy(message) for message in reversed(inside)]

    def update(self, path: str, *, etag: str, change: Callable[[Any, int], None]) -> Change:
        """Let `change` alter the secret's message, given its number of versions.

        Raises:
            Refusal: NOT_FOUND; FAILED_PRECONDITION, `etag` is given and is not the current one; or from `change`.
        """
        with self._lock:
            stored = self._stored(path)
            _check_etag(stored.message, etag)
            changed = _copy(stored.message)
            change(changed, len(stored.versions))
            changed.etag = self._next_etag()
            stored.message = changed
            at = self._mark(stored)
            stored.aliases.append((len(stored.changes), dict(changed.version_aliases)))
            return Change(at, _copy(changed))

    def delete(self, path: str, *, etag: str) -> Change:
        """Forget a secret with all its versions, and return what it was.

        Raises:
            Refusal: NOT_FOUND; FAILED_PRECONDITION, `etag` is given and is not the current one.
        """
        with self._lock:
            stored = self._stored(path)
            _check_etag(stored.message, etag)
            del self._secrets[path]
            self._lags.pop(path, None)
            return Change(self._wall(), stored.message)

    def add(self, path: str, data: bytes, *, crc_given: bool) -> Change:
        """Add a version: numbers are consecutive from 1.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            stored = self._stored(path)
            number = len(stored.versions) + 1
            message = VersionMessage(
                name=f"{path}/versions/{number}",
                state=ENABLED,
                etag=self._next_etag(),
                client_specified_payload_checksum=crc_given,
            )
            at = self._mark(stored)
            message.create_time.FromDatetime(utc(at))
            if stored.message.replication.HasField("automatic"):
                message.replication_status.automatic.SetInParent()
            version = Version(number, message, data, google_crc32c.value(data))
            version.states.append((len(stored.changes), message.state))
            stored.versions.append(version)
            return Change(at, _copy(stored.message), _copy(message))

    def versions(self, path: str) -> list[Any]:
        """The versions of a secret, newest first.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            return [_copy(version.message) for version in reversed(self._stored(path).versions)]

    def find(self, path: str, asked: str) -> tuple[Any, bytes, int]:
        """What `asked` is: a version's message, value and checksum; `latest` and aliases as they lag.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            stored = self._stored(path)
            now = len(stored.changes)
            change = now if asked.isdecimal() else self._seen(path, stored)
            version = _version(stored, path, stored.number_of(asked, change), asked)
            message = _copy(version.message)
            # A destroyed value is gone from every replica's point of view: there is nothing left to serve.
            if message.state != DESTROYED:
                message.state = version.state(change)
            return message, version.data, version.crc

    def set_state(self, path: str, asked: str, state: int, *, etag: str) -> Change:
        """Enable, disable or destroy a version, called by its number.

        Raises:
            Refusal: NOT_FOUND; INVALID_ARGUMENT, not a number; FAILED_PRECONDITION, it is destroyed or `etag` is
                given and is not the current one.
        """
        if not asked.isdecimal():
            # [seen in production by a third party]: aliases and `latest` are for get and access only.
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"A version number is needed, not [{asked}].")
        with self._lock:
            stored = self._stored(path)
            version = _version(stored, path, int(asked), asked)
            _check_etag(version.message, etag)
            if version.message.state == DESTROYED:
                raise in_state(version.message)
            version.message.state = state
            version.message.etag = self._next_etag()
            at = self._mark(stored)
            version.states.append((len(stored.changes), state))
            if state == DESTROYED:
                version.message.destroy_time.FromDatetime(utc(at))
                version.data = b""
            return Change(at, _copy(stored.message), _copy(version.message))

    def lag(self, path: str, *, changes: int | None, seconds: float) -> None:
        """Let `latest` and aliases answer as before the last `changes` changes, or as they were `seconds` ago.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            stored = self._stored(path)
            at = None if changes is None else max(0, len(stored.changes) - changes)
            self._lags[path] = Lag(at, seconds)

    def catch_up(self, path: str) -> None:
        """Let `latest` and aliases answer as things are."""
        with self._lock:
            self._lags.pop(path, None)

    def _seen(self, path: str, stored: Stored) -> int:
        """The number of the change up to which `latest` and aliases have heard."""
        lag = self._lags.get(path)
        if lag is None:
            return len(stored.changes)
        change = lag.change
        if change is None:
            change = bisect_right(stored.changes, self._wall() - lag.seconds)
        # However far behind, a secret that has versions answers with its first rather than with nothing.
        first = stored.versions[0].states[0][0] if stored.versions else 0
        return max(change, first)

    def _stored(self, path: str) -> Stored:
        if path not in self._secrets:
            raise missing(path)
        return self._secrets[path]

    def _mark(self, stored: Stored) -> float:
        stored.changes.append(self._wall())
        return stored.changes[-1]

    def _next_etag(self) -> str:
        # The form of production's: hex of a time in microseconds, in quotes [seen in production by a third party].
        self._etag = max(self._etag + 1, int(self._wall() * 1e6))
        return f'"{self._etag:x}"'


def missing(path: str) -> Refusal:
    """No such secret, or none of its versions: the real service tells these two alike."""
    return Refusal(grpc.StatusCode.NOT_FOUND, f"Secret [{path}] not found or has no versions.")


def in_state(version: Any) -> Refusal:
    """The version exists, and its state forbids what was asked."""
    state = State(version.state).name
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, f"Secret Version [{version.name}] is in {state} state.")


def _version(stored: Stored, path: str, number: int | None, asked: str) -> Version:
    if not stored.versions:
        raise missing(path)
    if number is None or not 1 <= number <= len(stored.versions):
        wanted = f"{path}/versions/{asked}"
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"Secret Version [{wanted}] not found.")
    return stored.versions[number - 1]


def _check_etag(message: Any, etag: str) -> None:
    if etag and etag != message.etag:
        raise Refusal(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"The etag given for [{message.name}] is not its current one.",
        )


def _under(parent: str, path: str) -> bool:
    return path.rpartition("/secrets/")[0] == parent


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
