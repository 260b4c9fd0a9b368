"""The secrets and versions that exist, and what they were: memory under one lock, no I/O.

Every secret remembers its changes, so that `latest` and aliases can be answered as they were; see `secret_lag`.
"""

import threading
from collections.abc import Callable
from typing import Any

import google_crc32c

from .clocks import stamp
from .ports import Wall
from .secret_journal import Saved, SecretJournal
from .secret_lag import Lags
from .secret_records import DESTROYED, DISABLED, ENABLED, Change, Stored, Version, VersionMessage, copied
from .secret_refusals import exists, in_state, invalid, missing, stale, version_missing
from .secret_timers import Timers


class SecretStore:
    """All secrets of all projects, by their full name with the project's number.

    Thread-safe: each method takes the lock once; what it returns is a copy.

    Args:
        wall: wall time.
        journal: where changes are kept.
        saved: what there was before a restart.
    """

    def __init__(self, *, wall: Wall, journal: SecretJournal, saved: Saved) -> None:
        self.timers = Timers()
        self._wall = wall
        self._lock = threading.RLock()
        self._journal = journal
        self._secrets = saved.secrets
        for path, stored in saved.secrets.items():
            self.timers.plan(path, stored)
        self._lags = Lags(wall)
        self._etag = 0

    def create(self, path: str, message: Any) -> Change:
        """Keep a new secret.

        Raises:
            Refusal: ALREADY_EXISTS.
        """
        with self._lock:
            if path in self._secrets:
                raise exists(path)
            at = self._wall()
            kept = copied(message)
            kept.name = path
            stamp(kept.create_time, at)
            kept.etag = self._next_etag()
            self._secrets[path] = Stored(kept)
            self._journal.secret(path, self._secrets[path])
            self.timers.plan(path, self._secrets[path])
            return Change(at, copied(kept))

    def get(self, path: str) -> Any:
        """The secret's message.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            return copied(self._stored(path).message)

    def has(self, path: str) -> bool:
        """Whether the secret exists."""
        return path in self._secrets

    def under(self, parent: str) -> list[Any]:
        """The secrets directly under `parent`, newest first [documented]."""
        with self._lock:
            inside = [stored.message for path, stored in self._secrets.items() if _under(parent, path)]
            return [copied(message) for message in reversed(inside)]

    def update(self, path: str, *, etag: str, change: Callable[[Any, int], None]) -> Change:
        """Let `change` alter the secret's message, given its number of versions.

        Raises:
            Refusal: NOT_FOUND; FAILED_PRECONDITION, `etag` is given and is not the current one; or from `change`.
        """
        with self._lock:
            stored = self._stored(path)
            _check_etag(stored.message, etag)
            changed = copied(stored.message)
            change(changed, len(stored.versions))
            # An update that changes nothing moves the etag as well [documented].
            changed.etag = self._next_etag()
            stored.message = changed
            at = self._mark(stored)
            stored.aliases.append((len(stored.changes), dict(changed.version_aliases)))
            self._journal.secret(path, stored)
            self.timers.plan(path, stored)
            return Change(at, copied(changed))

    def delete(self, path: str, *, etag: str) -> Change:
        """Forget a secret with all its versions, and return what it was.

        Raises:
            Refusal: NOT_FOUND; FAILED_PRECONDITION, `etag` is given and is not the current one.
        """
        with self._lock:
            stored = self._stored(path)
            _check_etag(stored.message, etag)
            self._remove(path)
            self._journal.gone(path, stored)
            return Change(self._wall(), stored.message)

    def add(self, path: str, data: bytes, *, crc_given: bool) -> Change:
        """Add a version: numbers are consecutive from 1 [documented].

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
            stamp(message.create_time, at)
            _replicated(message, stored.message)
            version = Version(number, message, data, google_crc32c.value(data))
            version.states.append((len(stored.changes), message.state))
            stored.versions.append(version)
            self._journal.version(path, version)
            return Change(at, copied(stored.message), copied(message))

    def versions(self, path: str) -> list[Any]:
        """The versions of a secret, newest first [documented].

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            return [copied(version.message) for version in reversed(self._stored(path).versions)]

    def find(self, path: str, asked: str) -> tuple[Any, bytes, int]:
        """What `asked` is: a version's message, value and checksum; `latest` and aliases as they lag.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            stored = self._stored(path)
            now = len(stored.changes)
            change = now if asked.isdecimal() else self._lags.seen(path, stored)
            version = _version(stored, path, stored.number_of(asked, change), asked)
            message = copied(version.message)
            # A destroyed value is gone from every replica's point of view: there is nothing left to serve.
            if message.state != DESTROYED:
                message.state = version.state(change)
            return message, version.data, version.crc

    def set_state(self, path: str, asked: str, state: int, *, etag: str) -> Change:
        """Enable, disable or destroy a version, called by its number.

        Where the secret delays destruction, a version that is to be destroyed is disabled and its end is planned;
        enabling or disabling it takes that back [documented].

        Raises:
            Refusal: NOT_FOUND; INVALID_ARGUMENT, not a number; FAILED_PRECONDITION, it is destroyed or `etag` is
                given and is not the current one.
        """
        if not asked.isdecimal():
            # [seen in production by a third party]: aliases and `latest` are for get and access only.
            raise invalid(f"A version number is needed, not [{asked}].")
        with self._lock:
            stored = self._stored(path)
            version = _version(stored, path, int(asked), asked)
            _check_etag(version.message, etag)
            if version.message.state == DESTROYED:
                raise in_state(version.message)
            delay = stored.message.version_destroy_ttl.ToSeconds()
            if state != DESTROYED or not delay:
                change = self._moved(stored, version, state, self._wall())
            else:
                end = self._wall() + delay
                stamp(version.message.scheduled_destroy_time, end)
                change = self._moved(stored, version, DISABLED, self._wall(), doomed=end)
                self.timers.plan(path, stored)
            self._journal.version(path, version)
            return change

    def policy(self, path: str) -> Any:
        """The policy of a secret, not to be altered; None where it has none or there is no such secret."""
        stored = self._secrets.get(path)
        return stored and stored.policy

    def set_policy(self, path: str, policy: Any) -> None:
        """Keep a policy with the secret: it goes when that goes.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            self._stored(path).policy = policy
            self._journal.policy(path, policy)

    def lag(self, path: str, *, changes: int | None, seconds: float) -> None:
        """Let `latest` and aliases answer as before the last `changes` changes, or as they were `seconds` ago.

        Raises:
            Refusal: NOT_FOUND.
        """
        with self._lock:
            self._lags.set(path, self._stored(path), changes=changes, seconds=seconds)

    def catch_up(self, path: str) -> None:
        """Let `latest` and aliases answer as things are."""
        with self._lock:
            self._lags.end(path)

    def keep(self, path: str, stored: Stored, version: Version | None = None) -> None:
        """Write a change that has happened of itself, once it is announced: it is announced twice rather than never.

        Args:
            path: of the secret.
            stored: the secret, which may have gone, and there may be another of its name.
            version: the one that changed, None where the secret itself did.
        """
        with self._lock:
            there = self._secrets.get(path)
            if there is stored:
                self._journal.secret(path, stored)
                if version is not None:
                    self._journal.version(path, version)
                return
            self._journal.gone(path, stored)
            if there is not None:
                self._journal.whole(path, there)

    def _remove(self, path: str) -> None:
        del self._secrets[path]
        self._lags.end(path)

    def _moved(self, stored: Stored, version: Version, state: int, at: float, *, doomed: float | None = None) -> Change:
        stored.doomed.pop(version.number, None)
        if doomed is None:
            version.message.ClearField("scheduled_destroy_time")
        else:
            stored.doomed[version.number] = doomed
        # Doing what is done already moves the etag too [seen in production by a third party].
        version.message.state = state
        version.message.etag = self._next_etag()
        at = self._mark(stored, at)
        version.states.append((len(stored.changes), state))
        if state == DESTROYED:
            stamp(version.message.destroy_time, at)
            version.data = b""
        return Change(at, copied(stored.message), copied(version.message))

    def _stored(self, path: str) -> Stored:
        if path not in self._secrets:
            raise missing(path)
        return self._secrets[path]

    def _mark(self, stored: Stored, at: float | None = None) -> float:
        at = self._wall() if at is None else at
        stored.changes.append(max(at, stored.changes[-1]) if stored.changes else at)
        return stored.changes[-1]

    def _next_etag(self) -> str:
        # The form of production's: hex of a time in microseconds, in quotes [seen in production by a third party].
        self._etag = max(self._etag + 1, int(self._wall() * 1e6))
        return f'"{self._etag:x}"'


def _version(stored: Stored, path: str, number: int | None, asked: str) -> Version:
    if not stored.versions:
        raise missing(path)
    if number is None or not 1 <= number <= len(stored.versions):
        raise version_missing(path, asked)
    return stored.versions[number - 1]


def _replicated(version: Any, secret: Any) -> None:
    if secret.replication.HasField("automatic"):
        version.replication_status.automatic.SetInParent()
    for replica in secret.replication.user_managed.replicas:
        version.replication_status.user_managed.replicas.add(location=replica.location)


def _check_etag(message: Any, etag: str) -> None:
    if etag and etag != message.etag:
        raise stale(message)


def _under(parent: str, path: str) -> bool:
    return path.rpartition("/secrets/")[0] == parent
