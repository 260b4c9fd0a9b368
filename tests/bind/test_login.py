"""Logging in while a password is changed, with time that a test moves."""

import asyncio
import json
import threading

import psycopg
import pytest

from receiver import URL
from receiver.bind.followed import Credentials, credentials_of
from receiver.bind.login import PATIENCE, is_refusal, log_in, log_in_async
from receiver.testing import rotate


class Refused(Exception):
    """As asyncpg's."""

    sqlstate = "28P01"


class Database:
    """Takes one password, and notes who tried with what."""

    def __init__(self, password):
        self.password = password
        self.tried = []

    def __call__(self, password):
        self.tried.append(password)
        if password != self.password:
            raise Refused
        return f"session of {password}"

    async def later(self, password):
        await asyncio.sleep(0)
        return self(password)


class Clock:
    """Time that passes where somebody waits."""

    def __init__(self):
        self.now = 0.0
        self.waits = []
        self.then = {}

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        for at in [at for at in self.then if at <= self.now]:
            self.then.pop(at)()


@pytest.fixture
def password(cache):
    password = cache.secret("PASSWORD")
    cache.load()
    return password


def test_who_is_let_in_asks_nobody(source, password):
    """The usual case costs no look upstream."""
    before = len(source.calls)
    session, held = log_in(password, Database("pw-1"))

    assert ("session of pw-1", password.held, before) == (session, held, len(source.calls))


def test_the_database_first(source, password):
    """The old password is refused, the new version is there already though unannounced: found by one look."""
    source.add("PASSWORD", "pw-2")
    database, clock = Database("pw-2"), Clock()

    assert "session of pw-2" == log_in(password, database, clock=clock, wait=clock.wait)[0]
    assert (["pw-1", "pw-2"], []) == (database.tried, clock.waits)


def test_the_database_first_and_the_version_a_second_later(cache, source, password):
    """It waits, ever longer, until the version is there."""
    database, clock = Database("pw-2"), Clock()
    clock.then = {1.0: lambda: rotate(cache, source, "PASSWORD", "pw-2")}

    assert "session of pw-2" == log_in(password, database, clock=clock, wait=clock.wait)[0]
    assert [0.05, 0.1, 0.2, 0.4, 0.5] == clock.waits


def test_the_version_first(cache, source, password):
    """The new password is refused until the database has it too; nothing newer is there, so it is tried again."""
    rotate(cache, source, "PASSWORD", "pw-2")
    database, clock = Database("pw-1"), Clock()
    clock.then = {0.3: lambda: setattr(database, "password", "pw-2")}

    assert "session of pw-2" == log_in(password, database, clock=clock, wait=clock.wait)[0]
    assert {"pw-2"} == set(database.tried)


def test_patience_ends(password):
    """A password that is simply wrong is an error after the patience, and so is nothing else that a try can mend."""
    database, clock = Database("another"), Clock()
    with pytest.raises(Refused):
        log_in(password, database, clock=clock, wait=clock.wait)

    assert PATIENCE == pytest.approx(clock.now)


def test_other_failures_are_raised_at_once(password):
    """A server that is down is none of this: no wait, no look."""
    clock = Clock()

    def connect(_password):
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        log_in(password, connect, clock=clock, wait=clock.wait)
    assert [] == clock.waits


def test_a_failure_with_what_was_replaced_meanwhile_is_tried_again(cache, source, password):
    """Whatever it was: it was not the newest value that failed."""
    tried = []

    def connect(value):
        tried.append(value)
        if value == "pw-1":
            rotate(cache, source, "PASSWORD", "pw-2")
            raise ConnectionResetError
        return value

    assert "pw-2" == log_in(password, connect)[0]
    assert ["pw-1", "pw-2"] == tried


def test_in_an_event_loop(source, password):
    """The same, awaited."""
    source.add("PASSWORD", "pw-2")
    database = Database("pw-2")

    assert "session of pw-2" == asyncio.run(log_in_async(password, database.later))[0]
    assert ["pw-1", "pw-2"] == database.tried


def test_cancelling_ends_a_login_at_once(password):
    """A task that is cancelled while it is refused again and again ends, and raises nothing else."""
    database = Database("another")

    async def main():
        refused = asyncio.Event()

        async def connect(value):
            refused.set()
            return await database.later(value)

        task = asyncio.create_task(log_in_async(password, connect, patience=60))
        await refused.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)

    asyncio.run(main())


def test_a_cold_secret_is_loaded_beside_the_event_loop(cache, source):
    """The first login of a loop may find nothing loaded: the loop goes on meanwhile."""
    password, turns = cache.secret("PASSWORD"), []
    source.block()

    async def main():
        login = asyncio.create_task(log_in_async(password, Database("pw-1").later))
        assert await asyncio.to_thread(source.until_blocked)
        turns.append("the loop goes on")
        source.release()
        return (await login)[0]

    assert "session of pw-1" == asyncio.run(main())
    assert ["the loop goes on"] == turns


class Dialect(Exception):
    """As pg8000's and PyMySQL's."""


@pytest.mark.parametrize(
    ("exc", "refusal"),
    [
        (Refused(), True),
        (psycopg.OperationalError('connection failed: FATAL:  password authentication failed for user "x"'), True),
        (psycopg.OperationalError('FATAL:  role "x" is not permitted to log in'), True),
        (psycopg.errors.InvalidAuthorizationSpecification(), True),
        (psycopg.errors.TooManyConnections("authentication failed"), False),
        (psycopg.OperationalError("connection timeout expired"), False),
        (Dialect({"C": "28P01", "M": "..."}), True),
        (Dialect({"C": "53300", "M": "..."}), False),
        (Dialect(1045, "Access denied for user 'x'@'localhost'"), True),
        (ConnectionRefusedError(111, "Connection refused"), False),
    ],
)
def test_refusals_are_told_from_other_failures(exc, refusal):
    """By SQLSTATE where there is one, by the server's words where the driver gives nothing else."""

    assert refusal == is_refusal(exc)


class Settings:
    user, password = "app", "pw"


@pytest.mark.parametrize(
    ("value", "credentials"),
    [
        ("pw", Credentials("pw")),
        (URL("postgresql://app:p%40w@host/db"), Credentials("p@w", "app")),
        (json.loads('{"user": "app", "password": "pw", "host": "h"}'), Credentials("pw", "app")),
        ({"username": "app", "password": "pw"}, Credentials("pw", "app")),
        (Settings(), Credentials("pw", "app")),
        (Credentials("pw", "app"), Credentials("pw", "app")),
    ],
)
def test_user_and_password_are_found(value, credentials):
    """In text, URLs, mappings and objects; and no repr shows the password."""

    assert credentials == credentials_of(value)
    assert "pw" not in repr(credentials_of(value))


@pytest.mark.promise("silent")
@pytest.mark.parametrize("value", [b"canary", {"user": "canary"}, 7, URL("https://canary.example/x"), {"password": 7}])
def test_a_value_without_a_password_is_refused_without_showing_it(value):
    """The message says what a value may be."""
    with pytest.raises(TypeError, match="or say credentials=") as refused:
        credentials_of(value)

    assert "canary" not in str(refused.value)


def test_many_who_are_refused_at_once_share_the_looks(source, password):
    """Sixteen threads that are refused for a while make a few accesses, not thousands."""
    database, before = Database("another"), len(source.calls)

    def run():
        with pytest.raises(Refused):
            log_in(password, database, patience=0.5)

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(source.calls) - before <= 8
