"""Schedules in which a promise would break if two things came in another order. Each is forced, none is raced."""

import threading
import time
from dataclasses import replace

import pytest

from receiver import SecretCache
from receiver.cache import BACKSTOP
from receiver.entry import Verdict
from receiver.errors import AccessFailed
from receiver.knowledge import SECOND, Knowledge
from receiver.names import SecretName
from receiver.spread import Spread
from receiver.testing import InMemorySource, push
from tests.waiting import until


WAIT = 5.0


class SlowBytes(bytes):
    """A payload whose reading waits until the test lets it go on: the moment between its arrival and the swap."""

    def __new__(cls, value):
        made = super().__new__(cls, value)
        made.reached, made.released = threading.Event(), threading.Event()
        return made

    def decode(self, *how):
        self.reached.set()
        assert self.released.wait(WAIT)
        return super().decode(*how)


class SlowFirst:
    """A source whose version 1 takes its time between its arrival and the swap."""

    def __init__(self, source):
        self.source = source
        self.first = SlowBytes(b"one")

    def access(self, name, version, *, timeout):
        payload = self.source.access(name, version, timeout=timeout)
        return replace(payload, data=self.first) if payload.version.number == 1 else payload

    def after_fork(self):
        self.source.after_fork()

    def close(self):
        self.source.close()


class Clock:
    """Monotonic seconds that a test can move: at once, or by five after so many readings."""

    def __init__(self):
        self.ahead = 0.0
        self.stop_after = 0

    def __call__(self):
        now = time.monotonic() + self.ahead
        if self.stop_after:
            self.stop_after -= 1
            self.ahead += 0.0 if self.stop_after else 5.0
        return now

    def wall(self):
        """The wall clock beside it, in nanoseconds."""
        return time.time_ns() + int(self.ahead * SECOND)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source():
    return InMemorySource({"API_KEY": "one", "OTHER_KEY": "other"})


@pytest.fixture
def make(source, clock, tmp_path):
    """Make caches that meet in one directory; all are closed at the end."""
    made = []

    def cache(**kwargs):
        kwargs = {"source": source, "run_dir": str(tmp_path), "jitter": lambda: 0.5} | kwargs
        kwargs = {"clock": clock, "wall": clock.wall} | kwargs
        made.append(SecretCache("any-project", **kwargs))
        return made[-1]

    yield cache
    for one in made:
        one.close()


def tick(cache):
    """What the listener does each second, now."""
    cache._worker._tick()
    for thread in threading.enumerate():
        if thread.name.startswith("keyturn-") and thread.name != "keyturn-siblings":
            thread.join(WAIT)


@pytest.mark.promise("acked means done")
@pytest.mark.parametrize("how", ["announced", "looked for", "on the board"])
def test_news_waits_for_a_first_load_that_is_about_to_swap_in_what_is_old_by_now(make, source, how):
    """While a first load is about to make an old value readable, nobody is told that the new one is served."""
    slow = SlowFirst(source)
    cache, other = make(source=slow), make()
    key, other_key = cache.secret("API_KEY"), other.secret("API_KEY")
    other.load()
    loader = threading.Thread(target=cache.load)
    loader.start()
    assert slow.first.reached.wait(WAIT)
    source.add("API_KEY", "two")
    threading.Timer(0.2, slow.first.released.set).start()  # whoever waits for nothing is back long before

    if how == "announced":
        push(source, other)
    elif how == "looked for":
        cache.look(SecretName(source.project_number, "API_KEY"), deadline=time.monotonic() + WAIT)
    else:
        other.look(SecretName(source.project_number, "API_KEY"), deadline=time.monotonic() + WAIT)
        cache.fence()

    assert (True, [2, 2]) == (slow.first.released.is_set(), [key.version, other_key.version])
    loader.join(WAIT)


def test_a_start_serves_what_it_was_told_of_while_another_entry_still_loaded(make, source):
    """An entry without a usable version is looked at again where its version was enabled before the start is over."""
    cache = make()
    key, other = cache.secret("API_KEY"), cache.secret("OTHER_KEY")
    source.disable("OTHER_KEY", 1)
    cache.announce(
        SecretName(source.project_number, "OTHER_KEY"),
        Knowledge.version(1, time.time_ns() - SECOND, usable=False),
        deadline=time.monotonic() + WAIT,
    )
    source.block("API_KEY")
    start = threading.Thread(target=cache.load)
    start.start()
    until(
        lambda: [entry for entry in cache._registry.all() if entry.report.verdict is Verdict.NONE_USABLE],
        "nothing usable is found",
        WAIT,
    )
    source.pushes()
    source.enable("OTHER_KEY", 1)
    push(source, cache)
    source.release()
    start.join(WAIT)

    assert (1, 1) == (key.version, other.version)


@pytest.mark.promise("nobody left behind")
def test_a_stale_first_read_is_found_out_by_the_other_workers_safety_read(make, source):
    """Who serves a version that the others had found disabled says so: else nobody would look at it again."""
    source.add("API_KEY", "two")
    one, two = make(), make()
    key, other = one.secret("API_KEY"), two.secret("API_KEY")
    one.load()
    source.disable("API_KEY", 2)
    one.look(key.name, deadline=time.monotonic() + WAIT, path="backstop")
    source.enable("API_KEY", 2)  # as a stale read shows it
    two.load()
    until(lambda: key.version == 2, "the other worker is told", WAIT)
    source.disable("API_KEY", 2)

    one.look(key.name, deadline=time.monotonic() + WAIT, path="backstop")

    assert (1, 1) == (key.version, other.version)


@pytest.mark.promise("acked means done")
def test_an_event_without_a_number_at_a_worker_that_has_read_nothing_yet(make, source):
    """It is looked for all the same, since the other workers serve what it is about."""
    pushed, other = make(), make()
    pushed.secret("API_KEY")
    key = other.secret("API_KEY")
    other.load()
    source.add("API_KEY", "two")

    spread = pushed.look(SecretName(source.project_number, "API_KEY"), deadline=time.monotonic() + WAIT)

    assert (Spread.SETTLED, 2) == (spread, key.version)


@pytest.mark.promise("static stays static")
@pytest.mark.parametrize("ask", ["look", "refresh"])
def test_in_a_frozen_process_an_entry_that_nobody_has_read_yet(make, source, ask):
    """Nothing that asks for it before its first read lets it follow later events."""
    cache = make(environ={"KEYTURN_FREEZE": "1"})
    key = cache.secret("API_KEY")
    if ask == "look":
        spread = cache.look(SecretName(source.project_number, "API_KEY"), deadline=time.monotonic() + WAIT)
    else:
        spread = cache.refresh("API_KEY", deadline=time.monotonic() + WAIT).spread
    assert (Spread.FIXED, 1) == (spread, key.version)

    source.add("API_KEY", "two")
    push(source, cache)

    assert 1 == key.version


@pytest.mark.promise("nobody left behind")
def test_a_cache_that_was_closed_and_is_used_again(make, source):
    """Where it missed news meanwhile, the check at the start of the next request catches up."""
    away, other = make(), make()
    key, other_key = away.secret("API_KEY"), other.secret("API_KEY")
    away.load()
    other.load()
    away.close()
    source.add("API_KEY", "two")
    push(source, other)

    away.fence()

    assert [2, 2] == [key.version, other_key.version]


@pytest.mark.promise("acked means done")
def test_who_was_stopped_while_it_caught_up_has_not_caught_up(make, source):
    """A request that a stop robbed of its second does not let the next one believe that all has been applied."""
    clock = Clock()
    told, stopped = make(), make(clock=clock)
    for cache in (told, stopped):
        cache.secret("API_KEY")
        cache.load()
    key = stopped.secret("API_KEY")
    stopped._worker.membership.container._siblings.leave()  # as if it were silent: nobody can tell it anything
    source.add("API_KEY", "two")
    push(source, told)
    source.block()
    first = threading.Thread(target=stopped.fence)
    clock.stop_after = 1  # it sets out, and goes on five seconds later
    first.start()
    first.join(WAIT)
    assert (False, 1) == (stopped.current, key.version)
    threading.Timer(0.1, source.release).start()

    stopped.fence()

    assert (2, True) == (key.version, stopped.current)


@pytest.mark.promise("nobody left behind")
def test_what_a_worker_began_before_it_left_does_not_make_it_a_member_again(make, source):
    """A wake check, or a message that was pulled, ends without joining: a leaving worker never leads."""
    cache = make()
    cache.secret("API_KEY")
    cache.load()
    source.add("API_KEY", "two")
    source.block()
    cache._worker.call(time.monotonic())
    assert source.until_blocked()

    cache.close()
    source.release()
    for thread in threading.enumerate():
        if thread.name == "keyturn-wake":
            thread.join(WAIT)
    name = SecretName(source.project_number, "API_KEY")
    pulled = cache.announce(name, Knowledge.version(2, 1, usable=True), deadline=time.monotonic() + WAIT, path="pull")

    assert (Spread.UNSETTLED, "") == (pulled, cache._worker.membership.member)


@pytest.mark.promise("one fetch")
def test_a_refresh_that_a_stop_left_no_time_is_taken_over_by_who_waits_for_it(make, source, clock):
    """Whoever joined it has a deadline of its own: a request after the stop is not served the old value."""
    told, stopped = make(), make(clock=clock)
    for cache in (told, stopped):
        cache.secret("API_KEY")
        cache.load()
    key = stopped.secret("API_KEY")
    stopped._worker.membership.container._siblings.leave()  # as if it were silent: nobody can tell it anything
    source.block()
    name, deadline = SecretName(source.project_number, "API_KEY"), clock() + 1.0
    flying = threading.Thread(target=lambda: stopped.look(name, deadline=deadline))
    flying.start()
    assert source.until_blocked()
    clock.ahead = 5.0  # it was stopped here
    source.add("API_KEY", "two")
    source.disable("API_KEY", 1)
    publishing = threading.Thread(target=lambda: push(source, told))
    publishing.start()
    assert source.until_blocked(2)
    threading.Timer(0.1, source.release).start()

    stopped.fence()

    assert 2 == key.version
    for thread in (flying, publishing):
        thread.join(WAIT)


@pytest.mark.promise("last good")
def test_a_degraded_start_is_retried_with_full_jitter_and_a_cap(make, source, clock):
    """Pauses double from a second to five minutes, each anywhere between nothing and that; then the value comes."""
    drawn = iter([1.0] * 10 + [0.0, 0.25])
    cache = make(environ={"API_KEY": "stand-in"}, backstop=None, jitter=lambda: next(drawn))
    key = cache.secret("API_KEY", fallback="environment")
    source.fail(AccessFailed("down", transient=True), times=12)
    cache.load()
    pauses = []
    for _ in range(12):
        (entry,) = cache.status()["entries"]
        pauses.append(round(entry["retry_in_s"]))
        assert ("stand-in", "stand-in: environment") == (key.value, entry["state"])
        before = len(source.calls)
        while len(source.calls) == before:  # awake all the while
            clock.ahead += min(entry["retry_in_s"] + 0.1, 20)
            tick(cache)

    assert [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 0, 75] == pauses
    assert "one" == key.value


class TestBackstop:
    """The safety read."""

    @pytest.mark.promise("nobody left behind")
    def test_where_no_timer_runs_the_next_request_makes_it(self, make, source, clock):
        """A request that comes after it was due, and after seconds that nobody counted, is served what it finds."""
        cache = make()
        key = cache.secret("API_KEY")
        cache.load()
        cache.fence()
        source.add("API_KEY", "two")
        assert (True, 1) == (cache.current, key.version)
        before = len(source.calls)

        clock.ahead += BACKSTOP + 10
        assert not cache.current
        cache.fence()
        tick(cache)

        assert (2, True) == (key.version, cache.current)
        assert 1 == source.calls[before:].count(("API_KEY", "latest"))

    def test_each_secret_is_read_by_a_worker_that_uses_it(self, make, source, clock):
        """A worker that has not read a secret yet does not take the safety read of it from one that serves it."""
        one, two = make(), make()
        one.secret("API_KEY")
        one_other = one.secret("OTHER_KEY")
        two_key, two_other = two.secret("API_KEY"), two.secret("OTHER_KEY")
        assert ("other", "one", "other") == (one_other.value, two_key.value, two_other.value)
        source.add("API_KEY", "two")
        before = len(source.calls)

        for _ in range(round(1.5 * BACKSTOP / 20)):  # awake all the while
            clock.ahead += 20
            tick(one)
            tick(two)

        assert 2 == two_key.version
        assert 1 == source.calls[before:].count(("OTHER_KEY", "latest"))
