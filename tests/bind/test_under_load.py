"""Passwords change every two seconds under load: what follows its secret fails nothing, and what does not, does.

Three seconds of each here, a minute of each in `make prove`, which prints what was run.
"""

import threading
import time

import pytest

from tests.bind import loads
from tests.bind.rotations import Alternating, SingleUser


#: Seconds between two changes, and how long after the last one every older connection must be gone.
EVERY, DRAIN = 2.0, 5.0

#: Before the first change, so that each load has run for a while; how many transactions of a load are enough to say
#: something; and for how much longer than planned it is run for that.
BEGIN, ENOUGH, SLOW = 0.3, 2 * loads.WORKERS * loads.LOST, 20.0


@pytest.fixture
def run(tmp_path):
    """Run loads for so many seconds, change their passwords meanwhile, and say what became of older connections."""
    rotations = []

    def rotation(kind, server):
        rotations.append(kind(server, tmp_path / str(len(rotations))))
        return rotations[-1]

    def run(cases, kind, seconds):
        running = [way(pool, rotation(kind, server), bound=bound) for way, pool, server, bound in cases]
        for load in running:
            load.start()
        try:
            left = _change(running, seconds)
        finally:
            for load in running:
                load.stop()
                load.close()
        for load in running:
            print(load.count)  # noqa: T201  # `make prove` shows it
        return running, left

    yield run
    for one in rotations:
        one.close()


def _change(running, seconds):
    """Change all passwords every two seconds; returns what was left of older connections after the last time."""
    began, pause = time.monotonic(), threading.Event().wait
    due = began + BEGIN
    while due < began + seconds:
        pause(max(0.0, due - time.monotonic()))
        before = {load: load.rotation.server.session_ids(*load.rotation.users) for load in running}
        changing = [threading.Thread(target=load.rotation.rotate, args=(pause,)) for load in running]
        for thread in changing:
            thread.start()
        for thread in changing:
            thread.join(20)
        due += EVERY
    left, until = _left(running, before), time.monotonic() + DRAIN
    while left and time.monotonic() < until:
        pause(0.02)
        left = _left(running, before)
    pause(max(0.0, began + seconds - time.monotonic()))
    until = time.monotonic() + SLOW
    while not all(map(_has_run, running)) and time.monotonic() < until:
        pause(0.05)
    return left


def _has_run(load):
    """Whether a load has shown what it is there for, which takes longer on a machine that is busy otherwise."""
    return load.count.done >= ENOUGH if load.bound else load.count.failures


def _left(running, before):
    return {
        load.count.name: old
        for load in running
        if load.bound and (old := before[load] & load.rotation.server.session_ids(*load.rotation.users))
    }


def _check(running, left):
    bound = [load.count for load in running if load.bound]
    bare = [load.count for load in running if not load.bound]
    assert {} == {count.name: count.failures[:3] for count in bound if count.failures}
    assert {} == left, "older connections are left"
    assert all(count.done >= ENOUGH for count in bound), [str(count) for count in bound]
    assert all(load.count.largest <= loads.SIZE for load in running), [str(load.count) for load in running]
    assert all(count.failures for count in bare), [str(count) for count in bare]


def cases(short):
    """Both ways to change a password for a minute in `make prove`; one of them for three seconds in each run."""
    kinds = [(short, 3.0, ()), (SingleUser, 60.0, pytest.mark.long), (Alternating, 60.0, pytest.mark.long)]
    found = [
        pytest.param(kind, seconds, marks=marks, id=f"{kind.__name__}-{seconds}") for kind, seconds, marks in kinds
    ]
    return pytest.mark.parametrize(("kind", "seconds"), found)


@cases(SingleUser)
@pytest.mark.timeout(150)
def test_threads_fail_nothing_while_passwords_change(run, postgres, redis_server, kind, seconds):
    """SQLAlchemy, psycopg's pool and redis-py: no failure, no older connection, no larger pool; bare pools fail."""
    pools = [(loads.SQLAlchemy, postgres), (loads.Psycopg, postgres), (loads.Redis, redis_server)]
    cases = [(loads.Threads, pool, server, bound) for pool, server in pools for bound in (True, False)]

    _check(*run(cases, kind, seconds))


@cases(Alternating)
@pytest.mark.timeout(150)
def test_tasks_fail_nothing_while_passwords_change(run, postgres, redis_server, kind, seconds):
    """The same in event loops, with asyncpg's pool too."""
    pools = [
        (loads.AsyncSQLAlchemy, postgres),
        (loads.AsyncPsycopg, postgres),
        (loads.Asyncpg, postgres),
        (loads.AsyncRedis, redis_server),
    ]
    cases = [(loads.Tasks, pool, server, bound) for pool, server in pools for bound in (True, False)]

    _check(*run(cases, kind, seconds))
