"""What happens to secrets of itself when its moment comes: rotation, expiry and the delayed end of a version."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .clocks import seconds, stamp
from .ports import Report, Wall
from .secret_events import Notifications
from .secret_records import DESTROYED, Change, Stored, Version, copied
from .secret_store import SecretStore


# How often the thread looks at the wall: a test may move that at any time, so waiting for a moment is not enough.
_LOOK = 0.05

_ROTATE = "SECRET_ROTATE"

_TOLD = {_ROTATE: "due", "SECRET_DELETE": "expired", "SECRET_VERSION_DESTROY": "destroyed"}


@dataclass(frozen=True, slots=True)
class _Happened:
    event: str
    change: Change
    stored: Stored
    version: Version | None = None
    more: Mapping[str, str] = field(default_factory=dict)


class Due:
    """Does what is due, and announces it. Thread-safe.

    Each thing bears the moment that was planned for it, also where the clock jumped past several [assumed].

    Args:
        store: whose secrets.
        notifications: where it is announced.
        wall: wall time.
        report: told of each change.
        rotated: told of each secret whose rotation was due.
    """

    def __init__(
        self,
        *,
        store: SecretStore,
        notifications: Notifications,
        wall: Wall,
        report: Report,
        rotated: Callable[[Any], None],
    ) -> None:
        self._store = store
        self._notify = notifications
        self._wall = wall
        self._report = report
        self._rotated = rotated
        self._settling = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="local-secret-due", daemon=True)
        self._thread.start()

    def before_call(self) -> None:
        """Do what is due, so that a call finds things as they should be; next to nothing where nothing is."""
        if self._store.timers.first() <= self._wall():
            self.settle()

    def settle(self) -> None:
        """Do and announce all that is due; when this returns, it has been published."""
        with self._settling:
            while (happened := self._next()) is not None:
                change = happened.change
                self._report(f"{_TOLD[happened.event]} {(change.version or change.secret).name}")
                self._notify.announce(happened.event, change, **happened.more)
                self._store.keep(change.secret.name, happened.stored, happened.version)
                if happened.event == _ROTATE:
                    self._rotated(change.secret)

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._ended.wait(_LOOK):
            self.before_call()

    def _next(self) -> _Happened | None:
        store = self._store
        with store._lock:
            while (planned := store.timers.pop(self._wall())) is not None:
                moment, path = planned
                stored = store._secrets.get(path)
                if stored is None or stored.next_moment() != moment:
                    continue
                happened = self._happen(path, stored, moment)
                store.timers.plan(path, stored)
                return happened
        return None

    def _happen(self, path: str, stored: Stored, moment: float) -> _Happened:
        secret, store = stored.message, self._store
        if secret.HasField("expire_time") and seconds(secret.expire_time) == moment:
            store._remove(path)
            # The data is the secret with its `expireTime` [seen in production by a third party].
            return _Happened("SECRET_DELETE", Change(moment, copied(secret)), stored, more={"deleteType": "EXPIRATION"})
        for number, end in stored.doomed.items():
            if end == moment:
                version = stored.versions[number - 1]
                change = store._moved(stored, version, DESTROYED, moment)
                return _Happened("SECRET_VERSION_DESTROY", change, stored, version)
        return _Happened(_ROTATE, self._rotate(stored, moment), stored)

    def _rotate(self, stored: Stored, moment: float) -> Change:
        """Advance the rotation: the message tells the next time already [seen in production by a third party].

        Without a period there is no next time [documented].
        """
        rotation = stored.message.rotation
        if period := rotation.rotation_period.ToSeconds():
            stamp(rotation.next_rotation_time, moment + period)
        else:
            rotation.ClearField("next_rotation_time")
            if not rotation.ListFields():
                stored.message.ClearField("rotation")
        stored.message.etag = self._store._next_etag()
        return Change(moment, copied(stored.message))
