"""The wake check: what a process does that has slept, and what its requests wait for."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver import SecretCache
from receiver.knowledge import SECOND
from receiver.testing import InMemorySource
from receiver.ticks import ASLEEP, TICK, Moment, heard_nothing_since, slept
from receiver.wake import Wake
from receiver.watch import Watch
from tests.waiting import until


pytestmark = pytest.mark.promise("nobody left behind")

WAIT = 5.0

seconds = st.floats(0, 1e6)


class TestTicks:
    """What ticks tell."""

    @given(at=seconds, monotonic=st.floats(0, ASLEEP - 0.01), wall=st.floats(0, ASLEEP - 0.01))
    def test_who_ticks_is_awake(self, at, monotonic, wall):
        """As long as neither clock says that thirty ticks are missing, the process ran."""

        assert not slept(Moment(at, 0), Moment(at + monotonic, int(wall * SECOND)))

    @given(at=seconds, gap=st.floats(ASLEEP + 0.01, 1e6))
    def test_either_clock_tells(self, at, gap):
        """A frozen sandbox may stop one clock; the other one tells."""

        assert slept(Moment(at, 0), Moment(at + gap, 0))
        assert slept(Moment(at, 0), Moment(at, int(gap * SECOND)))

    @given(at=st.floats(ASLEEP, 1e6), monotonic=seconds, wall=seconds)
    def test_what_another_worker_did_since_waking_counts(self, at, monotonic, wall):
        """News is missed from a second after the last tick at the latest, and never from after waking on."""
        now = Moment(at + monotonic, int(wall * SECOND))

        assert at <= heard_nothing_since(Moment(at, 0), now) <= min(at + TICK, now.monotonic)


class Clock:
    """Monotonic seconds that a test can move, and that go on by themselves; and the wall clock beside it."""

    def __init__(self):
        self.ahead = self.set_back = self.frozen = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead - self.frozen

    def wall(self):
        return time.time_ns() + int((self.ahead - self.set_back) * SECOND)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source():
    return InMemorySource({"API_KEY": "one", "OTHER_KEY": "other", "LAZY_KEY": "lazy", "WALLET_PRIVATE_KEY": "wallet"})


@pytest.fixture
def make(source, clock, tmp_path):
    """Make workers of one container."""
    made = []

    def cache():
        made.append(SecretCache("p", source=source, run_dir=str(tmp_path), clock=clock, wall=clock.wall, backstop=None))
        return made[-1]

    yield cache
    for one in made:
        one.close()


def looked_for(source, before=0):
    """The secrets whose newest version was read since."""
    return sorted(name.rpartition("/")[2] for name, asked in source.calls[before:] if asked == "latest")


@pytest.mark.parametrize("frozen", [False, True], ids=["stopped", "frozen with its monotonic clock"])
def test_the_first_request_after_a_sleep_is_served_the_newest_value(make, source, clock, frozen):
    """Whoever slept looks before it serves: entries in use only, and once."""
    cache = make()
    key, wallet, _ = cache.secret("API_KEY"), cache.secret("WALLET_PRIVATE_KEY", static=True), cache.secret("LAZY_KEY")
    assert ("one", "wallet") == (key.value, wallet.value)
    source.add("API_KEY", "two")
    before = len(source.calls)
    clock.ahead += ASLEEP + 1
    clock.frozen += frozen * (ASLEEP + 1)
    assert not cache.current

    cache.fence()
    cache.fence()

    assert ("two", ["API_KEY"]) == (key.value, looked_for(source, before))
    assert cache.current


@pytest.mark.parametrize("set_back", [ASLEEP + 1, 2 * ASLEEP, 1e6])
def test_a_wall_clock_that_was_set_back_hides_no_sleep_for_longer_than_a_tick(make, source, clock, tick, set_back):
    """Where it stands before the last tick the request itself notices; otherwise the next tick, within a second."""
    cache = make()
    key = cache.secret("API_KEY")
    assert "one" == key.value
    source.add("API_KEY", "two")
    clock.ahead += ASLEEP + 1
    clock.set_back = set_back
    if set_back <= ASLEEP + 1:
        tick(cache)
    else:
        assert not cache.current
        cache.fence()

    assert ("two", True) == (key.value, cache.current)


def test_a_wall_clock_that_is_set_back_makes_nobody_look(make, source, clock):
    """A clock that is corrected is no sleep: nothing is read, and the next request costs what it did."""
    cache = make()
    assert "one" == cache.secret("API_KEY").value
    before = len(source.calls)
    clock.set_back = 3600.0
    cache.fence()

    assert (before, True) == (len(source.calls), cache.current)


def test_idleness_is_no_sleep(make, source, clock):
    """However long no request comes, a process that ticks reads nothing."""
    cache = make()
    assert "one" == cache.secret("API_KEY").value
    before = len(source.calls)
    for _ in range(5):
        clock.ahead += ASLEEP - 2
        cache._worker._tick()
    cache.fence()

    assert before == len(source.calls)


def test_a_request_waits_a_second_at_most(make, source, clock):
    """While Secret Manager hangs a request is served the last good value after a second; later ones do not wait."""
    cache = make()
    key = cache.secret("API_KEY")
    assert "one" == key.value
    source.add("API_KEY", "two")
    source.block()
    clock.ahead += ASLEEP + 1
    began = time.monotonic()
    cache.fence()
    took, value = time.monotonic() - began, key.value
    began = time.monotonic()
    cache.fence()
    later = time.monotonic() - began
    source.release()

    assert ("one", True, True) == (value, 0.9 < took < 3.0, later < 0.5)


def test_a_sleep_during_a_check_is_a_sleep(clock):
    """Who is stopped in the middle of a check looks again: what it claimed before may have moved meanwhile."""
    since, go = [], threading.Event()

    def check(missed_since):
        since.append(missed_since)
        assert go.wait(WAIT)

    wake = Wake(check, patience=1.0, clock=clock, wall=clock.wall, watch=Watch())
    for _ in range(2):
        clock.ahead += ASLEEP + 1
        wake.tick()
    until(lambda: len(since) == 2, "it has looked twice", WAIT)
    go.set()

    assert since[0] + ASLEEP <= since[1]


def test_the_workers_of_a_container_look_once_for_each_entry(make, source, clock):
    """One worker looks for each entry that any has in use, and the others wait to be told."""
    first, second = make(), make()
    keys = [first.secret("API_KEY"), second.secret("API_KEY"), second.secret("OTHER_KEY")]
    assert ["one", "one", "other"] == [key.value for key in keys]
    source.add("API_KEY", "two")
    source.add("OTHER_KEY", "another")
    before = len(source.calls)
    clock.ahead += ASLEEP + 1
    requests = [threading.Thread(target=cache.fence) for cache in (first, second)]
    for request in requests:
        request.start()
    for request in requests:
        request.join(WAIT)

    assert ["two", "two", "another"] == [key.value for key in keys]
    assert ["API_KEY", "OTHER_KEY"] == looked_for(source, before)


def test_a_worker_can_call_upon_all(make, source, clock):
    """Whoever may have missed news for all calls, and each looks for what it has in use at its next tick."""
    first, second = make(), make()
    keys = [first.secret("API_KEY"), second.secret("OTHER_KEY")]
    assert ["one", "other"] == [key.value for key in keys]
    source.add("API_KEY", "two")
    source.add("OTHER_KEY", "another")
    first._worker.membership.join().call(clock())
    for cache in (first, second):
        cache._worker._tick()
        cache.fence()

    assert ["two", "another"] == [key.value for key in keys]


def test_a_fork_is_awake(make, source, clock):
    """A child that begins long after its parent's last tick makes no check; it is cold and looks anyhow."""
    cache = make()
    assert "one" == cache.secret("API_KEY").value
    clock.ahead += 10 * ASLEEP
    cache._worker.after_fork()
    before = len(source.calls)
    cache.fence()

    assert before == len(source.calls)
