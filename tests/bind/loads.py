"""The same load on each pool, bound to a secret or not: short transactions without a pause, and now and then a
connection is lost, as networks do, so that others are opened all the time."""

import asyncio
import contextlib
import threading
from itertools import count

import asyncpg
import psycopg_pool
import redis
import redis.asyncio
import sqlalchemy
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.ext.asyncio import create_async_engine

from receiver.bind import asyncpg as bind_asyncpg
from receiver.bind import psycopg as bind_psycopg
from receiver.bind import redis as bind_redis
from receiver.bind import sqlalchemy as bind_sqlalchemy


#: How many run transactions at the same time, and how many connections a pool may have: no fewer, since some pools are
#: not fair, and on a busy machine one who waits is passed over for so long that it gives up, whatever its password.
WORKERS = 8
SIZE = 8

#: Each transaction of a worker whose number this divides loses its connection when it is done.
LOST = 8

#: How long a pool may let its users wait for a connection, in seconds; less where nobody mends it.
PATIENCE, BARE_PATIENCE = 30.0, 1.0

#: One transaction; the point is that it takes its connection a while.
QUERY = "SELECT count(*) FROM generate_series(1, 200)"


class Count:
    """What came of the transactions of one load, and the largest size of its pool that anybody saw."""

    def __init__(self, name):
        self.name = name
        self.done = 0
        self.failures = []
        self.largest = 0

    def failed(self, exc):
        self.failures.append(f"{type(exc).__name__}: {exc}"[:200])

    def __str__(self):
        return f"{self.name}: {self.done} transactions, {len(self.failures)} failed, at most {self.largest} connections"


class Threads:
    """Eight threads of transactions on one pool."""

    def __init__(self, kind, rotation, *, bound):
        self.count = Count(f"{kind.__name__}, {type(rotation).__name__}, {'bound' if bound else 'bare'}")
        self.bound = bound
        self.rotation = rotation
        self.pool = kind(rotation, bound=bound)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(WORKERS)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self._threads)

    def close(self):
        self.pool.close()

    def _run(self):
        for number in count(1):
            if self._stop.is_set():
                return
            try:
                self.pool.transact(lose=number % LOST == 0)
            except Exception as exc:  # noqa: BLE001  # whatever a user of the pool would see
                with self._lock:
                    self.count.failed(exc)
                self._stop.wait(0.05)
            else:
                with self._lock:
                    self.count.done += 1
                    self.count.largest = max(self.count.largest, self.pool.size())


class SQLAlchemy:
    """SQLAlchemy over psycopg: a queue pool with room for more."""

    def __init__(self, rotation, *, bound):
        user, password = rotation.first
        url = rotation.server.dsn(user, password, scheme="postgresql+psycopg")
        self.engine = sqlalchemy.create_engine(url, pool_size=4, max_overflow=SIZE - 4, pool_timeout=PATIENCE)
        if bound:
            bind_sqlalchemy.follow(self.engine, rotation.secret)

    def transact(self, *, lose):
        with self.engine.connect() as connection:
            connection.execute(sqlalchemy.text(QUERY))
            connection.commit()
            if lose:
                connection.invalidate()

    def size(self):
        return self.engine.pool.checkedout() + self.engine.pool.checkedin()

    def close(self):
        self.engine.dispose()


class Psycopg:
    """psycopg's own pool."""

    def __init__(self, rotation, *, bound):
        settings = {"min_size": 2, "max_size": SIZE, "open": True, "timeout": PATIENCE if bound else BARE_PATIENCE}
        where = rotation.server.dsn(*rotation.first)
        if bound:
            self.pool = bind_psycopg.connection_pool(rotation.secret, where, **settings)
        else:
            self.pool = psycopg_pool.ConnectionPool(where, **settings)

    def transact(self, *, lose):
        with self.pool.connection() as connection:
            connection.execute(QUERY)
            connection.commit()
            if lose:
                connection.close()

    def size(self):
        return self.pool.get_stats()["pool_size"]

    def close(self):
        self.pool.close()


class Redis:
    """redis-py's blocking pool."""

    def __init__(self, rotation, *, bound):
        user, password = rotation.first
        server = rotation.server
        settings = {"host": server.host, "port": server.port, "max_connections": SIZE, "timeout": PATIENCE}
        settings |= {"pool_class": redis.BlockingConnectionPool}
        if bound:
            self.pool = bind_redis.connection_pool(rotation.secret, credentials=rotation.credentials, **settings)
        else:
            kind = settings.pop("pool_class")
            self.pool = kind(username=user, password=password, retry=Retry(NoBackoff(), 0), **settings)
        self.client = redis.Redis(connection_pool=self.pool)

    def transact(self, *, lose):
        with self.client.pipeline(transaction=True) as pipeline:
            pipeline.incr("count").get("count").execute()
        if lose:
            connection = self.pool.get_connection()
            connection.disconnect()
            self.pool.release(connection)

    def size(self):
        return self.pool.get_connection_count()[0][0] + self.pool.get_connection_count()[1][0]

    def close(self):
        self.client.close()
        self.pool.disconnect()


class Tasks:
    """Eight tasks of transactions on one pool, in an event loop of their own."""

    def __init__(self, kind, rotation, *, bound):
        self.count = Count(f"{kind.__name__}, {type(rotation).__name__}, {'bound' if bound else 'bare'}")
        self.bound = bound
        self.rotation = rotation
        self._kind = kind
        self._stop = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._opened = threading.Event()

    def start(self):
        self._thread.start()
        assert self._opened.wait(20)

    def stop(self):
        self._stop = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    def close(self):
        """The pool is closed in its loop."""

    async def _main(self):
        pool = await self._kind.make(self.rotation, bound=self.bound)
        self._opened.set()
        try:
            await asyncio.gather(*(self._run(pool) for _ in range(WORKERS)))
        finally:
            await pool.close()

    async def _run(self, pool):
        for number in count(1):
            if self._stop:
                return
            try:
                await pool.transact(lose=number % LOST == 0)
            except Exception as exc:  # noqa: BLE001
                self.count.failed(exc)
                await asyncio.sleep(0.05)
            else:
                self.count.done += 1
                self.count.largest = max(self.count.largest, pool.size())


class AsyncSQLAlchemy:
    """SQLAlchemy over asyncpg, in an event loop."""

    @classmethod
    async def make(cls, rotation, *, bound):
        self = cls()
        user, password = rotation.first
        url = rotation.server.dsn(user, password, scheme="postgresql+asyncpg")
        self.engine = create_async_engine(url, pool_size=4, max_overflow=SIZE - 4, pool_timeout=PATIENCE)
        if bound:
            bind_sqlalchemy.follow(self.engine, rotation.secret)
        return self

    async def transact(self, *, lose):
        async with self.engine.connect() as connection:
            await connection.execute(sqlalchemy.text(QUERY))
            await connection.commit()
            if lose:
                await connection.invalidate()

    def size(self):
        return self.engine.pool.checkedout() + self.engine.pool.checkedin()

    async def close(self):
        await self.engine.dispose()


class AsyncPsycopg:
    """psycopg's own pool, in an event loop."""

    @classmethod
    async def make(cls, rotation, *, bound):
        self = cls()
        settings = {"min_size": 2, "max_size": SIZE, "timeout": PATIENCE if bound else BARE_PATIENCE}
        where = rotation.server.dsn(*rotation.first)
        if bound:
            self.pool = bind_psycopg.async_connection_pool(rotation.secret, where, **settings)
        else:
            self.pool = psycopg_pool.AsyncConnectionPool(where, open=False, **settings)
        await self.pool.open()
        return self

    async def transact(self, *, lose):
        async with self.pool.connection() as connection:
            await connection.execute(QUERY)
            await connection.commit()
            if lose:
                await connection.close()

    def size(self):
        return self.pool.get_stats()["pool_size"]

    async def close(self):
        await self.pool.close()


class Asyncpg:
    """asyncpg's own pool."""

    @classmethod
    async def make(cls, rotation, *, bound):
        self = cls()
        settings = {"min_size": 2, "max_size": SIZE}
        where = rotation.server.dsn(*rotation.first)
        if bound:
            self.pool = await bind_asyncpg.create_pool(rotation.secret, where, **settings)
        else:
            self.pool = await asyncpg.create_pool(where, **settings)
        return self

    async def transact(self, *, lose):
        async with self.pool.acquire() as connection:
            async with connection.transaction():
                await connection.fetchval(QUERY)
            if lose:
                await connection.close()

    def size(self):
        return self.pool.get_size()

    async def close(self):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.pool.close(), 5)


class AsyncRedis:
    """redis-py's blocking pool, in an event loop."""

    @classmethod
    async def make(cls, rotation, *, bound):
        self = cls()
        user, password = rotation.first
        server = rotation.server
        settings = {"host": server.host, "port": server.port, "max_connections": SIZE, "timeout": PATIENCE}
        kind = redis.asyncio.BlockingConnectionPool
        if bound:
            self.pool = bind_redis.async_connection_pool(
                rotation.secret, credentials=rotation.credentials, pool_class=kind, **settings
            )
        else:
            retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
            self.pool = kind(username=user, password=password, retry=retry, **settings)
        self.client = redis.asyncio.Redis(connection_pool=self.pool)
        return self

    async def transact(self, *, lose):
        async with self.client.pipeline(transaction=True) as pipeline:
            await pipeline.incr("count").get("count").execute()
        if lose:
            connection = await self.pool.get_connection()
            try:
                await connection.disconnect()
            finally:
                await self.pool.release(connection)

    def size(self):
        return self.pool.get_connection_count()[0][0] + self.pool.get_connection_count()[1][0]

    async def close(self):
        await self.client.aclose()
        await self.pool.disconnect()
