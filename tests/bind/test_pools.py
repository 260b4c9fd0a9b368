"""What becomes of a pool's connections at a change, step by step, on real servers."""

import asyncio
import time

import psycopg
import pytest
import redis
import sqlalchemy
from sqlalchemy.pool import NullPool, StaticPool

from receiver.bind import asyncpg as bind_asyncpg
from receiver.bind import psycopg as bind_psycopg
from receiver.bind import redis as bind_redis
from receiver.bind import sqlalchemy as bind_sqlalchemy
from tests.bind import loads
from tests.bind.rotations import Alternating, SingleUser


WAIT = 5.0


@pytest.fixture
def rotation(tmp_path):
    made = []

    def rotation(kind, server):
        made.append(kind(server, tmp_path / str(len(made))))
        return made[-1]

    yield rotation
    for one in made:
        one.close()


def at_once(_seconds):
    """Let the two halves of a change follow each other."""


def becomes(wanted, found):
    """Wait until `found()` is what is wanted, since servers notice a closed connection a moment later."""
    until = time.monotonic() + WAIT
    while found() != wanted and time.monotonic() < until:
        time.sleep(0.01)
    return found() == wanted


def open_three(kind, pool):
    """Three connections of a pool at once: [(use, give back)]."""
    if kind is loads.SQLAlchemy:
        taken = [pool.engine.connect() for _ in range(3)]
        return [(lambda one=one: one.execute(sqlalchemy.text("SELECT 1")), one.close) for one in taken]
    if kind is loads.Psycopg:
        taken = [pool.pool.getconn() for _ in range(3)]
        return [(lambda one=one: one.execute("SELECT 1"), lambda one=one: pool.pool.putconn(one)) for one in taken]
    taken = [pool.pool.get_connection() for _ in range(3)]
    return [(lambda one=one: _ping(one), lambda one=one: pool.pool.release(one)) for one in taken]


def _ping(connection):
    connection.send_command("PING")
    assert b"PONG" == connection.read_response()


@pytest.mark.parametrize("kind", [loads.SQLAlchemy, loads.Psycopg, loads.Redis], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("change", [SingleUser, Alternating], ids=lambda kind: kind.__name__)
def test_idle_connections_are_closed_and_those_in_use_when_they_come_back(
    kind, change, rotation, postgres, redis_server
):
    """At the change two idle ones go; the third goes on with its transaction, and goes when it is given back."""
    made = rotation(change, redis_server if kind is loads.Redis else postgres)
    pool = kind(made, bound=True)
    try:
        (_, give_1), (_, give_2), (use, give_back) = open_three(kind, pool)
        use()
        before = made.server.session_ids(*made.users)
        give_1()
        give_2()
        made.rotate(at_once)

        assert becomes(1, lambda: len(before & made.server.session_ids(*made.users)))
        use()
        give_back()
        assert becomes(0, lambda: len(before & made.server.session_ids(*made.users)))
        pool.transact(lose=False)
    finally:
        pool.close()


@pytest.mark.parametrize("bind", ["asyncpg", "sqlalchemy", "psycopg", "redis"])
def test_idle_connections_are_closed_in_event_loops_too(bind, rotation, postgres, redis_server):
    """Also where the loop has nothing else to do; what is in use is closed when it comes back."""
    made = rotation(SingleUser, redis_server if bind == "redis" else postgres)
    kind = {
        "asyncpg": loads.Asyncpg,
        "sqlalchemy": loads.AsyncSQLAlchemy,
        "psycopg": loads.AsyncPsycopg,
        "redis": loads.AsyncRedis,
    }[bind]

    async def main():
        pool = await kind.make(made, bound=True)
        await asyncio.gather(*(pool.transact(lose=False) for _ in range(4)))
        before = made.server.session_ids(*made.users)
        assert before
        await asyncio.to_thread(made.rotate, at_once)
        left = await asyncio.to_thread(becomes, 0, lambda: len(before & made.server.session_ids(*made.users)))
        await pool.transact(lose=False)
        await pool.close()
        return left

    assert asyncio.run(main())


def test_a_change_that_the_loop_itself_brings_does_not_block_it(rotation, postgres):
    """A push that is applied on the loop's own thread retires connections all the same."""
    made = rotation(SingleUser, postgres)

    async def main():
        pool = await loads.Asyncpg.make(made, bound=True)
        await pool.transact(lose=False)
        before = made.server.session_ids(*made.users)
        began = time.monotonic()
        made.rotate(at_once)
        took = time.monotonic() - began
        left = await asyncio.to_thread(becomes, 0, lambda: len(before & made.server.session_ids(*made.users)))
        await pool.close()
        return left, took

    left, took = asyncio.run(main())
    assert left
    assert took < 2


def test_a_pool_that_keeps_nothing_has_nothing_to_retire(rotation, postgres):
    """Under a NullPool each use logs in with what is current; a StaticPool is refused, since it never replaces."""
    made = rotation(SingleUser, postgres)
    where = postgres.dsn(*made.first, scheme="postgresql+psycopg")
    engine = sqlalchemy.create_engine(where, poolclass=NullPool)
    bind_sqlalchemy.follow(engine, made.secret)
    for _ in range(3):
        with engine.connect() as connection:
            assert 1 == connection.execute(sqlalchemy.text("SELECT 1")).scalar()
        made.rotate(at_once)
    assert becomes(set(), lambda: postgres.session_ids(*made.users))
    with pytest.raises(ValueError, match="StaticPool"):
        bind_sqlalchemy.follow(sqlalchemy.create_engine(where, poolclass=StaticPool), made.secret)


class Strict(psycopg.Connection):
    """Does not bear being closed twice, as the connections of pg8000 and PyMySQL."""

    closed_times = 0

    def close(self):
        self.closed_times += 1
        super().close()


def test_what_a_creator_opens_is_retired_too_and_closed_once(rotation, postgres):
    """As with Cloud SQL's connector, which opens connections itself: `creator` logs in, `follow` retires."""
    made, opened = rotation(SingleUser, postgres), []

    def connect(credentials):
        opened.append(Strict.connect(postgres.dsn(made.users[0], credentials.password)))
        return opened[-1]

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=bind_sqlalchemy.creator(made.secret, connect))
    bind_sqlalchemy.follow(engine, made.secret)
    for times in range(1, 4):
        with engine.connect() as connection:
            assert 1 == connection.execute(sqlalchemy.text("SELECT 1")).scalar()
        made.rotate(at_once)
        assert becomes([1] * times, lambda: [one.closed_times for one in opened])
    engine.dispose()


def test_a_socket_path_is_a_host(rotation, postgres):
    """Cloud SQL's socket is a directory given as the host; the binding has no part in it."""
    made = rotation(SingleUser, postgres)
    where = f"host={postgres.sockets} port={postgres.port} dbname=postgres user={made.users[0]}"
    with bind_psycopg.connection_pool(made.secret, where, min_size=1, max_size=2, open=True) as pool:
        for _ in range(3):
            with pool.connection() as connection:
                assert connection.execute("SELECT inet_client_addr()").fetchone()[0] is None
            made.rotate(at_once)


def test_a_wrong_password_is_told_by_the_driver_after_the_patience(rotation, postgres):
    """Nothing hides it: the error is the driver's own, and shows no password."""
    made = rotation(SingleUser, postgres)
    postgres.set_password(made.users[0], "another")
    engine = sqlalchemy.create_engine(postgres.dsn(*made.first, scheme="postgresql+psycopg"))
    bind_sqlalchemy.follow(engine, made.secret, patience=0.3)
    began = time.monotonic()

    with pytest.raises(sqlalchemy.exc.OperationalError, match="password authentication failed") as refused:
        engine.connect()
    assert 0.3 <= time.monotonic() - began < 3
    assert "pw-1" not in str(refused.value)


def test_hooks_of_asyncpg_are_called_as_ever(rotation, postgres):
    """`setup`, `reset` and `init` of the service are called at their times."""
    made, called = rotation(SingleUser, postgres), []

    def hook(name):
        async def run(_connection):
            called.append(name)

        return run

    async def main():
        pool = await bind_asyncpg.create_pool(
            made.secret, postgres.dsn(*made.first), min_size=1, max_size=1, setup=hook("setup"), reset=hook("reset"),
            init=hook("init"),
        )  # fmt: skip
        async with pool.acquire() as connection:
            await connection.fetchval("SELECT 1")
        await pool.close()

    asyncio.run(main())
    assert ["init", "setup", "reset"] == called


def test_redis_without_a_user_logs_in_as_the_default_one(redis_server, cache, source):
    """A secret that is text is the default user's password."""
    source.add("REDIS", "the-admin's")
    pool = bind_redis.connection_pool(cache.secret("REDIS"), host=redis_server.host, port=redis_server.port)
    with redis.Redis(connection_pool=pool) as client:
        assert "default" == client.acl_whoami()
    pool.disconnect()
