"""A source in memory and caches over it, for the tests of what a secret feeds."""

import threading
import time

import pytest

from receiver import SecretCache
from receiver.testing import InMemorySource


class Clock:
    """Monotonic seconds that a test can move; they go on by themselves, so that every bounded wait ends."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead


class Wall:
    """Nanoseconds since the epoch that a test can move."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.time_ns() + int(self.ahead * 1e9)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def source(wall):
    return InMemorySource({"API_KEY": "one", "OTHER_KEY": "other", "WALLET_PRIVATE_KEY": "wallet"}, wall=wall)


@pytest.fixture
def make(source, clock, wall, tmp_path):
    """Make caches, each a container of its own unless it is told where to meet; all are closed at the end."""
    made = []

    def cache(**kwargs):
        kwargs = {
            "run_dir": str(tmp_path / str(len(made))),
            "jitter": lambda: 0.5,
            "clock": clock,
            "wall": wall,
        } | kwargs
        made.append(SecretCache("any-project", source=source, **kwargs))
        return made[-1]

    yield cache
    for one in made:
        one.close()


@pytest.fixture
def cache(make):
    return make()


@pytest.fixture
def tick():
    """What a cache's listener does each second, now."""

    def tick(cache):
        cache._worker._tick()
        for thread in threading.enumerate():
            if thread.name.startswith("keyturn-") and thread.name not in ("keyturn-siblings", "keyturn-validate"):
                while not thread._started.is_set():  # it is about to be
                    time.sleep(0.001)
                thread.join(5)

    return tick
