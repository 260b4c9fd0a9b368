"""Whatever is built from secrets and must be built anew when one changes: a client, a signer, a configuration.

    client = Rebuilt(Client, api_key, close=Client.close)

    with client.lease() as current:
        current.send(...)

At a change the new one is built first and then takes the place of the old one, which is closed when the last lease on
it ends. Where building fails the old one serves on, the log says so, and it is tried again with backoff.
"""

import logging
import threading
from collections.abc import Callable
from operator import is_
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..hooks import at_fork
from ..secret import HeldValue
from ..telemetry import entry as log
from .followed import Followed


_C = TypeVar("_C")


class _Built(Generic[_C]):
    """One that was built: what of, how many leases are on it, and whether another has taken its place."""

    __slots__ = ("leases", "of", "replaced", "thing")

    def __init__(self, thing: _C, of: tuple[HeldValue[Any], ...]) -> None:
        self.thing = thing
        self.of = of
        self.leases = 0
        self.replaced = False


class Lease(Generic[_C]):
    """The use of what was built, until its `with` block ends; it may end in another thread than it began in."""

    __slots__ = ("_built", "_of")

    def __init__(self, of: "Rebuilt[_C]") -> None:
        self._of = of
        self._built: _Built[_C] | None = None

    def __enter__(self) -> _C:
        if self._built is not None:
            raise RuntimeError("a lease is entered once; ask for another one")
        self._built = self._of._begin()
        return self._built.thing

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        built, self._built = self._built, None
        if built is not None:
            self._of._end(built)

    async def __aenter__(self) -> _C:
        return self.__enter__()

    async def __aexit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.__exit__(None, None, None)


class Rebuilt(Generic[_C]):
    """Build something from secrets, anew at every change. Thread-safe; a forked child builds its own.

    Args:
        build: is called with the secrets' values, in their order, and returns what is leased. First at the first lease
            and then after each change, on a thread of its own.
        secrets: `Secret`s or `Group`s; those that must match belong into one group.
        close: is called with what was replaced when its last lease has ended, by whoever ends it. What it raises is
            logged by its type and goes no further.
    """

    def __init__(
        self, build: Callable[..., _C], *secrets: Followed[Any], close: Callable[[_C], object] | None = None
    ) -> None:
        if not secrets:
            raise ValueError("say at least one secret that it is built from")
        self._build = build
        self._secrets = secrets
        self._close = close
        self._lock = threading.Lock()
        self._building = threading.Lock()
        self._current: _Built[_C] | None = None
        self._inherited: _Built[_C] | None = None
        at_fork(self)
        for secret in secrets:
            secret.on_change(self._rebuild)

    def lease(self) -> Lease[_C]:
        """Use the current one for the length of a `with` (or `async with`) block; it is not closed meanwhile.

        Entering waits only where none has been built in this process yet, and raises then what building raises.
        """
        return Lease(self)

    def close(self) -> None:
        """Close the current one when its last lease has ended; the next lease builds another."""
        self._swap(None)

    def after_fork(self) -> None:
        """In a forked child: the parent's is the parent's, not ours to use, to close or even to collect."""
        self._inherited, self._current = self._current, None
        self._lock, self._building = threading.Lock(), threading.Lock()

    def _begin(self) -> _Built[_C]:
        while True:
            with self._lock:
                if self._current is not None:
                    self._current.leases += 1
                    return self._current
            with self._building:
                if self._current is None:
                    self._swap(self._made())

    def _end(self, built: _Built[_C]) -> None:
        with self._lock:
            built.leases -= 1
            over = built.replaced and not built.leases
        if over:
            self._let_go(built)

    def _rebuild(self, _: HeldValue[Any]) -> None:
        with self._building:  # also of who builds the first, which may be of the value before
            current = self._current
            if current is not None and not all(map(is_, current.of, self._held())):
                self._swap(self._made())

    def _made(self) -> _Built[_C]:
        of = self._held()
        return _Built(self._build(*(held.value for held in of)), of)

    def _held(self) -> tuple[HeldValue[Any], ...]:
        return tuple(secret.held for secret in self._secrets)

    def _swap(self, new: _Built[_C] | None) -> None:
        with self._lock:
            old, self._current = self._current, new
            if old is None:
                return
            old.replaced = True
            over = not old.leases
        if over:
            self._let_go(old)

    def _let_go(self, built: _Built[_C]) -> None:
        if self._close is None:
            return
        try:
            self._close(built.thing)
        except Exception as exc:  # noqa: BLE001  # whoever ended a lease has nothing to do with it
            kind = type(exc).__name__
            names = ", ".join(str(getattr(secret, "name", "a group")) for secret in self._secrets)
            log(logging.ERROR, "close_failed", f"what was built of {names} could not be closed: {kind}", secret=names)
