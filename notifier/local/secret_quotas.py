"""The quotas of Secret Manager, off until they are switched on."""

import threading
from collections import defaultdict, deque
from dataclasses import dataclass

import grpc

from .names import Parent
from .ports import Wall
from .rpc import Refusal
from .secret_rpcs import Quota


_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How many calls are let through; None lets all. The figures are [documented].

    Args:
        access: AccessSecretVersion, a minute and project.
        read: other reads, a minute and project.
        write: writes, a minute and project.
        soft: whether a single secret is bounded too: a global one to 2 additions and updates a second and 120 a
            minute, a regional one to 80 a second; a global version to 1 change of state a second, a regional one to 50.
    """

    access: int | None = 90_000
    read: int | None = 600
    write: int | None = 600
    soft: bool = True


UNLIMITED = Limits(access=None, read=None, write=None, soft=False)

_TO_SECRET = frozenset({"AddSecretVersion", "UpdateSecret"})
_TO_VERSION = frozenset({"EnableSecretVersion", "DisableSecretVersion", "DestroySecretVersion"})


class Quotas:
    """Counts calls in sliding windows, and refuses those beyond a limit. Thread-safe.

    A call that is refused does not count [assumed].

    Args:
        wall: wall time.
    """

    def __init__(self, *, wall: Wall) -> None:
        self.limits = UNLIMITED
        self._wall = wall
        self._lock = threading.Lock()
        self._calls: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def limit(self, limits: Limits) -> None:
        """Set the limits, and begin to count anew."""
        with self._lock:
            self.limits = limits
            self._calls.clear()

    def count(self, method: str, quota: Quota, resource: str) -> None:
        """Count a call of a method on a resource whose name has the project's number.

        Raises:
            Refusal: RESOURCE_EXHAUSTED.
        """
        if self.limits is UNLIMITED:
            return
        project = resource.split("/")[1]
        bounds = [(quota.value, project, getattr(self.limits, quota.value), _MINUTE)]
        if self.limits.soft:
            bounds += _soft(method, resource)
        with self._lock:
            now = self._wall()
            windows = [(self._window(kind, whose, now), *bound) for kind, whose, *bound in bounds]
            for (window, limit, seconds), (kind, whose, *_) in zip(windows, bounds, strict=True):
                if limit is not None and sum(at > now - seconds for at in window) >= limit:
                    raise _exhausted(kind, whose, project, limit, seconds)
            for window, *_ in {id(window[0]): window for window in windows}.values():
                window.append(now)

    def _window(self, kind: str, whose: str, now: float) -> deque[float]:
        window = self._calls[kind, whose]
        while window and window[0] <= now - _MINUTE:
            window.popleft()
        # Calls of a time that is still to come: the clock was put back, and they must not count until it has come.
        while window and window[-1] > now:
            window.pop()
        return window


def _soft(method: str, resource: str) -> list[tuple[str, str, int | None, float]]:
    secret = resource.partition("/versions/")[0]
    regional = bool(Parent.parse(secret.partition("/secrets/")[0]).location)
    if method in _TO_SECRET:
        if regional:
            return [("changes of a secret", secret, 80, 1.0)]
        return [("changes of a secret", secret, 2, 1.0), ("changes of a secret", secret, 120, _MINUTE)]
    if method in _TO_VERSION:
        return [("changes of a version", resource, 50 if regional else 1, 1.0)]
    return []


def _exhausted(kind: str, whose: str, project: str, limit: int, seconds: float) -> Refusal:
    # The code is [documented], the words are [assumed].
    span = "minute" if seconds == _MINUTE else "second"
    about = "" if whose == project else f" of [{whose}]"
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"Quota exceeded for quota metric '{kind}'{about} and limit '{limit} per {span}' of service "
        f"'secretmanager.googleapis.com' for consumer 'project_number:{project}'.",
    )
