"""`accepted`: the value before the newest, for as long as it counts and no longer."""

import os
import time

import pytest

from receiver.errors import AccessFailed, SecretRevoked
from receiver.testing import push, rotate


def signing(cache, overlap=60.0, **more):
    return cache.secret("API_KEY", overlap=overlap, **more)


def test_without_an_overlap_only_the_newest_counts(cache, source):
    """`accepted` is the value alone."""
    key = cache.secret("API_KEY")
    rotate(cache, source, "API_KEY", "two")

    assert (("two",), "two") == (key.accepted, key.value)


def test_the_value_before_counts_for_the_declared_time(cache, source, wall):
    """After a change both count, newest first; when the time is over the newest is left."""
    key = signing(cache)
    cache.load()
    assert ("one",) == key.accepted
    rotate(cache, source, "API_KEY", "two")
    assert ("two", "one") == key.accepted
    wall.ahead += 59
    assert ("two", "one") == key.accepted
    wall.ahead += 2

    assert ("two",) == key.accepted


def test_a_disabled_version_counts_no_more_at_once(cache, source):
    """Its event takes it out, also where it was to count for long, and enabling it does not bring it back."""
    key = signing(cache, overlap="until_disabled")
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    assert ("two", "one") == key.accepted
    source.disable("API_KEY", 1)
    push(source, cache)

    assert ("two",) == key.accepted


def test_a_version_that_was_stepped_back_from_counts_no_more(cache, source):
    """A disabled newest version is not accepted as one before the older one that took its place."""
    key = signing(cache)
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    source.disable("API_KEY", 2)
    push(source, cache)

    assert ("one",) == key.accepted


def test_a_worker_that_starts_within_an_overlap_accepts_what_its_siblings_accept(make, source):
    """It loads the version before, by number; the time counts from the change where its event was heard of."""
    source.add("API_KEY", "two")
    first = make()
    key = signing(first)
    first.load()

    assert ("two", "one") == key.accepted
    assert ("API_KEY", "1") == source.calls[-1]


def test_a_worker_that_starts_passes_over_what_is_not_usable(make, source):
    """Disabled, destroyed and unreadable versions are stepped over."""
    for value in ("two", "three", b"\xff", "five"):
        source.add("API_KEY", value)
    source.disable("API_KEY", 2)
    source.destroy("API_KEY", 3)
    cache = make()
    key = signing(cache)
    cache.load()

    assert ("five", "one") == key.accepted


def test_two_changes_at_once_leave_out_none(cache, source):
    """Where a version was passed over, siblings may have signed with it: it counts too."""
    key = signing(cache)
    cache.load()
    source.add("API_KEY", "two")
    source.add("API_KEY", "three")
    cache.load()
    key.look()

    assert "three" == key.value
    assert ("three", "two", "one") == key.accepted


def test_however_often_it_changes_three_count_at_most(cache, source):
    """What is kept is bounded."""
    key = signing(cache)
    cache.load()
    for number in range(2, 9):
        rotate(cache, source, "API_KEY", f"v{number}")

    assert ("v8", "v7", "v6", "v5") == key.accepted


def test_a_change_long_ago_leaves_nothing_to_load(make, source, wall):
    """Where the change was heard of and its overlap is over, the version before is not even read."""
    cache = make()
    key = signing(cache)
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    wall.ahead += 61
    before = len(source.calls)
    child = os.fork()  # a worker that has heard what its parent heard, and must look itself
    if child == 0:
        fine = key.accepted == ("two",) and ("API_KEY", "1") not in source.calls[before:]
        os._exit(0 if fine else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_an_outage_leaves_the_newest_and_says_what_is_missing(make, source, caplog):
    """The start goes on; a warning names the version that could not be had."""
    source.add("API_KEY", "two")
    cache = make()
    key = signing(cache)
    original = source.access

    def access(name, version, *, timeout):
        if version == "1":
            raise AccessFailed("no answer", transient=True)
        return original(name, version, timeout=timeout)

    source.access = access
    cache.load()

    assert ("two",) == key.accepted
    assert "overlap_missing" in caplog.text


def test_a_secret_that_was_created_anew_took_its_versions_with_it(cache, source):
    """Nothing of its old life is accepted in the new one."""
    key = signing(cache, overlap="until_disabled")
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    source.delete("API_KEY")
    rotate(cache, source, "API_KEY", "new life")

    assert ("new life",) == key.accepted


def test_a_revoked_secret_accepts_nothing(cache, source):
    """Where reads raise, so does `accepted`."""
    key = signing(cache, on_revoked="raise")
    cache.load()
    source.disable("API_KEY", 1)
    push(source, cache)

    with pytest.raises(SecretRevoked):
        _ = key.accepted


def test_an_old_value_is_let_go_of_though_nobody_asks(cache, source, wall, tick):
    """The tick of each second lets go of what does not count any more."""
    key = signing(cache)
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    wall.ahead += 61
    tick(cache)

    overlap = cache._registry.all()[0]._supply._overlap
    assert (set(), "two") == (overlap.numbers(), key.value)


def test_a_look_costs_one_access_and_finds_what_no_event_announced(cache, source, clock):
    """It asks for the next number alone, and swaps in what it finds."""
    key = cache.secret("API_KEY")
    cache.load()
    before = len(source.calls)
    assert not key.look()
    assert [("API_KEY", "2")] == source.calls[before:]
    source.add("API_KEY", "two")
    assert not key.look(), "a tenth of a second later at the earliest"
    clock.ahead += 0.1

    assert key.look()
    assert "two" == key.value


def test_what_a_look_finds_is_told_to_the_other_workers(make, source, tmp_path):
    """One worker is refused and looks; its siblings move too, without being refused first."""
    workers = [make(run_dir=str(tmp_path / "one container")) for _ in range(2)]
    keys = [worker.secret("API_KEY") for worker in workers]
    for worker in workers:
        worker.load()
    source.add("API_KEY", "two")
    assert keys[0].look()

    until = time.monotonic() + 5
    while keys[1].value != "two" and time.monotonic() < until:
        time.sleep(0.01)
    assert ("two", "two") == (keys[0].value, keys[1].value)


def test_looks_in_vain_become_rare_and_a_find_makes_them_prompt_again(cache, source, clock):
    """However often somebody asks: a tenth of a second apart at first, ten seconds in the end."""
    key = cache.secret("API_KEY")
    cache.load()
    before = len(source.calls)
    for _ in range(6000):  # ten minutes
        key.look()
        clock.ahead += 0.1
    asked = len(source.calls) - before
    assert 60 <= asked <= 70
    source.add("API_KEY", "two")
    clock.ahead += 10

    assert key.look()
    clock.ahead += 0.1
    before = len(source.calls)
    key.look()
    assert 1 == len(source.calls) - before
