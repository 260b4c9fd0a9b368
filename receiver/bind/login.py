"""Logging in while a password is being changed.

A change has two halves, the database's and Secret Manager's, and whichever comes first there is a moment in which the
newest value is refused. So who is refused looks upstream once, and tries again with the newest value until it is let in
or its patience is over. What is already open is not concerned: databases check a password when a session begins.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from ..errors import KeyturnError
from ..secret import HeldValue, HotSecret
from .followed import Followed


_T = TypeVar("_T")
_C = TypeVar("_C")

#: Seconds between the first refusal and the last try: how far apart the two halves of a change may lie.
PATIENCE: Final = 5.0

#: Seconds between two tries where nothing newer was found: doubling from the first to the cap.
_FIRST: Final = 0.05
_CAP: Final = 0.5

#: PostgreSQL's "invalid password" and "invalid authorization specification" (such as: may not log in).
_STATES: Final = frozenset({"28P01", "28000"})

#: The same where a driver tells the text only. libpq reports a refusal to begin a session without its SQLSTATE.
_WORDS: Final = ("authentication failed", "not permitted to log in", "no password supplied", "access denied for user")


def is_refusal(exc: BaseException) -> bool:
    """Whether a driver's exception says that user or password was refused; for PostgreSQL, MySQL and Redis drivers."""
    first = exc.args[0] if exc.args else None
    state = getattr(exc, "sqlstate", None) or getattr(exc, "pgcode", None)
    if state is None and isinstance(first, dict):  # pg8000 hands on the server's fields
        state = first.get("C")
    if state is not None:
        return state in _STATES
    if type(exc).__name__ in {"AuthenticationError", "AuthenticationWrongNumberOfArgsError"}:  # redis-py
        return True
    text = str(exc).lower()
    return any(words in text for words in _WORDS)


def is_newest(followed: Followed[_T], held: HeldValue[_T]) -> bool:
    """Whether `held` is still what new connections log in with; so is the last one of a secret that is revoked."""
    try:
        return followed.held is held
    except KeyturnError:
        return True


class Tries(Generic[_T]):
    """When to try again, for one caller.

    Args:
        followed: the credentials.
        patience: seconds between the first refusal and the last try.
        clock: monotonic seconds.
    """

    def __init__(self, followed: Followed[_T], *, patience: float, clock: Callable[[], float]) -> None:
        self._followed = followed
        self._patience = patience
        self._clock = clock
        self._until: float | None = None
        self._pause = _FIRST

    def again(self, tried: HeldValue[_T], exc: Exception) -> bool:
        """Whether the failure with `tried` is one that a try with something newer, or a moment later, may mend."""
        now = self._clock()
        if self._until is None:
            self._until = now + self._patience
        return now < self._until and (is_refusal(exc) or self._followed.held is not tried)

    @property
    def left(self) -> float:
        """Seconds until the last try."""
        return self._patience if self._until is None else max(0.0, self._until - self._clock())

    def pause(self) -> float:
        """Seconds to wait where nothing newer was found."""
        pause, self._pause = self._pause, min(_CAP, self._pause * 2)
        return min(pause, self.left)


def log_in(
    followed: Followed[_T],
    connect: Callable[[_T], _C],
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    look: Callable[[float], object] | None = None,
    wait: Callable[[float], object] = time.sleep,
) -> tuple[_C, HeldValue[_T]]:
    """Connect with the newest credentials, also while they are being changed. Thread-safe.

    Args:
        followed: the credentials.
        connect: begins a session with a value.
        patience: seconds between the first refusal and the last try.
        clock: monotonic seconds.
        look: looks upstream, within so many seconds, for something newer; `followed.look` where it is not given.
        wait: waits for so many seconds.

    Returns:
        What `connect` made, and what it was made with.

    Raises:
        Exception: what `connect` raised, where it is no refusal or the patience is over.
    """
    look = look or (lambda seconds: followed.look(timeout=seconds))
    tries = Tries(followed, patience=patience, clock=clock)
    while True:
        held = followed.held
        try:
            return connect(held.value), held
        except Exception as exc:
            if not tries.again(held, exc):
                raise
        if followed.held is held:
            look(min(2.0, tries.left))
        if followed.held is held:
            wait(tries.pause())


async def log_in_async(
    followed: Followed[_T],
    connect: Callable[[_T], Awaitable[_C]],
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[_C, HeldValue[_T]]:
    """Connect as `log_in` does; the event loop is never blocked.

    Cancelling it ends it at once; a look upstream that is under way ends by itself, within two seconds.
    """
    tries = Tries(followed, patience=patience, clock=clock)
    while True:
        held = await held_without_blocking(followed)
        try:
            return await connect(held.value), held
        except Exception as exc:
            if not tries.again(held, exc):
                raise
        if followed.held is held:
            await asyncio.to_thread(followed.look, timeout=min(2.0, tries.left))
        if followed.held is held:
            await asyncio.sleep(tries.pause())


async def held_without_blocking(followed: Followed[_T]) -> HeldValue[_T]:
    """What is held, read on another thread where reading may load."""
    if isinstance(followed, HotSecret):
        return followed.held
    return await asyncio.to_thread(lambda: followed.held)
