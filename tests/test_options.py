"""docs/options.md says what is measured: the calls of each occasion, and the month that follows from them."""

import re
import time
from pathlib import Path

import pytest

from receiver import SecretCache
from receiver.testing import InMemorySource, push, rotate


TEXT = (Path(__file__).parents[1] / "docs" / "options.md").read_text()

SERVICES, WORKERS, DAYS = 17, 4, 30


def table(heading):
    rows = TEXT.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("| ").split("|")] for row in rows]


@pytest.fixture
def measured(tmp_path):
    """The accesses of each occasion, in a container of two workers (two caches that meet in one directory)."""
    source = InMemorySource({"KEY": "one"})
    counts = {}

    def count(what, work, share=1):
        before = len(source.calls)
        work()
        counts[what] = (len(source.calls) - before) / share

    def cache():
        return SecretCache("p", source=source, run_dir=str(tmp_path), service="s", clock=clock, jitter=lambda: 0.5)

    ahead = [0.0]
    clock = lambda: time.monotonic() + ahead[0]  # noqa: E731
    first, second = cache(), cache()
    keys = [one.secret("KEY") for one in (first, second)]
    count("a worker loads an entry", lambda: [one.load() for one in (first, second)], share=2)
    count("a version is added and pushed, per worker", lambda: rotate(first, source, "KEY", "two"), share=2)
    assert ["two", "two"] == [key.value for key in keys]
    again = source.add("KEY", "three")
    bodies = source.pushes()
    source.pushes = lambda: bodies
    push(source, first)
    count("the same push comes again", lambda: push(source, first))
    assert again == keys[1].version
    count("a value is read a thousand times", lambda: [keys[0].value for _ in range(1000)])
    count("somebody is refused and looks", keys[0].look)
    ahead[0] += 3700
    count("a safety read, per entry and container", lambda: _safety_read(first))
    count("a safety read in the container's other workers", lambda: _safety_read(second))
    for one in (first, second):
        one.close()
    return counts


def _safety_read(cache):
    cache._worker._rounds._read()


def test_the_calls_are_those_that_are_made(measured):
    """Each count of the table is what a source in memory has seen."""
    assert {what: float(calls) for what, calls in table("what happens | accesses")} == measured


def test_the_month_follows_from_the_calls(measured):
    """Each row is the table of calls multiplied out, at the list price."""
    load, change = measured["a worker loads an entry"], measured["a version is added and pushed, per worker"]
    read = measured["a safety read, per entry and container"]
    starts, hours = DAYS * WORKERS * load, DAYS * 24
    per_entry = {
        "full reload or TTL of 5 minutes in each process": lambda _: WORKERS * hours * 12,
        "keyturn, `events=None, backstop=300`": lambda _: starts + hours * 12 * read + (WORKERS - 1) * change,
        "keyturn, push and an hourly safety read": lambda _: starts + hours * read + WORKERS * change,
        "keyturn, push alone": lambda _: starts + WORKERS * change,
        # Each start reads each secret once; each of the changes of a service's secrets is one more start.
        "restart, values in Cloud Run's environment": lambda each: DAYS + each,
    }

    def cells(way):
        for each in (5, 77):
            accesses = SERVICES * each * per_entry[way](each)
            yield f"{accesses:,.0f}"
            yield f"{max(0, accesses - 10_000) / 10_000 * 0.03:.2f}"

    rows = table("way | accesses, 5 each | $ | accesses, all 77 | $")
    assert [[way, *cells(way)] for way in [row[0] for row in rows]] == rows
    assert set(per_entry) == {row[0] for row in rows}


def test_without_events_the_safety_read_is_the_ttl(tmp_path):
    """`events=None` with a backstop: nothing is heard, and a change is found within the interval."""
    source = InMemorySource({"KEY": "one"})
    cache = SecretCache("p", source=source, run_dir=str(tmp_path), events=None, backstop=300)
    key = cache.secret("KEY")
    cache.load()
    source.add("KEY", "two")
    _safety_read(cache)

    assert ("two", None) == (key.value, cache.events)
    cache.close()


def test_the_price_of_versions_is_multiplied_out_too():
    """Six versions are free."""
    shown = [float(price) for price in re.findall(r"\$(\d+\.\d\d) (?:for 77|while each)", TEXT.replace("\n", " "))]

    assert [round((count - 6) * 0.06, 2) for count in (77, 154)] == shown
