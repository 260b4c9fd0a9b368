"""An SQLAlchemy engine that follows its credentials: `follow(engine, secret)`, for engines and async engines.

New connections log in with what is current. At a change idle connections are closed, those in use finish what they are
doing and are closed when they have come back. Each is replaced in its place, so the pool never grows past its size.
Nothing of this is on the way of a checkout or a return.
"""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import await_only, greenlet_spawn

from ..errors import KeyturnError
from ..secret import HeldValue
from ..threads import spawn
from .followed import Credentials, Followed, credentials_of
from .login import PATIENCE, held_without_blocking, log_in


if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


_T = TypeVar("_T")
_C = TypeVar("_C")

_KEY: Final = "keyturn"
_OLD: Final = "keyturn_old"

#: Seconds between two looks for what is old and idle after a change: doubling from the first to the cap.
_FIRST: Final = 0.02
_CAP: Final = 0.5


def follow(
    engine: "Engine | AsyncEngine",
    secret: Followed[Any],
    *,
    credentials: Callable[[Any], Credentials] = credentials_of,
    patience: float = PATIENCE,
) -> None:
    """Let an engine log in with a secret's newest value, and retire its connections when that changes. Thread-safe.

    Call it where the engine is made, before its first connection. What the engine's URL says of user and password is
    replaced; where the secret says no user, the URL's stays. An engine that was made with `creator=` opens its
    connections itself, see `creator`; they are retired all the same.

    Args:
        engine: the engine.
        secret: a `Secret` or `Group`.
        credentials: finds user and password in its value.
        patience: seconds for which logging in is tried again after a refusal; see `receiver.bind.login`.

    Raises:
        ValueError: the engine has a `StaticPool`, whose one connection is not to be replaced.
    """
    sync = engine if isinstance(engine, Engine) else engine.sync_engine
    if isinstance(sync.pool, StaticPool):
        # A TypeError would say that engines of this kind can never be followed; it is how this one was set up.
        raise ValueError(  # noqa: TRY004
            "a StaticPool has one connection for ever, so it cannot follow a secret; choose another pool"
        )
    follower = _Follower(sync, secret, credentials, patience)
    event.listen(sync, "do_connect", follower.do_connect)
    event.listen(sync, "connect", follower.connected)
    secret.on_change(follower.retire)


def creator(
    secret: Followed[_T],
    connect: Callable[[Credentials], _C],
    *,
    credentials: Callable[[_T], Credentials] = credentials_of,
    patience: float = PATIENCE,
) -> Callable[[], _C]:
    """Make a `creator=` for engines whose connections something else opens, such as Cloud SQL's connector.

    Args:
        secret: a `Secret` or `Group`.
        connect: opens a connection with credentials.
        credentials: finds user and password in the secret's value.
        patience: seconds for which logging in is tried again after a refusal.
    """

    def create() -> _C:
        if _closing.get():
            raise _Closing
        return log_in(secret, lambda value: connect(credentials(value)), patience=patience)[0]

    return create


class _Closing(Exception):
    """Ends the replacement of an idle connection where the old one has been closed and no new one is needed yet."""


#: Whether idle connections are being closed here, which is done by checking them out.
_closing: ContextVar[bool] = ContextVar("keyturn_closing", default=False)


class _Follower:
    def __init__(
        self, engine: Engine, secret: Followed[Any], credentials: Callable[[Any], Credentials], patience: float
    ) -> None:
        self._engine = weakref.ref(engine)
        self._secret = secret
        self._credentials = credentials
        self._patience = patience
        self._lock = threading.Lock()
        self._opened: weakref.WeakKeyDictionary[Any, HeldValue[Any]] = weakref.WeakKeyDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changes = 0
        self._retiring = False

    def do_connect(self, dialect: Any, record: Any, cargs: list[Any], cparams: dict[str, Any]) -> Any:
        if _closing.get():
            raise _Closing

        def connect(value: Any) -> Any:
            found = self._credentials(value)
            user = {} if found.user is None else {"user": found.user}
            return dialect.connect(*cargs, **{**cparams, **user, "password": found.password})

        if dialect.is_async:
            self._loop = asyncio.get_running_loop()
            await_only(held_without_blocking(self._secret))
            made, held = log_in(self._secret, connect, patience=self._patience, look=self._look, wait=_sleep)
        else:
            made, held = log_in(self._secret, connect, patience=self._patience)
        if record is not None:
            record.info[_KEY] = held
        return made

    def connected(self, _connection: Any, record: Any) -> None:
        held = record.info.setdefault(_KEY, self._secret.held)  # a creator does not say what it logged in with
        with self._lock:
            self._opened[record] = held
        if held is not self._newest():  # replaced while it logged in, so the retiring may have missed it
            self.retire(held)

    def retire(self, _: HeldValue[Any]) -> None:
        self._invalidate()
        with self._lock:
            self._changes += 1
            if self._retiring:
                return
            self._retiring = True
        # Not waited for: it ends with the last transaction, and who changes the secret may be the loop itself.
        if self._loop is None:
            spawn(self._retire, name="retire")
        elif not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(greenlet_spawn(self._retire, _sleep), self._loop)

    def _retire(self, wait: Callable[[float], object] = time.sleep) -> None:
        # Looking now and then, for as long as something old is open, costs those who use the pool nothing.
        pause, over = _FIRST, False
        try:
            while not over:
                changes, old, engine = self._changes, self._invalidate(), self._engine()
                if engine is not None and not all(record.in_use for record in old):
                    _check_out_idle(engine.pool)
                if old and engine is not None:
                    del engine
                    wait(pause)
                    pause = min(_CAP, pause * 2)
                    continue
                with self._lock:
                    over = changes == self._changes
                    self._retiring = not over
        except BaseException:
            self._retiring = False
            raise

    def _invalidate(self) -> list[Any]:
        """Let who checks out what is old get another one in its place; returns what is old and still open."""
        newest = self._newest()
        with self._lock:
            opened = list(self._opened.items())
        old = [record for record, held in opened if held is not newest and record.dbapi_connection is not None]
        if newest is None:
            return []
        for record in old:
            if _OLD not in record.info:  # what a pool knows of a connection ends with it
                record.info[_OLD] = True
                record.invalidate(soft=True)
        return old

    def _newest(self) -> HeldValue[Any] | None:
        try:
            return self._secret.held
        except KeyturnError:
            return None

    def _look(self, seconds: float) -> None:
        await_only(asyncio.to_thread(self._secret.look, timeout=seconds))


def _check_out_idle(pool: Any) -> None:
    """Let the pool close what is idle and invalid, which it does when it is checked out, and open nothing instead."""
    token = _closing.set(True)
    try:
        for _ in range(pool.checkedin() if hasattr(pool, "checkedin") else 0):
            with suppress(_Closing, SQLAlchemyError):
                pool.connect().close()
    finally:
        _closing.reset(token)


def _sleep(seconds: float) -> None:
    await_only(asyncio.sleep(seconds))
