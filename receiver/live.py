"""One declared secret at run time: its handle, the state of its refresh, and the one flight that carries it out.

However many threads or events ask at once, one of them flies: it carries effects out until the step function rests.
All others tell the state what they know and wait, each by its own deadline. Since a flight ends under the same lock
under which it is told, what was told before the end was taken into account.
"""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from .declaration import Declaration
from .entry import (
    Access,
    Adopt,
    Adopted,
    Asked,
    Entry,
    Failed,
    Found,
    Held,
    Input,
    Missing,
    Refused,
    Rejected,
    Rest,
    Told,
    Verdict,
)
from .errors import AccessFailed, ValueRejected, VersionMissing, VersionRefused
from .knowledge import Knowledge
from .names import SecretName
from .secret import HeldValue, Secret, cold, make_cold, make_hot, make_revoked
from .source import SecretSource
from .step import step
from .telemetry import Event
from .telemetry import entry as log
from .values import decode


#: Pauses between retries of an entry that is behind: full jitter below this, doubling up to the cap, in seconds.
RETRY_FIRST: Final = 1.0
RETRY_CAP: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What entries reach outside through; all of it can be replaced.

    Args:
        source: where values come from.
        clock: monotonic seconds, for deadlines.
        wall: nanoseconds since the epoch, for stamps.
        jitter: a number between 0 and 1 at each call.
        pause: waits for so many seconds.
        learned: is told a declared name and the project number that an answer showed, before the answer is used.
    """

    source: SecretSource
    clock: Callable[[], float]
    wall: Callable[[], int]
    jitter: Callable[[], float] = random.random
    pause: Callable[[float], None]
    learned: Callable[[SecretName, str], None]


class _Flight:
    """A refresh under way."""

    __slots__ = ("_landed", "rest")

    def __init__(self) -> None:
        self._landed = threading.Event()
        self.rest: Rest | None = None

    def land(self, rest: Rest | None) -> None:
        self.rest = rest
        self._landed.set()

    def wait(self, seconds: float) -> bool:
        return self._landed.wait(max(0.0, seconds))


class LiveEntry:
    """One entry. Thread-safe; every wait ends at the deadline that comes with it."""

    def __init__(
        self, declaration: Declaration, around: Surroundings, *, first_read: Callable[["LiveEntry"], None]
    ) -> None:
        self.declaration = declaration
        self.handle: Secret[Any] = cold(declaration.name, lambda: first_read(self))
        self.loaded = False
        self.last_good: HeldValue[Any] | None = None
        self.trouble: str | None = None
        self.retry_at: float | None = None
        self._around = around
        self._state = Entry(pin=declaration.pin, static=declaration.static)
        self._lock = threading.Lock()
        self._flight: _Flight | None = None
        self._failures = 0

    @property
    def behind(self) -> bool:
        """Whether it is loaded and knowledge says that it should serve something else."""
        return self.loaded and self._state.behind

    def tell(self, news: Knowledge) -> None:
        """Merge `news` without acting on it. Memory only."""
        with self._lock:
            self._state, _ = step(self._state, Told(news), now=self._around.wall())

    def refresh(self, news: Knowledge | None = None, *, read: bool = False, deadline: float, path: str) -> Rest:
        """Merge `news` and bring the served value in line with what is known.

        Args:
            news: what was learned, if anything.
            read: read the pin upstream first, then climb.
            deadline: monotonic time after which this caller does not wait any more.
            path: by which path the news came, for the log.

        Returns:
            Where it came to rest; FAILED and transient where the deadline passed first.
        """
        while True:
            flight, effect, mine = self._enter(news, read=read)
            if flight is None:
                return self._concluded(effect, path)
            if mine:
                return self._concluded(self._fly(flight, effect, deadline, path), path)
            if not flight.wait(deadline - self._around.clock()):
                return Rest(Verdict.FAILED, transient=True)
            if flight.rest is not None:
                return flight.rest
            # Whoever flew was torn down in mid-air (a worker's abort): somebody else takes over.

    def after_fork(self) -> None:
        """Turn cold in a forked child: what it inherited is the last good value until it has looked itself.

        Memory only. A static entry keeps its value: it never changes, and the child is of the same service.
        """
        self._lock = threading.Lock()
        self._flight = None
        if self.loaded and not self.declaration.static:
            self.last_good = make_cold(self.handle) or self.last_good
            self.loaded = False
            self._state = replace(self._state, held=None)

    def fall_back(self) -> bool:
        """Serve the last good value, where there is one and nothing newer could be loaded; say whether."""
        with self._lock:
            if self.last_good is None or self.loaded:
                return self.loaded
            held = Held(self.last_good.version, fetched=0, life=-1)
            self._state = replace(self._state, held=held)
            make_hot(self.handle, self.last_good)
            self.loaded, self.last_good = True, None
            self._retry_later()
            return True

    def _enter(self, news: Knowledge | None, *, read: bool) -> tuple[_Flight | None, Any, bool]:
        with self._lock:
            flight, effect = self._flight, None
            if news is not None:
                self._state, effect = step(self._state, Told(news), now=self._around.wall())
            if flight is None or read:
                self._state, effect = step(self._state, Asked(read=read), now=self._around.wall())
            if flight is not None:
                return flight, effect, False
            if isinstance(effect, Rest):
                self._rest(effect)
                return None, effect, False
            self._flight = _Flight()
            return self._flight, effect, True

    def _fly(self, flight: _Flight, effect: Any, deadline: float, path: str) -> Rest:
        payloads: dict[int, bytes] = {}
        rest: Rest | None = None
        try:
            while rest is None:
                happened = self._carry_out(effect, payloads, deadline, path)
                with self._lock:
                    self._state, effect = step(self._state, happened, now=self._around.wall())
                    if isinstance(effect, Rest):
                        rest = effect
                        self._rest(rest)
                        self._flight = None
            return rest
        finally:
            # Also where a worker's abort or a greenlet's kill passes through: nobody must wait for a dead flight.
            if rest is None:
                with self._lock:
                    self._flight = None
            flight.land(rest)

    def _carry_out(self, effect: Any, payloads: dict[int, bytes], deadline: float, path: str) -> Input:
        if isinstance(effect, Adopt):
            return self._adopt(effect, payloads, path)
        return self._access(effect, payloads, deadline)

    def _access(self, access: Access, payloads: dict[int, bytes], deadline: float) -> Input:
        around, name = self._around, self.declaration.name
        if access.pause:
            around.pause(min(access.pause, max(0.0, deadline - around.clock())))
        left = deadline - around.clock()
        if left <= 0:
            self.trouble = "Secret Manager did not answer in time"
            return Failed(transient=True)
        began = around.wall()
        try:
            payload = around.source.access(name, access.version, timeout=left)
        except VersionMissing as exc:
            self.trouble = str(exc)
            return Missing(access)
        except VersionRefused as exc:
            self.trouble = str(exc)
            return Refused(access, began, destroyed=exc.destroyed)
        except AccessFailed as exc:
            self.trouble = str(exc)
            return Failed(transient=exc.transient)
        around.learned(name, payload.version.secret.project)
        payloads[payload.version.number] = payload.data
        return Found(access, payload.version.number, began)

    def _adopt(self, adopt: Adopt, payloads: dict[int, bytes], path: str) -> Input:
        number, kind = adopt.held.number, self.declaration.type
        try:
            value = decode(payloads[number], kind)
        except ValueRejected as exc:
            self.trouble = f"version {number}: {exc}"
            return Rejected(number)
        before = self._state.held
        make_hot(self.handle, HeldValue(number, value))
        self.loaded, self.last_good = True, None
        self._say_adopted(number, before.number if before else None, path)
        return Adopted(adopt.held)

    def _rest(self, rest: Rest) -> None:
        # Under the lock, before anybody who waits is told: memory only.
        match rest.verdict:
            case Verdict.SERVED:
                self.trouble, self.retry_at, self._failures = None, None, 0
            case Verdict.NONE_USABLE:
                self.retry_at = None
                if self.declaration.on_revoked == "raise" and self.loaded:
                    make_revoked(self.handle)
                    self._state = replace(self._state, held=None)
            case Verdict.WAITING | Verdict.HELD_BACK | Verdict.FAILED:
                self._retry_later()

    def _retry_later(self) -> None:
        limit = min(RETRY_CAP, RETRY_FIRST * 2 ** min(self._failures, 16))
        self._failures += 1
        self.retry_at = self._around.clock() + limit * self._around.jitter()

    def _say_adopted(self, number: int, before: int | None, path: str) -> None:
        event: Event = "loaded" if before is None else "stepped_back" if number < before else "refreshed"
        log(
            logging.INFO,
            event,
            f"{self.declaration.name} now serves version {number}",
            secret=str(self.declaration.name),
            version=number,
            previous=before,
            path=path,
        )

    def _concluded(self, rest: Rest, path: str) -> Rest:
        if rest.verdict in _SAID:
            level, event, what = _SAID[rest.verdict]
            held = self._state.held
            log(
                level,
                event,
                f"{self.declaration.name} {what}{': ' + self.trouble if self.trouble else ''}",
                secret=str(self.declaration.name),
                version=held.number if held else None,
                path=path,
            )
        return rest


_SAID: Final[dict[Verdict, tuple[int, Event, str]]] = {
    Verdict.FAILED: (logging.WARNING, "refresh_failed", "could not be refreshed, the last good value stays"),
    Verdict.HELD_BACK: (logging.ERROR, "held_back", "has a newer version that cannot be used"),
    Verdict.NONE_USABLE: (logging.ERROR, "revoked", "has no usable version any more"),
    Verdict.WAITING: (logging.WARNING, "waiting", "has no usable version at this moment, the last good value stays"),
}
