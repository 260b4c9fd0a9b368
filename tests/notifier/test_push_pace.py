"""How fast pushes go out: slow start and push backoff."""

import pytest

from notifier.local.cloud import LocalCloud
from notifier.local.push_pace import FIRST, MOST, Pace


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_slow_start(clock):
    """The window begins with a single digit, grows by each quick success up to its end, and halves by a failure."""
    pace = Pace(clock=clock)
    assert FIRST == pace.window < 10
    for _ in range(FIRST):
        pace.acknowledged(0.01)
    assert 2 * FIRST == pace.window
    pace.acknowledged(1.0)
    assert 2 * FIRST == pace.window
    for _ in range(100):
        pace.acknowledged(0.01)
    assert MOST == pace.window
    pace.refused()
    assert MOST // 2 == pace.window
    for _ in range(10):
        pace.refused()

    assert FIRST == pace.window


@pytest.mark.parametrize(
    ("rate", "least", "most"), [(0.5, 0.0, 0.0), (1, 0.4, 0.6), (5, 30.0, 60.0), (20, 60.0, 60.0)]
)  # fmt: skip
def test_backoff(clock, rate, least, most):
    """An endpoint that refuses once a second is left alone for half a second, one that refuses five times for half a
    minute or more, and none for longer than a minute."""
    pace = Pace(clock=clock)
    for number in range(int(10 * rate)):
        clock.now = number / rate
        pace.refused()

    assert least <= pace.pause() <= most
    clock.now += pace.pause()
    assert 0.0 == pace.pause()


def test_backoff_is_bounded(clock):
    """No pause is longer than was allowed, and refusals of long ago count no more."""
    pace = Pace(clock=clock, longest_pause=0.25)
    for _ in range(100):
        pace.refused()
    assert 0.25 == pace.pause()
    clock.now = 60.0
    pace.refused()

    assert 0.0 == pace.pause()


def test_all_messages_wait(endpoint):
    """An endpoint that refuses too often gets nothing for a while, also no new message, and then everything."""
    with LocalCloud(project="demo", longest_pause=60.0) as cloud:
        endpoint.answers = [503] * 60
        subscription = cloud.push_to(endpoint.url, topic="news", backoff=(0.0, 0.0))
        for _ in range(3):
            cloud.pubsub.publish(cloud.topic("news"), b"x", {})
        cloud.pubsub.publish(cloud.topic("news"), b"new", {})
        endpoint.wait_for(10)
        while endpoint.answers:
            cloud.advance(60.0)  # a pause ends, and refusals of before it count no more
            came = len(endpoint.received)
            endpoint.wait_for(came + 1)
        cloud.advance(60.0)

        assert cloud.pubsub.wait_for_pushes(lambda _: cloud.pubsub.undelivered(subscription) == 0)
