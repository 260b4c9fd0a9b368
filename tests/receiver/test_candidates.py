"""`parse` and `validate`: what does not pass never becomes current, and is tried again."""

import logging
import os
import threading
import time

import pytest

from receiver import SecretUnavailable, ValueRejected
from receiver.testing import push, rotate


pytestmark = pytest.mark.promise("last good")

WAIT = 5.0


def status(cache):
    return cache.status()["entries"][0]


def test_a_version_that_does_not_parse_is_held_back_and_replaced_by_a_good_one(cache, source, caplog):
    """The last good value stays, log and status say why without the value, and the next event brings the good one."""
    caplog.set_level(logging.INFO, "keyturn")
    source.add("SIZE", "5")
    size = cache.secret("SIZE", parse=int)
    assert 5 == size.value
    rotate(cache, source, "SIZE", "canary")

    assert (5, 1) == (size.value, size.version)
    assert ("held back", "version 2: parse=int does not take it: ValueError") == (
        status(cache)["state"],
        status(cache)["why"],
    )
    assert "held_back" in caplog.text
    assert "canary" not in caplog.text + str(cache.status())
    rotate(cache, source, "SIZE", "7")
    assert (7, 3, "serving") == (size.value, size.version, status(cache)["state"])


def test_a_version_is_parsed_once(cache, source):
    """However often a value is read, its version has been parsed once."""
    seen = []
    key = cache.secret("API_KEY", parse=lambda text: seen.append(text) or text.upper())
    assert ["ONE"] * 100 == [key.value for _ in range(100)]
    rotate(cache, source, "API_KEY", "two")
    push(source, cache)

    assert ("TWO", ["one", "two"]) == (key.value, seen)


def test_validate_sees_each_candidate_before_it_goes_live(cache, source):
    """It is called with the parsed value while readers are still served the one before."""
    seen = []
    key = cache.secret("API_KEY", parse=str.upper, validate=lambda value: seen.append((value, served(value))))

    def served(value):
        return None if value == "ONE" else key.value

    cache.load()
    rotate(cache, source, "API_KEY", "two")

    assert ("TWO", [("ONE", None), ("TWO", "ONE")]) == (key.value, seen)


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        (RuntimeError("canary"), "RuntimeError"),
        (SystemExit(3), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (ValueRejected("the provider says no"), "the provider says no"),
    ],
)
def test_whatever_validate_raises_refuses_the_candidate_and_nothing_else(cache, source, caplog, refusal, why):
    """Also an exit: it ends neither the worker nor the push, and its text is told only where it was meant to be."""

    def validate(value):
        if value == "canary":
            raise refusal

    key = cache.secret("API_KEY", validate=validate)
    cache.load()
    rotate(cache, source, "API_KEY", "canary")

    assert ("one", 1) == (key.value, key.version)
    assert status(cache)["why"].endswith(f"refused it: {why}")
    assert "canary" not in caplog.text + str(cache.status())


async def _awaited(value):
    raise AssertionError(value)


@pytest.mark.parametrize(
    ("validate", "why"),
    [
        (lambda value: value == "one", "it returned False"),
        (lambda value: None if value == "one" else _awaited(value), "it returned a coroutine, which nobody awaits"),
    ],
)
def test_validate_may_answer_instead_of_raising(cache, source, validate, why):
    """False refuses; a coroutine is no answer, and is not left behind."""
    key = cache.secret("API_KEY", validate=validate)
    cache.load()
    rotate(cache, source, "API_KEY", "two")

    assert ("one", True) == (key.value, status(cache)["why"].endswith(why))


def test_a_refused_version_is_tried_again_with_backoff_and_at_the_next_event(cache, source, clock, tick):
    """What validates later goes live then, without a new version."""
    answers = iter([None, RuntimeError(), RuntimeError(), None])
    tried = []

    def validate(value):
        tried.append(value)
        answer = next(answers)
        if answer:
            raise answer

    key = cache.secret("API_KEY", validate=validate)
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    assert ("one", ["one", "two"]) == (key.value, tried)
    tick(cache)
    assert ["one", "two"] == tried, "not before it is due"
    clock.ahead += 1
    tick(cache)
    assert ("one", 3) == (key.value, len(tried))
    source.disable("API_KEY", 1)
    source.enable("API_KEY", 1)
    push(source, cache)

    assert ("two", ["one", "two", "two", "two"]) == (key.value, tried)


def test_a_validation_that_hangs_costs_its_time_and_no_more_than_three_threads(cache, source, clock, tick):
    """Its candidate counts as refused, other entries go on, and what hangs is not piled up without end."""
    release, hanging = threading.Event(), []

    def validate(value):
        if value != "one":
            hanging.append(value)
            release.wait(WAIT)

    key = cache.secret("API_KEY", validate=validate, validate_timeout=0.05)
    other = cache.secret("OTHER_KEY")
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    assert "did not end within 0.05 seconds" in status(cache)["why"]
    for _ in range(5):
        clock.ahead += 300
        tick(cache)

    assert ("one", ["two"] * 3) == (key.value, hanging)
    assert "have not ended yet" in status(cache)["why"]
    rotate(cache, source, "OTHER_KEY", "other-2")
    assert "other-2" == other.value
    release.set()
    until = time.monotonic() + WAIT
    while key.value != "two" and time.monotonic() < until:
        clock.ahead += 300
        tick(cache)
    assert "two" == key.value


@pytest.mark.parametrize("what", ["parse", "validate"])
def test_a_check_that_reads_its_own_cold_entry_is_told_so(cache, what):
    """It would wait for itself; instead the load fails at once and says why."""
    key = cache.secret("API_KEY", **{what: lambda _: key.value})
    began = time.monotonic()

    with pytest.raises(SecretUnavailable, match=f"{what}=.*SecretUnavailable"):
        cache.load()
    assert time.monotonic() - began < 2


def test_a_check_may_read_and_refresh_its_loaded_entry(cache, source):
    """A validation may read what is served; one that asks for a refresh is refused, and waits for nobody."""
    asked = []

    def validate(value):
        asked.append(key.value if value != "one" else None)
        if value == "three":
            key.look()

    key = cache.secret("API_KEY", validate=validate)
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    began = time.monotonic()
    rotate(cache, source, "API_KEY", "three")

    assert ("two", [None, "one", "two"]) == (key.value, asked)
    assert time.monotonic() - began < 2


def test_a_start_serves_an_older_version_where_the_newest_is_refused(make, source):
    """A worker that starts must not be kept from serving by a version that its siblings hold back."""
    source.add("API_KEY", "two")
    cache = make()
    key = cache.secret("API_KEY", validate=lambda value: value != "two")
    cache.load()

    assert ("one", 1, "held back") == (key.value, key.version, status(cache)["state"])


def test_what_stands_in_from_the_environment_is_parsed(make, source, monkeypatch):
    """The environment's value has the declared type too, and one that does not parse does not stand in."""
    source.fail(times=10)
    cache = make(environ={"SIZE": "5", "OTHER": "canary"})
    size = cache.secret("SIZE", parse=int, fallback="environment")
    other = cache.secret("OTHER", parse=int, fallback="environment")

    assert 5 == size.value
    with pytest.raises(SecretUnavailable, match="parse=int does not take it: ValueError") as failed:
        _ = other.value
    assert "canary" not in str(failed.value)


def test_a_forked_child_validates_for_itself(cache, source):
    """What hung in the parent, and what its threads held, are not the child's."""
    release = threading.Event()
    parent = os.getpid()
    key = cache.secret(
        "API_KEY",
        validate=lambda value: release.wait(WAIT) if value == "two" and os.getpid() == parent else None,
        validate_timeout=0.05,
    )
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    assert "one" == key.value
    child = os.fork()
    if child == 0:
        os._exit(0 if key.value == "two" else 1)
    _, ended = os.waitpid(child, 0)
    release.set()

    assert 0 == os.waitstatus_to_exitcode(ended)
