"""Leases of one subscription's messages, with a clock that the test moves."""

import pytest

from notifier.local.backlog import Backlog, Message


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def backlog(clock):
    return Backlog(clock=clock)


def message(name="a"):
    return Message(name, 0.0, b"", {})


def test_a_lease_runs_out(backlog, clock):
    """A message that is not acknowledged in time is handed out again, as a further attempt."""
    backlog.put(message())
    (first,) = backlog.take(1, 10.0)
    clock.now = 9.9
    assert [] == backlog.take(1, 10.0)
    clock.now = 10.0
    (second,) = backlog.take(1, 10.0)

    assert (1, 2) == (first.attempt, second.attempt)
    assert first.message == second.message


def test_a_late_acknowledgement_counts(backlog, clock):
    """A message is forgotten also by an earlier lease's acknowledgement."""
    backlog.put(message())
    (first,) = backlog.take(1, 10.0)
    clock.now = 20.0
    backlog.take(1, 10.0)

    assert backlog.acknowledge(first.id)
    assert not backlog.acknowledge(first.id)
    clock.now = 100.0
    assert [] == backlog.take(1, 10.0)


def test_only_the_current_lease_is_extended(backlog, clock):
    """A lease that has run out cannot be lengthened or handed back."""
    backlog.put(message())
    (first,) = backlog.take(1, 10.0)
    clock.now = 10.0
    (second,) = backlog.take(1, 10.0)

    assert not backlog.extend(first.id, 0.0)
    assert backlog.extend(second.id, 60.0)
    clock.now = 69.9
    assert [] == backlog.take(1, 10.0)
    clock.now = 70.0
    assert 1 == len(backlog.take(1, 10.0))


def test_oldest_first_and_no_more_than_asked(backlog):
    """Messages are handed out in their order, as many as were asked for."""
    for name in "abc":
        backlog.put(message(name))

    assert ["a", "b"] == [lease.message.id for lease in backlog.take(2, 10.0)]
    assert ["c"] == [lease.message.id for lease in backlog.take(2, 10.0)]


def test_delayed(backlog, clock):
    """A delayed message waits for its time."""
    backlog.put(message("late"), delay=5.0)
    backlog.put(message("early"))

    assert ["early"] == [lease.message.id for lease in backlog.take(2, 10.0)]
    assert 5.0 == backlog.due_in()
    clock.now = 5.0
    assert ["late"] == [lease.message.id for lease in backlog.take(2, 10.0)]
