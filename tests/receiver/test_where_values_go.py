"""No old value is kept alive by us: not by a cache, a flight, a log record, an exception or a frame."""

import gc
import logging
import sys
import threading
import time
import weakref

import pytest

from receiver import SecretCache, SecretUnavailable
from receiver.names import SecretName
from receiver.source import Payload
from receiver.testing import InMemorySource, push, rotate


pytestmark = pytest.mark.promise("silent")


class Watched(InMemorySource):
    """Remembers the payloads that it gave; each is an object of its own, so that its references can be counted."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.given = []

    def access(self, name, version, *, timeout):
        payload = super().access(name, version, timeout=timeout)
        self.given.append(bytes(bytearray(payload.data)))
        return Payload(payload.version, self.given[-1])

    def kept(self):
        """How many of the payloads somebody else still holds."""
        settle()
        # Held here by the list and by the call.
        return sum(sys.getrefcount(self.given[place]) > 2 for place in range(len(self.given)))


class Keeping(logging.Handler):
    """A log handler that keeps every record, as tests and error reporters do."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def kept():
    handler, logger = Keeping(), logging.getLogger("keyturn")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield handler.records
    logger.setLevel(level)
    logger.removeHandler(handler)


@pytest.fixture
def source():
    return Watched({"API_KEY": "canary-1", "LIMITS": '"canary-limit"'})


@pytest.fixture
def cache(source, tmp_path):
    cache = SecretCache("any-project", source=source, run_dir=str(tmp_path))
    yield cache
    cache.close()


def settle():
    for thread in threading.enumerate():
        if thread.name.startswith("keyturn-") and thread.name != "keyturn-siblings":
            while not thread._started.is_set():  # it is about to be
                time.sleep(0.001)
            thread.join(5)
    gc.collect()


def alive(*references):
    """How many of the objects are alive though nothing but references is held here."""
    settle()
    return sum(reference() is not None for reference in references)


def test_a_replaced_value_is_let_go(cache, source, kept):
    """After a rotation nothing of ours holds the old value, though callbacks ran and every log record is kept."""
    key = cache.secret("API_KEY")
    raw = cache.secret("API_KEY", type="bytes")
    seen = []
    key.on_change(lambda held: seen.append(held.version))
    cache.load()
    old = [weakref.ref(key.held), weakref.ref(raw.held)]
    assert 1 == source.kept()  # the bytes being served, which are the payload itself

    rotate(cache, source, "API_KEY", "canary-2")

    assert [0, 1, [2], True] == [alive(*old), source.kept(), seen, bool(kept)]


def test_payloads_that_were_only_looked_at_are_let_go(cache, source, kept):
    """What a climb found on its way, and what did not parse, is gone when the refresh has ended; the best is served."""
    limits = cache.secret("LIMITS", type="json")
    cache.load()
    for value in ('"a"', '"b"', "canary-not-json"):
        source.add("LIMITS", value)
    cache.look(SecretName("any-project", "LIMITS"), deadline=time.monotonic() + 5)

    assert 3 == limits.version
    assert 0 == source.kept()
    assert not [record for record in kept if "canary" in record.getMessage() + repr(record.__dict__)]


def test_a_revoked_value_is_let_go(cache, source):
    """Where reads raise, the value is gone from memory of ours."""
    key = cache.secret("API_KEY", on_revoked="raise")
    cache.load()
    old = weakref.ref(key.held)
    source.disable("API_KEY", 1)
    push(source, cache)

    assert (0, 0) == (alive(old), source.kept())


def test_a_failed_callback_keeps_nothing(cache, source):
    """The exception of a callback is not kept, with the frames that hold the value."""
    key = cache.secret("API_KEY")
    cache.load()
    key.on_change(lambda held: [][held.version])
    rotate(cache, source, "API_KEY", "canary-2")
    old = weakref.ref(key.held)
    rotate(cache, source, "API_KEY", "canary-3")

    assert 0 == alive(old)


def test_an_exception_of_ours_holds_no_payload(cache, source):
    """A load that fails because a value does not parse: neither text, context nor frames lead to the payload."""
    cache.secret("API_KEY", type="json")
    with pytest.raises(SecretUnavailable) as raised:
        cache.load()

    text = ""
    error = raised.value
    while error is not None:
        text += repr(error) + repr(error.__dict__)
        error = error.__cause__ or error.__context__
    assert "canary" not in text
    assert 0 == source.kept()
