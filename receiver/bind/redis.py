"""redis-py's pools that follow their credentials: `connection_pool(secret, ...)`, `async_connection_pool(secret, ...)`.

New connections log in with what is current. At a change idle connections are closed, and those in use are closed when
they come back. The pool's places stay the same, so it never grows past its size. A subscription holds its connection
for as long as the server lets it, and logs in anew with what is current then.
"""

import asyncio
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
import redis.asyncio

from ..secret import HeldValue
from .followed import Credentials, Followed, credentials_of
from .login import PATIENCE, is_newest, log_in, log_in_async


def connection_pool(
    secret: Followed[Any],
    *,
    credentials: Callable[[Any], Credentials] = credentials_of,
    patience: float = PATIENCE,
    pool_class: type[redis.ConnectionPool] = redis.ConnectionPool,
    connection_class: type[redis.Connection] = redis.Connection,
    **settings: Any,
) -> redis.ConnectionPool:
    """Make a pool whose connections log in with a secret's newest value: `redis.Redis(connection_pool=...)`.

    Args:
        secret: a `Secret` or `Group`.
        credentials: finds user and password in the secret's value; without a user it is Redis's default user.
        patience: seconds for which logging in is tried again after a refusal; see `receiver.bind.login`.
        pool_class: `redis.ConnectionPool` or `redis.BlockingConnectionPool`.
        connection_class: as the pool's own: `redis.SSLConnection`, for example.
        settings: the pool's own: `host`, `port`, `max_connections` and so on.
    """
    log_in_with = partial(log_in, secret, patience=patience)
    pool: redis.ConnectionPool = _pool(pool_class)(
        connection_class=_connection(connection_class, secret, credentials, log_in_with), **settings
    )
    living = weakref.ref(pool)

    def retire(_: HeldValue[Any]) -> None:
        found = living()
        if found is not None:
            found.disconnect(inuse_connections=False)

    secret.on_change(retire)
    return pool


def async_connection_pool(
    secret: Followed[Any],
    *,
    credentials: Callable[[Any], Credentials] = credentials_of,
    patience: float = PATIENCE,
    pool_class: type[redis.asyncio.ConnectionPool] = redis.asyncio.ConnectionPool,
    connection_class: type[redis.asyncio.Connection] = redis.asyncio.Connection,
    **settings: Any,
) -> redis.asyncio.ConnectionPool:
    """Make a pool for `redis.asyncio.Redis(connection_pool=...)`; see `connection_pool`."""
    made = _Made()
    log_in_with = partial(log_in_async, secret, patience=patience)
    kind = _async_connection(connection_class, secret, credentials, log_in_with, made)

    def retire(_: HeldValue[Any]) -> None:
        if made.loop is not None and not made.loop.is_closed():
            asyncio.run_coroutine_threadsafe(made.close_idle(), made.loop)

    secret.on_change(retire)
    pool: redis.asyncio.ConnectionPool = _async_pool(pool_class)(connection_class=kind, **settings)
    return pool


class _Made:
    """The connections of an asynchronous pool; used in its event loop alone, but for `loop`."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.all: weakref.WeakSet[Any] = weakref.WeakSet()

    async def close_idle(self) -> None:
        for connection in [found for found in self.all if found.is_old and not found.in_use]:
            # Without waiting, so that nobody can take it while it says goodbye.
            await connection.disconnect(nowait=True)


def _connection(
    base: Any, secret: Followed[Any], credentials: Callable[[Any], Credentials], log_in: Callable[..., Any]
) -> Any:
    class Following(base):  # type: ignore[misc]
        held: HeldValue[Any] | None = None

        @property
        def is_old(self) -> bool:
            return self.held is not None and not is_newest(secret, self.held)

        def connect(self) -> None:
            # The pool calls this at every checkout; what is connected it leaves as it is.
            if self.is_old:
                self.disconnect()
            super().connect()

        def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
            begin = super().connect_check_health

            def connect(value: Any) -> None:
                found = credentials(value)
                self.username, self.password = found.user, found.password
                try:
                    begin(*args, **kwargs)
                except BaseException:
                    self.disconnect()  # or what was interrupted half way would pass for logged in
                    raise

            if self.held is None:
                _, self.held = log_in(connect)

        def disconnect(self, *args: Any, **kwargs: Any) -> None:
            self.held = None
            super().disconnect(*args, **kwargs)

    return Following


def _pool(base: Any) -> Any:
    class Pool(base):  # type: ignore[misc]
        def release(self, connection: Any) -> None:
            if connection.is_old:
                connection.disconnect()
            super().release(connection)

    return Pool


def _async_connection(
    base: Any, secret: Followed[Any], credentials: Callable[[Any], Credentials], log_in: Callable[..., Any], made: _Made
) -> Any:
    class Following(base):  # type: ignore[misc]
        held: HeldValue[Any] | None = None
        in_use = False

        @property
        def is_old(self) -> bool:
            return self.held is not None and not is_newest(secret, self.held)

        async def connect(self) -> None:
            # The pool awaits this at every checkout; what is connected it leaves as it is.
            self.in_use = True
            made.all.add(self)
            made.loop = asyncio.get_running_loop()
            if self.is_old:
                await self.disconnect(nowait=True)
            await super().connect()

        async def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
            begin = super().connect_check_health

            async def connect(value: Any) -> None:
                found = credentials(value)
                self.username, self.password = found.user, found.password
                try:
                    await begin(*args, **kwargs)
                except BaseException:
                    await self.disconnect(nowait=True)  # or what was interrupted half way would pass for logged in
                    raise

            if self.held is None:
                _, self.held = await log_in(connect)

        async def disconnect(self, *args: Any, **kwargs: Any) -> None:
            self.held = None
            await super().disconnect(*args, **kwargs)

    return Following


def _async_pool(base: Any) -> Any:
    class Pool(base):  # type: ignore[misc]
        async def release(self, connection: Any) -> None:
            connection.in_use = False
            if connection.is_old:
                await connection.disconnect(nowait=True)
            await super().release(connection)

    return Pool
