"""A Secret Manager in memory: a source that answers as the real one does, and fails where it is told to."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Final

from ..errors import AccessFailed
from ..events import EventType
from ..names import SecretName, VersionName
from ..source import Payload
from .announced import announcement
from .history import Lag, Moment, State, Version, accessible


#: As Google: a value has one byte at least and this many at most.
LARGEST: Final = 64 * 1024

Named = str | SecretName
"""A secret by its id (a global one), by its full resource name, or by a handle's `name`."""

_numbers = count(1)


class InMemorySource:
    """A `SecretSource` that answers as Secret Manager does, stale reads and failures included. Thread-safe.

    It is one project, whatever the project is called, so names may spell it in any way. Each source has a project
    number of its own, so that what is announced in one test means nothing to another's cache.

    Args:
        secrets: the first value of each secret, by its name; text is kept as UTF-8.
        project_number: the number that answers and events carry; one of its own where it is not given.
        wall: nanoseconds since the epoch, for the stamps of events.

    Raises:
        ValueError: a value is empty or larger than 64 KiB, which Secret Manager refuses.
    """

    def __init__(
        self,
        secrets: Mapping[str, str | bytes] | None = None,
        *,
        project_number: str | None = None,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.project_number = project_number or f"9{os.getpid():07}{next(_numbers):06}"
        self._wall = wall
        self._changed = threading.Condition()
        self._history: dict[SecretName, list[Moment]] = {}
        self._lags: dict[SecretName, Lag] = {}
        self._failures: deque[tuple[SecretName | None, Exception]] = deque()
        self._blocked: set[SecretName | None] = set()
        self._held_up = 0
        self._calls: list[tuple[str, str]] = []
        self._news: list[bytes] = []
        self._stamp = 0
        for name, data in (secrets or {}).items():
            self.add(name, data)
        self._news.clear()  # what was there before anybody looked is no news

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Every access so far, in order: the secret's id, and the version as it was asked for."""
        with self._changed:
            return list(self._calls)

    def access(self, name: SecretName, version: str, *, timeout: float) -> Payload:
        """Read one version; see `SecretSource.access`."""
        mine = self._name(name)
        with self._changed:
            self._calls.append((name.secret, version))
            self._wait(mine, version, timeout)
            self._fail(mine)
            number = accessible(
                self._history.get(mine, [Moment()]), self._lags.get(mine), version, what=f"{mine}/versions/{version}"
            )
            return Payload(VersionName(mine, number), self._history[mine][-1].versions[number - 1].data)

    def after_fork(self) -> None:
        """In a forked child: a lock of its own. The child's secrets are its own from here on."""
        self._changed = threading.Condition()
        self._held_up = 0

    def close(self) -> None:
        """Nothing is open."""

    def add(self, name: Named, data: str | bytes) -> int:
        """Add a version, enabled, and return its number; the first one creates the secret.

        Raises:
            ValueError: it is empty or larger than 64 KiB, which Secret Manager refuses.
        """
        mine, kept = self._name(name), data.encode() if isinstance(data, str) else bytes(data)
        if not 0 < len(kept) <= LARGEST:
            raise ValueError(f"{mine.secret}: Secret Manager takes values of 1 to {LARGEST} bytes only")
        with self._changed:
            if mine not in self._history:
                self._history[mine] = [Moment()]
                self._tell(EventType.CREATE, mine)
            secret = self._history[mine][-1]
            self._history[mine].append(replace(secret, versions=(*secret.versions, Version(kept))))
            number = len(secret.versions) + 1
            self._tell(EventType.ADD, mine, number)
            return number

    def enable(self, name: Named, number: int) -> None:
        """Make a version accessible again.

        Raises:
            ValueError: it does not exist, or is destroyed.
        """
        self._move(name, number, State.ENABLED, EventType.ENABLE)

    def disable(self, name: Named, number: int) -> None:
        """Make a version inaccessible until it is enabled.

        Raises:
            ValueError: it does not exist, or is destroyed.
        """
        self._move(name, number, State.DISABLED, EventType.DISABLE)

    def destroy(self, name: Named, number: int) -> None:
        """Destroy a version's value for good.

        Raises:
            ValueError: it does not exist, or is destroyed.
        """
        self._move(name, number, State.DESTROYED, EventType.DESTROY)

    def delete(self, name: Named) -> None:
        """Delete a secret with all its versions; one of that name that is added later counts from 1 again.

        Raises:
            ValueError: it does not exist.
        """
        with self._changed:
            mine = self._existing(name)
            del self._history[mine]
            self._lags.pop(mine, None)
            self._tell(EventType.DELETE, mine)

    def set_aliases(self, name: Named, aliases: Mapping[str, int]) -> None:
        """Replace the aliases of a secret.

        Raises:
            ValueError: the secret or one of the numbers does not exist.
        """
        with self._changed:
            mine = self._existing(name)
            secret = self._history[mine][-1]
            if not all(1 <= number <= len(secret.versions) for number in aliases.values()):
                raise ValueError(f"{mine.secret}: an alias must point at a version that exists")
            self._history[mine].append(replace(secret, aliases=dict(aliases)))
            self._tell(EventType.UPDATE, mine, aliases=aliases)

    def lag(self, name: Named, *, changes: int = 0, numbers: bool = False) -> None:
        """Let `latest` and aliases answer with the past until `catch_up`, as Google lets them for up to hours.

        Args:
            name: the secret.
            changes: answer as before the last so many changes; 0 stands still at now.
            numbers: let access by number lag a disabling or an enabling too. A version that was added is there at
                once, whatever lags.

        Raises:
            ValueError: the secret does not exist.
        """
        with self._changed:
            mine = self._existing(name)
            # However far behind, a secret that has versions answers with its first rather than with nothing.
            self._lags[mine] = Lag(max(1, len(self._history[mine]) - 1 - changes), numbers)

    def catch_up(self, name: Named) -> None:
        """Let everything answer as things are."""
        with self._changed:
            self._lags.pop(self._name(name), None)

    def fail(self, error: Exception | None = None, *, times: int = 1, name: Named | None = None) -> None:
        """Let the next accesses fail.

        Args:
            error: what they raise, one of the port's errors as a rule; a passing `AccessFailed` where not given.
            times: how many do.
            name: of which secret; None for any.
        """
        raised = error or AccessFailed("a failure that the test asked for", transient=True)
        mine = None if name is None else self._name(name)
        with self._changed:
            self._failures.extend([(mine, raised)] * times)

    def block(self, name: Named | None = None) -> None:
        """Let accesses of a secret (None: of all) wait until `release`, or until their timeout."""
        with self._changed:
            self._blocked.add(None if name is None else self._name(name))

    def release(self) -> None:
        """Let all go on that are blocked."""
        with self._changed:
            self._blocked.clear()
            self._changed.notify_all()

    def until_blocked(self, accesses: int = 1, *, timeout: float = 5.0) -> bool:
        """Wait until so many accesses are blocked at the same time; say whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._held_up >= accesses, timeout)

    def pushes(self) -> list[bytes]:
        """The bodies that Pub/Sub would push for the changes since the last call, to be posted to the push route."""
        with self._changed:
            news, self._news = self._news, []
            return news

    def __repr__(self) -> str:
        return f"<InMemorySource of {len(self._history)} secrets>"

    def _name(self, name: Named) -> SecretName:
        if isinstance(name, str):
            name = SecretName.parse(name) if "/" in name else SecretName(self.project_number, name)
        return name.within(self.project_number)

    def _existing(self, name: Named) -> SecretName:
        mine = self._name(name)
        if mine not in self._history:
            raise ValueError(f"{mine.secret}: there is no such secret in this source")
        return mine

    def _wait(self, name: SecretName, version: str, timeout: float) -> None:
        self._held_up += 1
        self._changed.notify_all()
        try:
            free = self._changed.wait_for(lambda: self._blocked.isdisjoint({None, name}), timeout)
        finally:
            self._held_up -= 1
        if not free:
            raise AccessFailed(f"{name}/versions/{version}: no answer in time", transient=True)

    def _fail(self, name: SecretName) -> None:
        for failure in self._failures:
            if failure[0] in (None, name):
                self._failures.remove(failure)
                raise failure[1].with_traceback(None)

    def _move(self, name: Named, number: int, state: State, event: EventType) -> None:
        with self._changed:
            mine = self._existing(name)
            secret = self._history[mine][-1]
            if not 1 <= number <= len(secret.versions):
                raise ValueError(f"{mine.secret} has no version {number}")
            version = secret.versions[number - 1]
            if version.state is State.DESTROYED:
                raise ValueError(f"version {number} of {mine.secret} is destroyed, which nothing undoes")
            moved = Version(b"" if state is State.DESTROYED else version.data, state)
            versions = (*secret.versions[: number - 1], moved, *secret.versions[number:])
            self._history[mine].append(replace(secret, versions=versions))
            self._tell(event, mine, number)

    def _tell(
        self, event: EventType, name: SecretName, number: int | None = None, *, aliases: Mapping[str, int] | None = None
    ) -> None:
        self._stamp = max(self._wall(), self._stamp + 1)
        self._news.append(announcement(event, name, number, aliases=aliases, stamp=self._stamp))
