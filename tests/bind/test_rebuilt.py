"""Whatever is built from secrets: built anew at a change, leased while in use, closed after its last lease."""

import asyncio
import os
import threading
import time

import pytest

from receiver.bind.rebuilt import Rebuilt
from receiver.testing import push, rotate


WAIT = 5.0


class Client:
    """A client of some provider: knows what it was built with, and whether it was closed."""

    def __init__(self, *values):
        self.values = values
        self.closed = 0

    def close(self):
        self.closed += 1


@pytest.fixture
def key(cache):
    key = cache.secret("API_KEY")
    cache.load()
    return key


def test_the_new_one_takes_the_place_of_the_old_one_which_ends_with_its_last_lease(cache, source, key):
    """Who has a lease keeps what it has, open; who comes after the change gets the new one."""
    client = Rebuilt(Client, key, close=Client.close)
    with client.lease() as first, client.lease() as again:
        assert first is again
        rotate(cache, source, "API_KEY", "two")
        with client.lease() as second:
            assert (("one",), 0, ("two",)) == (first.values, first.closed, second.values)

    assert (1, 0) == (first.closed, second.closed)


def test_one_that_nobody_uses_is_closed_at_the_change(cache, source, key):
    """When the push is acknowledged the old one is closed and the new one built."""
    built = []
    client = Rebuilt(lambda value: built.append(Client(value)) or built[-1], key, close=Client.close)
    with client.lease():
        pass
    rotate(cache, source, "API_KEY", "two")

    assert [("one",), ("two",)] == [one.values for one in built]
    assert [1, 0] == [one.closed for one in built]


def test_nothing_is_built_before_somebody_needs_it(cache, source, key):
    """Neither at the declaration nor at changes before the first lease."""
    built = []
    client = Rebuilt(built.append, key)
    rotate(cache, source, "API_KEY", "two")
    assert [] == built
    with client.lease():
        pass

    assert ["two"] == built


def test_where_building_fails_the_old_one_serves_on_and_it_is_tried_again(cache, source, key, caplog):
    """The failure is a callback's: logged by its type, and called again."""
    fails = [False]

    def build(value):
        if fails[0]:
            raise RuntimeError(value)
        return Client(value)

    client = Rebuilt(build, key, close=Client.close)
    with client.lease() as first:
        pass
    fails[0] = True
    rotate(cache, source, "API_KEY", "canary")
    with client.lease() as still:
        assert still is first
    until = time.monotonic() + WAIT
    while "callback_failed" not in caplog.text and time.monotonic() < until:
        time.sleep(0.001)
    assert "callback_failed" in caplog.text
    assert "canary" not in caplog.text
    fails[0] = False
    until = time.monotonic() + WAIT
    while first.closed == 0 and time.monotonic() < until:
        cache._worker._tick()
        time.sleep(0.01)

    with client.lease() as second:
        assert ("canary",) == second.values


def test_a_change_while_the_first_is_built_is_not_missed(cache, source, key):
    """The callback waits for who builds the first, and sees that it is of the value before."""
    building, go_on = threading.Event(), threading.Event()

    def build(value):
        if value == "one":
            building.set()
            assert go_on.wait(WAIT)
        return Client(value)

    client = Rebuilt(build, key, close=Client.close)
    leases = []
    first = threading.Thread(target=lambda: leases.append(client.lease().__enter__()))
    first.start()
    assert building.wait(WAIT)
    changing = threading.Thread(target=rotate, args=(cache, source, "API_KEY", "two"))
    changing.start()
    while key.value == "one":
        time.sleep(0.001)
    go_on.set()
    for thread in (first, changing):
        thread.join(WAIT)

    with client.lease() as now:
        assert (("one",), ("two",)) == (leases[0].values, now.values)


def test_leases_may_end_in_other_threads_and_more_than_once(cache, source, key):
    """Counting is by lease, not by thread; ending one twice counts once, and entering one twice is a mistake."""
    client = Rebuilt(Client, key, close=Client.close)
    lease, other = client.lease(), client.lease()
    first = lease.__enter__()
    other.__enter__()
    with pytest.raises(RuntimeError, match="entered once"):
        lease.__enter__()
    rotate(cache, source, "API_KEY", "two")
    ending = threading.Thread(target=lambda: [lease.__exit__(None, None, None) for _ in range(3)])
    ending.start()
    ending.join(WAIT)
    assert 0 == first.closed, "the other lease is still on it"
    other.__exit__(None, None, None)

    assert 1 == first.closed


def test_under_many_leases_and_changes_nothing_is_used_closed_or_left_open(cache, source, key):
    """Eight threads lease without a pause while the secret changes: each has an open one; all but one are closed."""
    built, wrong, stop = [], [], threading.Event()
    client = Rebuilt(lambda value: built.append(Client(value)) or built[-1], key, close=Client.close)

    def use():
        while not stop.is_set():
            with client.lease() as current:
                stop.wait(0.0005)  # or eight threads that never rest leave little to the one that changes things
                if current.closed:
                    wrong.append(current.values)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(30):
        rotate(cache, source, "API_KEY", f"v{number}")
    stop.set()
    for thread in threads:
        thread.join(WAIT)

    assert [] == wrong
    assert [1] * (len(built) - 1) + [0] == [one.closed for one in built]
    client.close()
    assert 1 == built[-1].closed


def test_what_closing_raises_is_logged_without_its_text(cache, source, key, caplog):
    """Whoever ends the last lease is not to blame for it."""

    def close(client):
        raise RuntimeError(client.values[0])

    client = Rebuilt(Client, key, close=close)
    with client.lease():
        rotate(cache, source, "API_KEY", "two")

    assert "close_failed: what was built of projects/any-project/secrets/API_KEY" in caplog.text
    assert "one could" not in caplog.text.partition("close_failed")[2]


def test_a_cancelled_task_ends_its_lease(cache, source, key):
    """A lease in an event loop ends with its task, however that ends."""
    client = Rebuilt(Client, key, close=Client.close)
    seen = []

    async def use(entered):
        async with client.lease() as current:
            seen.append(current)
            entered.set()
            await asyncio.sleep(WAIT)

    async def main():
        entered = asyncio.Event()
        task = asyncio.create_task(use(entered))
        await entered.wait()
        await asyncio.to_thread(rotate, cache, source, "API_KEY", "two")
        assert 0 == seen[0].closed
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert 1 == seen[0].closed


def test_it_is_built_from_several(cache, source):
    """From several secrets in their order, and anew when one of them changes."""
    user, password = cache.secret("USER"), cache.secret("PASSWORD")
    client = Rebuilt(Client, user, password)
    with client.lease() as first:
        pass
    rotate(cache, source, "PASSWORD", "pw-2")
    with client.lease() as second:
        assert [("app-1", "pw-1"), ("app-1", "pw-2")] == [first.values, second.values]
    with pytest.raises(ValueError, match="at least one"):
        Rebuilt(Client)


def test_a_forked_child_builds_its_own(cache, source, key):
    """What the parent built is neither used nor closed there."""
    client = Rebuilt(Client, key, close=Client.close)
    with client.lease() as parents:
        child = os.fork()
        if child == 0:
            with client.lease() as mine:
                fine = mine is not parents and mine.values == ("one",)
            rotate(cache, source, "API_KEY", "two")
            with client.lease() as newer:
                fine = fine and newer.values == ("two",) and not parents.closed and mine.closed
            os._exit(0 if fine else 1)
        ended = os.waitpid(child, 0)[1]

    assert 0 == os.waitstatus_to_exitcode(ended)
    push(source, cache)
