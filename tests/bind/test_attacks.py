"""What is done to bound pools: passwords of any spelling, outages, cancelled tasks, revoked secrets."""

import asyncio
import logging
import random
import time

import psycopg
import pytest
import sqlalchemy

from receiver import SecretCache, SecretRevoked
from receiver.bind import psycopg as bind_psycopg
from receiver.bind import sqlalchemy as bind_sqlalchemy
from receiver.errors import AccessFailed
from receiver.testing import InMemorySource, push
from tests.bind import loads
from tests.bind.rotations import NAME, SingleUser


ODD = "p w'\"\\%40@:/?#&=é$(id)"


@pytest.fixture
def made(postgres, redis_server, tmp_path):
    rotations = []

    def made(kind):
        server = redis_server if "Redis" in kind.__name__ else postgres
        rotations.append(SingleUser(server, tmp_path / str(len(rotations))))
        return rotations[-1]

    yield made
    for one in rotations:
        one.close()


SYNC = [loads.SQLAlchemy, loads.Psycopg, loads.Redis]
ASYNC = [loads.AsyncSQLAlchemy, loads.AsyncPsycopg, loads.Asyncpg, loads.AsyncRedis]


@pytest.mark.promise("silent")
@pytest.mark.parametrize("kind", SYNC + ASYNC, ids=lambda kind: kind.__name__)
def test_a_password_may_be_spelt_in_any_way_and_is_in_no_log(kind, made, caplog):
    """Quotes, spaces, percent signs, URLs' own characters: it logs in, and neither pools nor we log it."""
    caplog.set_level(logging.DEBUG)
    rotation = made(kind)

    def change(password):
        rotation.server.set_password(rotation.users[0], password)
        rotation.add(password)

    if kind in SYNC:
        pool = kind(rotation, bound=True)
        pool.transact(lose=True)
        change(ODD)
        pool.transact(lose=False)
        pool.close()
    else:

        async def main():
            pool = await kind.make(rotation, bound=True)
            await pool.transact(lose=True)
            await asyncio.to_thread(change, ODD)
            await pool.transact(lose=False)
            await pool.close()

        asyncio.run(main())

    assert ODD not in caplog.text
    assert repr(ODD)[1:-1] not in caplog.text


def test_an_outage_of_secret_manager_delays_new_sessions_and_fails_none(made):
    """The database has moved on and upstream is down: open sessions go on, a new one waits until upstream is back."""
    rotation = made(loads.SQLAlchemy)
    engine = sqlalchemy.create_engine(rotation.server.dsn(*rotation.first, scheme="postgresql+psycopg"))
    bind_sqlalchemy.follow(engine, rotation.secret)
    with engine.connect() as going_on:
        rotation.server.set_password(rotation.users[0], "pw-2")
        rotation.source.add(NAME, "pw-2")
        rotation.source.fail(AccessFailed("down", transient=True), times=3)
        going_on.execute(sqlalchemy.text("SELECT 1"))
        with engine.connect() as waiting:
            assert 1 == waiting.execute(sqlalchemy.text("SELECT 1")).scalar()
    engine.dispose()

    assert "pw-2" == rotation.secret.value


@pytest.mark.parametrize("kind", ASYNC, ids=lambda kind: kind.__name__)
def test_cancelled_tasks_leave_a_pool_that_works(kind, made):
    """Tasks are cancelled at any of their steps, also while they log in, and the password changes in between."""
    rotation, chance = made(kind), random.Random(7)

    async def main():
        # asyncpg leaves futures behind where connecting is cancelled, and Python tells of them when they are collected.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        pool = await kind.make(rotation, bound=True)
        for number in range(40):
            tasks = [asyncio.create_task(pool.transact(lose=number % 3 == 0)) for _ in range(loads.WORKERS)]
            for _ in range(chance.randrange(30)):
                await asyncio.sleep(0)
            for task in tasks:
                if chance.random() < 0.7:
                    task.cancel()
            ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
            wrong = [end for end in ended if end is not None and not isinstance(end, asyncio.CancelledError)]
            assert [] == wrong
            if number % 10 == 9:
                await asyncio.to_thread(rotation.rotate, lambda _: None)
        await asyncio.gather(*(pool.transact(lose=False) for _ in range(loads.WORKERS)))
        largest = pool.size()
        await pool.close()
        return largest

    assert asyncio.run(main()) <= loads.SIZE
    until = time.monotonic() + 5
    while rotation.server.session_ids(*rotation.users) and time.monotonic() < until:
        time.sleep(0.01)
    assert set() == rotation.server.session_ids(*rotation.users), "a session was lost from its pool"


def test_a_revoked_secret_opens_nothing_new_and_breaks_nothing_open(postgres, tmp_path):
    """What is open goes on and comes back to its pool; a new login is refused by what the secret says."""
    source = InMemorySource({"DATABASE": "pw"})
    cache = SecretCache("p", source=source, run_dir=str(tmp_path))
    secret, role = cache.secret("DATABASE", on_revoked="raise"), postgres.role("pw")
    engine = sqlalchemy.create_engine(postgres.dsn(role, "of-old", scheme="postgresql+psycopg"), pool_size=1)
    bind_sqlalchemy.follow(engine, secret)
    pool = bind_psycopg.connection_pool(secret, postgres.dsn(role, "of-old"), min_size=1, max_size=1, open=True)
    with engine.connect() as one, pool.connection() as two:
        source.disable("DATABASE", 1)
        push(source, cache)
        one.execute(sqlalchemy.text("SELECT 1"))
        two.execute("SELECT 1")
    with engine.connect() as again, pool.connection() as other:
        assert 1 == again.execute(sqlalchemy.text("SELECT 1")).scalar() == other.execute("SELECT 1").fetchone()[0]
    engine.dispose()
    with pytest.raises(SecretRevoked):
        engine.connect()
    pool.close()
    cache.close()


def test_a_pool_that_was_closed_is_left_alone(made):
    """Changes after the end of a pool concern nobody."""
    rotation = made(loads.Psycopg)
    pool = loads.Psycopg(rotation, bound=True)
    pool.transact(lose=False)
    pool.close()
    rotation.rotate(lambda _: None)

    assert [] == rotation.cache.status()["entries"][0].get("callbacks_pending", [])
    with pytest.raises(psycopg.OperationalError):
        pool.transact(lose=False)
