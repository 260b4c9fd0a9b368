"""What a pool pays for following its secret, and how soon it has a connection with the new password.

On a real PostgreSQL that is started for it; where the machine has none, the rows are left out.
"""

import contextlib
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from timing import Call, Pair, Plan, Reach, Row, compare


_ROOT: Final = Path(__file__).parents[1]

#: The most that following may add to a checkout, in nanoseconds.
_MOST: Final = Reach(1000, of="difference")

_PAIRS: Final = [
    Pair("checkout, SQLAlchemy engine that follows", "checkout, SQLAlchemy engine", _MOST),
    Pair("checkout, psycopg pool that follows", "checkout, psycopg pool", _MOST),
    Pair("add to the first session with the new password", "a session"),
]


def rows(plan: Plan) -> list[Row]:
    if not any(plan.wants(pair.path, pair.floor) for pair in _PAIRS):
        return []
    if str(_ROOT) not in sys.path:
        sys.path.append(str(_ROOT))  # the tests' server is at home beside them
    from tests.servers.postgres import binaries

    if binaries() is None:
        print("PostgreSQL is not installed here, so the rows of bound pools are left out", file=sys.stderr)
        return []
    with _server() as server, contextlib.ExitStack() as closing:
        return compare(plan, _calls(server, closing, plan.rounds(2_000)), _PAIRS, rounds=60)


@contextlib.contextmanager
def _server() -> Iterator[Any]:
    from tests.servers.postgres import Postgres, template

    with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as made:
        server = Postgres(template(Path(made)))
        with contextlib.closing(_Stopping(server)):
            yield server


class _Stopping:
    def __init__(self, server: Any) -> None:
        self.close = server.stop


def _calls(server: Any, closing: contextlib.ExitStack, times: int) -> dict[str, Call]:
    import psycopg
    import psycopg_pool
    import sqlalchemy

    from receiver import SecretCache
    from receiver.bind.psycopg import connection_pool
    from receiver.bind.sqlalchemy import follow
    from receiver.testing import InMemorySource, rotate

    source = InMemorySource({"DATABASE": "pw"})
    run_dir = closing.enter_context(tempfile.TemporaryDirectory(prefix="keyturn-bench-"))
    cache = closing.enter_context(contextlib.closing(SecretCache("bench", source=source, run_dir=run_dir)))
    secret, role = cache.secret("DATABASE"), server.role("pw")
    cache.load()

    url, where = server.dsn(role, "pw", scheme="postgresql+psycopg"), server.dsn(role, "pw")
    engines = [sqlalchemy.create_engine(url) for _ in range(2)]
    follow(engines[0], secret)
    kinds = (
        lambda **given: connection_pool(secret, where, **given),
        lambda **given: psycopg_pool.ConnectionPool(where, **given),
    )
    pools = [kind(min_size=1, max_size=1, open=True) for kind in kinds]
    for engine in engines:
        closing.callback(engine.dispose)
    for pool in pools:
        closing.callback(pool.close)
        pool.wait()

    def new_password() -> float:
        password = secrets.token_urlsafe(24)
        start = time.perf_counter_ns()
        server.set_password(role, password)
        rotate(cache, source, "DATABASE", password)
        with engines[0].connect() as connection:
            connection.exec_driver_sql("SELECT 1")
        return time.perf_counter_ns() - start

    def session() -> float:
        start = time.perf_counter_ns()
        with psycopg.connect(server.dsn(role, secret.value)) as connection:
            connection.execute("SELECT 1")
        return time.perf_counter_ns() - start

    checkouts = [
        *(_each(times, lambda engine=engine: engine.connect().close()) for engine in engines),
        *(_each(times, lambda pool=pool: pool.putconn(pool.getconn())) for pool in pools),
    ]
    names = [name for pair in _PAIRS[:2] for name in (pair.path, pair.floor)]
    return {**dict(zip(names, checkouts, strict=True)), _PAIRS[2].path: new_password, _PAIRS[2].floor: session}


def _each(times: int, work: Callable[[], object]) -> Call:
    """The mean of so many in a row, in the time of this thread alone: a pool's own threads and others' are left out."""

    def call() -> float:
        start = time.thread_time_ns()
        for _ in range(times):
            work()
        return (time.thread_time_ns() - start) / times

    return call
