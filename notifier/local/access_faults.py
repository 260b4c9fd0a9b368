"""Faults of AccessSecretVersion on demand: refusals, slowness and damaged values."""

import threading
from collections import defaultdict, deque
from dataclasses import dataclass

import grpc

from .rpc import Caller, Refusal


@dataclass(slots=True)
class _Slow:
    seconds: float | None
    times: int | None
    released: bool = False


class AccessFaults:
    """What goes wrong with the accesses to come, by the full name of the secret. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._failures: defaultdict[str, deque[Refusal]] = defaultdict(deque)
        self._damage: defaultdict[str, int] = defaultdict(int)
        self._slow: dict[str, _Slow] = {}
        self._closed = False

    def fail(self, secret: str, *, times: int, code: grpc.StatusCode, message: str) -> None:
        """Let the next `times` accesses be refused."""
        with self._changed:
            self._failures[secret].extend(Refusal(code, message) for _ in range(times))

    def slow(self, secret: str, *, seconds: float | None, times: int | None) -> None:
        """Let accesses hang for `seconds`, or until released where None; `times` of them, or all where None."""
        with self._changed:
            self._release(secret)
            self._slow[secret] = _Slow(seconds, times)

    def damage(self, secret: str, *, times: int) -> None:
        """Let the next `times` answers carry a checksum that does not fit the value."""
        with self._changed:
            self._damage[secret] += times

    def clear(self, secret: str | None = None) -> None:
        """End the faults of one secret, or of all, and let go the accesses that hang."""
        with self._changed:
            for name in [secret] if secret else [*self._failures, *self._damage, *self._slow]:
                self._failures.pop(name, None)
                self._damage.pop(name, None)
                self._release(name)

    def close(self) -> None:
        """Let everything go that hangs, now and from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def before(self, secret: str, caller: Caller) -> None:
        """Hang and fail as was asked, before an access is answered.

        Raises:
            Refusal: the failure that was asked for.
        """
        with self._changed:
            slow = self._slow.get(secret)
            if slow is not None:
                self._hang(slow, caller)
            failures = self._failures[secret]
            if failures:
                raise failures.popleft()

    def damaged(self, secret: str) -> bool:
        """Whether this answer is to be damaged."""
        with self._changed:
            if self._damage[secret] == 0:
                return False
            self._damage[secret] -= 1
            return True

    def _hang(self, slow: _Slow, caller: Caller) -> None:
        if slow.times == 0:
            return
        if slow.times is not None:
            slow.times -= 1
        gone = threading.Event()
        if caller.when_gone(lambda: self._left(gone)):
            self._changed.wait_for(lambda: slow.released or self._closed or gone.is_set(), slow.seconds)

    def _left(self, gone: threading.Event) -> None:
        with self._changed:
            gone.set()
            self._changed.notify_all()

    def _release(self, secret: str) -> None:
        slow = self._slow.pop(secret, None)
        if slow is not None:
            slow.released = True
            self._changed.notify_all()
