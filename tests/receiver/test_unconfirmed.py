"""What a safety read found and no event told: late events are waited for, missing ones are said, once."""

import logging
import time

import pytest

from receiver import SecretCache
from receiver.cache import BACKSTOP
from receiver.testing import InMemorySource, push
from receiver.unconfirmed import LATEST


class Clock:
    ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def found(tmp_path, clock, monkeypatch):
    """A cache that pulls, a source whose news no event has told, and a backstop that has found it."""
    monkeypatch.setattr("receiver.fleet.member.Fleet.start", lambda *_: None)
    monkeypatch.setattr("receiver.fleet.member.Fleet.wait", lambda *_, **__: None)
    source = InMemorySource({"KEY": "one"})
    settings = {"events": "pull", "topic": "t", "clock": clock, "jitter": lambda: 0.5, "environ": {}}
    cache = SecretCache("p", source=source, run_dir=str(tmp_path), **settings)
    key = cache.secret("KEY")
    cache.load()
    source.add("KEY", "two")
    cache._worker._rounds._read()
    assert "two" == key.value
    yield cache, source
    cache.close()


def later(cache, clock, seconds):
    clock.ahead += seconds
    cache._worker._rounds.wake.started()
    cache._worker._rounds._say_unconfirmed()


def test_news_that_no_event_confirms_is_a_fault(found, clock, caplog):
    """Ten minutes after the safety read, and not before, the log says once what no event has told."""
    cache, _ = found
    with caplog.at_level(logging.ERROR, "keyturn"):
        later(cache, clock, LATEST - 5)
        early = caplog.text
        later(cache, clock, 10)
        later(cache, clock, LATEST)

    assert ("", 1) == (early, caplog.text.count("version 2 of projects/p/secrets/KEY"))


def test_a_late_event_confirms(found, clock, caplog):
    """An event that comes minutes after the safety read is no fault."""
    cache, source = found
    with caplog.at_level(logging.ERROR, "keyturn"):
        later(cache, clock, LATEST / 2)
        push(source, cache)
        later(cache, clock, LATEST)

    assert "unconfirmed" not in caplog.text


def test_where_push_passes_over_instances_it_is_normal(tmp_path, clock, caplog):
    """Without a fleet, news that a safety read finds is what the safety read is for."""
    source = InMemorySource({"KEY": "one"})
    cache = SecretCache("p", source=source, run_dir=str(tmp_path), clock=clock, backstop=BACKSTOP)
    cache.secret("KEY")
    cache.load()
    source.add("KEY", "two")
    cache._worker._rounds._read()
    with caplog.at_level(logging.ERROR, "keyturn"):
        later(cache, clock, LATEST + 1)
    cache.close()

    assert "unconfirmed" not in caplog.text
