"""psycopg's pools that follow their credentials: `connection_pool(secret, ...)`, `async_connection_pool(secret, ...)`.

New connections log in with what is current. At a change the pool drains: what is idle is closed and opened anew, what
is in use finishes its transaction and is closed when it comes back. The pool replaces each, so it never grows.
"""

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

import psycopg
import psycopg_pool

from ..secret import HeldValue
from .followed import Credentials, Followed, credentials_of
from .login import PATIENCE, is_newest, log_in, log_in_async


def connection_pool(
    secret: Followed[Any],
    conninfo: str = "",
    *,
    credentials: Callable[[Any], Credentials] = credentials_of,
    patience: float = PATIENCE,
    connection_class: type[psycopg.Connection[Any]] = psycopg.Connection,
    **settings: Any,
) -> psycopg_pool.ConnectionPool[Any]:
    """Make a `ConnectionPool` whose connections log in with a secret's newest value.

    Args:
        secret: a `Secret` or `Group`.
        conninfo: where to connect to; what it says of user and password is replaced.
        credentials: finds user and password in the secret's value.
        patience: seconds for which logging in is tried again after a refusal; see `receiver.bind.login`.
        connection_class: as the pool's own.
        settings: the pool's own: `min_size`, `max_size`, `open` and so on.
    """

    class Following(connection_class):  # type: ignore[misc,valid-type]
        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            def begin(value: Any) -> Any:
                return super(Following, cls).connect(conninfo, **kwargs | _arguments(credentials(value)))

            while True:
                made, held = log_in(secret, begin, patience=patience)
                if is_newest(secret, held):
                    return made
                made.close()  # replaced while it logged in, so the draining may have missed it

    pool = psycopg_pool.ConnectionPool(conninfo, connection_class=Following, **settings)
    living = weakref.ref(pool)

    def drain(_: HeldValue[Any]) -> None:
        found = living()
        if found is not None and not found.closed:
            found.drain()

    secret.on_change(drain)
    return pool


def async_connection_pool(
    secret: Followed[Any],
    conninfo: str = "",
    *,
    credentials: Callable[[Any], Credentials] = credentials_of,
    patience: float = PATIENCE,
    connection_class: type[psycopg.AsyncConnection[Any]] = psycopg.AsyncConnection,
    **settings: Any,
) -> psycopg_pool.AsyncConnectionPool[Any]:
    """Make an `AsyncConnectionPool` whose connections log in with a secret's newest value; see `connection_pool`.

    Open it in the event loop that uses it, as psycopg asks: `await pool.open()`.
    """
    loops: list[asyncio.AbstractEventLoop] = []

    class Following(connection_class):  # type: ignore[misc,valid-type]
        @classmethod
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            async def begin(value: Any) -> Any:
                return await super(Following, cls).connect(conninfo, **kwargs | _arguments(credentials(value)))

            loops[:] = [asyncio.get_running_loop()]
            while True:
                made, held = await log_in_async(secret, begin, patience=patience)
                if is_newest(secret, held):
                    return made
                await made.close()

    pool = psycopg_pool.AsyncConnectionPool(conninfo, connection_class=Following, open=False, **settings)
    living = weakref.ref(pool)

    def drain(_: HeldValue[Any]) -> None:
        found = living()
        if found is not None and not found.closed and loops:
            # Not waited for: who changes the secret may be the loop itself.
            asyncio.run_coroutine_threadsafe(found.drain(), loops[0])

    secret.on_change(drain)
    return pool


def _arguments(found: Credentials) -> dict[str, str]:
    return {"password": found.password} | ({} if found.user is None else {"user": found.user})
