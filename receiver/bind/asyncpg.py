"""asyncpg's pool that follows its credentials: `create_pool(secret, ...)`, in place of `asyncpg.create_pool(...)`.

New connections log in with what is current. At a change idle connections are closed, and those in use finish what they
are doing and are closed when they are released. The pool replaces each in its place, so it never grows past its size.
"""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from ..secret import HeldValue
from .followed import Credentials, Followed, credentials_of
from .login import PATIENCE, is_newest, log_in_async


_Hook = Callable[[Any], Awaitable[None]]


def create_pool(
    secret: Followed[Any],
    dsn: str | None = None,
    *,
    credentials: Callable[[Any], Credentials] = credentials_of,
    patience: float = PATIENCE,
    setup: _Hook | None = None,
    reset: _Hook | None = None,
    **settings: Any,
) -> "asyncpg.Pool[Any]":
    """Make a pool whose connections log in with a secret's newest value; await it, as asyncpg's own.

    Args:
        secret: a `Secret` or `Group`.
        dsn: where to connect to; what it says of user and password is replaced.
        credentials: finds user and password in the secret's value.
        patience: seconds for which logging in is tried again after a refusal; see `receiver.bind.login`.
        setup: as asyncpg's: called when a connection is acquired.
        reset: as asyncpg's: called when it is released.
        settings: asyncpg's own: `min_size`, `max_size`, `init` and so on.
    """
    follower = _Follower(secret, credentials, patience, setup, reset)
    base = settings.pop("connection_class", asyncpg.Connection)

    class Following(base):  # type: ignore[misc,valid-type]
        __slots__ = ("keyturn_mark",)  # reached through the proxies that a pool hands out, too

    pool = asyncpg.create_pool(
        dsn,
        connect=follower.connect,
        setup=follower.acquired,
        reset=follower.released,
        connection_class=Following,
        **settings,
    )
    follower.follow(pool)
    return pool


class _Mark:
    """One connection: what it was opened with, and whether somebody uses it."""

    __slots__ = ("__weakref__", "connection", "held", "in_use")

    def __init__(self, connection: Any, held: HeldValue[Any]) -> None:
        self.connection, self.held, self.in_use = weakref.ref(connection), held, False


class _Follower:
    """All but `follow` runs in the pool's event loop, so nothing comes between looking and acting."""

    def __init__(
        self,
        secret: Followed[Any],
        credentials: Callable[[Any], Credentials],
        patience: float,
        setup: _Hook | None,
        reset: _Hook | None,
    ) -> None:
        self._secret = secret
        self._credentials = credentials
        self._patience = patience
        self._setup, self._reset = setup, reset
        self._marks: weakref.WeakSet[_Mark] = weakref.WeakSet()
        self._loop: asyncio.AbstractEventLoop | None = None

    def follow(self, pool: "asyncpg.Pool[Any]") -> None:
        def retire(newest: HeldValue[Any]) -> None:
            loop = self._loop
            if loop is not None and not loop.is_closed() and not pool.is_closing():
                # Not waited for: who changes the secret may be the loop itself.
                asyncio.run_coroutine_threadsafe(self._retire(pool, newest), loop)

        self._secret.on_change(retire)

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        async def begin(value: Any) -> Any:
            found = self._credentials(value)
            user = {} if found.user is None else {"user": found.user}
            return await asyncpg.connect(*args, **kwargs | user | {"password": found.password})

        self._loop = asyncio.get_running_loop()
        while True:
            connection, held = await log_in_async(self._secret, begin, patience=self._patience)
            if is_newest(self._secret, held):
                break
            await connection.close()  # replaced while it logged in, so the retiring may have missed it
        connection.keyturn_mark = mark = _Mark(connection, held)
        self._marks.add(mark)
        return connection

    async def acquired(self, connection: Any) -> None:
        connection.keyturn_mark.in_use = True
        if self._setup is not None:
            await self._setup(connection)

    async def released(self, connection: Any) -> None:
        if self._reset is not None:
            await self._reset(connection)
        elif query := connection.get_reset_query():  # as the pool does where no `reset` was given
            await connection.execute(query)
        connection.keyturn_mark.in_use = False

    async def _retire(self, pool: "asyncpg.Pool[Any]", newest: HeldValue[Any]) -> None:
        await pool.expire_connections()  # what is in use is closed by the pool when it is released
        for mark in list(self._marks):
            connection = mark.connection()
            if connection is not None and mark.held is not newest and not mark.in_use:
                # At once, so that nobody can acquire it while it says goodbye.
                connection.terminate()
