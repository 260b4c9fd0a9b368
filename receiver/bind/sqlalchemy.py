"""An SQLAlchemy engine that follows its credentials: `follow(engine, secret)`, for engines and async engines.

New connections log in with what is current. At a change idle connections are closed, those in use finish what they are
doing and are closed when they come back. Each is replaced in its place, so the pool never grows past its size.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.util import await_only

from ..secret import HeldValue
from .followed import Credentials, Followed, credentials_of
from .login import PATIENCE, log_in
from .sessions import Mark, Sessions


if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


_T = TypeVar("_T")
_C = TypeVar("_C")

_KEY: Final = "keyturn"


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
        engine: the engine; any pool of SQLAlchemy's.
        secret: a `Secret` or `Group`.
        credentials: finds user and password in its value.
        patience: seconds for which logging in is tried again after a refusal; see `receiver.bind.login`.
    """
    follower = _Follower(secret, credentials, patience)
    sync = engine if isinstance(engine, Engine) else engine.sync_engine
    event.listen(sync, "do_connect", follower.do_connect)
    event.listen(sync, "connect", follower.connected)
    event.listen(sync, "checkout", follower.checkout)
    event.listen(sync, "checkin", follower.checkin)
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
    return lambda: log_in(secret, lambda value: connect(credentials(value)), patience=patience)[0]


class _Follower:
    def __init__(self, secret: Followed[Any], credentials: Callable[[Any], Credentials], patience: float) -> None:
        self._secret = secret
        self._credentials = credentials
        self._patience = patience
        self._sessions = Sessions()

    def do_connect(self, dialect: Any, record: Any, cargs: list[Any], cparams: dict[str, Any]) -> Any:
        def connect(value: Any) -> Any:
            found = self._credentials(value)
            user = {} if found.user is None else {"user": found.user}
            return dialect.connect(*cargs, **{**cparams, **user, "password": found.password})

        if dialect.is_async:
            made, held = log_in(
                self._secret,
                connect,
                patience=self._patience,
                look=lambda seconds: await_only(asyncio.to_thread(self._secret.look, timeout=seconds)),
                wait=lambda seconds: await_only(asyncio.sleep(seconds)),
            )
        else:
            made, held = log_in(self._secret, connect, patience=self._patience)
        if record is not None:
            record.info[_KEY] = held
        return made

    def connected(self, connection: Any, record: Any) -> None:
        held = record.info.get(_KEY)  # what it logged in with, but for a creator, which does not say
        if not isinstance(held, HeldValue):
            held = self._secret.held
        loop = _running_loop()
        driver = connection if loop is None else getattr(connection, "driver_connection", connection)
        record.info[_KEY] = mark = Mark(driver, held, loop)
        self._sessions.opened(record, mark)

    def checkout(self, _connection: Any, record: Any, _fairy: Any) -> None:
        mark: Mark = record.info[_KEY]
        if mark.in_use:  # opened for this very checkout, so it logged in a moment ago
            return
        mark.in_use = True
        if mark.held is not self._secret.held:
            if not mark.claim():  # closed while it was idle, and some drivers refuse to close twice
                record.dbapi_connection = None
            raise DisconnectionError("its credentials have been replaced")

    def checkin(self, _connection: Any, record: Any) -> None:
        mark = record.info.get(_KEY)
        if not isinstance(mark, Mark):  # it was never opened
            return
        mark.in_use = False
        if mark.held is not self._secret.held and mark.claim():
            record.invalidate()

    def retire(self, newest: HeldValue[Any]) -> None:
        self._sessions.retire(newest)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
