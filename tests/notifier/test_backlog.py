"""Leases of one subscription's messages, with a clock that the test moves."""

import pytest

from notifier.local.backlog import Backlog
from notifier.local.messages import Message, Rules


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


def message(name="a", key="", at=0.0):
    return Message(name, at, b"", {}, key)


def names(leases):
    return [lease.message.id for lease in leases]


def keyed(clock, *messages):
    backlog = Backlog(clock=clock, rules=Rules(ordered=True))
    for name in messages:
        backlog.put(message(name, key=name[0]))
    return backlog


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


def test_one_at_a_time_within_a_key(clock):
    """A message waits until the one before it in its key is acknowledged; other keys do not wait for it."""
    backlog = keyed(clock, "a1", "a2", "b1")
    (first,) = backlog.take(1, 10.0)
    other = backlog.take(5, 10.0)

    assert ["a1", "b1"] == names([first, *other])
    backlog.acknowledge(first.id)
    assert ["a2"] == names(backlog.take(5, 10.0))


def test_several_of_a_key_in_one_answer(clock):
    """Messages of one key come together, in their order, where there is room for them."""
    backlog = keyed(clock, "a1", "a2", "a3")

    assert ["a1", "a2"] == names(backlog.take(2, 10.0))
    assert [] == backlog.take(2, 10.0)


def test_what_follows_a_refused_message_comes_again_with_it(clock):
    """Later messages of a key come again after one that was refused, also those acknowledged before."""
    backlog = keyed(clock, "a1", "a2", "a3")
    first, second, _ = backlog.take(3, 10.0)
    assert backlog.acknowledge(second.id)
    assert 2 == len(backlog)
    backlog.refuse(first.id)
    again = backlog.take(3, 10.0)

    assert ["a1", "a2", "a3"] == names(again)
    for lease in reversed(again):
        assert backlog.acknowledge(lease.id)
    assert 0 == len(backlog)


def test_refused_messages_wait_longer_each_time(clock):
    """A retry policy's wait doubles with each attempt, up to its end, and holds for leases that run out too."""
    backlog = Backlog(clock=clock, rules=Rules(backoff=(10.0, 30.0)))
    backlog.put(message())
    for expected in (10.0, 20.0, 30.0, 30.0):
        (lease,) = backlog.take(1, 5.0)
        backlog.refuse(lease.id)
        assert expected == backlog.due_in()
        clock.now += expected
    backlog.take(1, 5.0)

    assert 35.0 == backlog.due_in()


def test_buried_after_its_attempts(clock):
    """A message that was refused as often as agreed is given away, once, and also where its last lease runs out."""
    buried = []
    backlog = Backlog(clock=clock, rules=Rules(attempts=2), bury=lambda *spent: buried.append(spent) or True)
    backlog.put(message("refused"))
    backlog.put(message("forgotten"))
    for lease in backlog.take(2, 10.0):
        backlog.refuse(lease.id)
    backlog.refuse(backlog.take(1, 10.0)[0].id)
    backlog.take(1, 10.0)
    clock.now = 10.0

    assert [] == backlog.take(2, 10.0)
    assert [("refused", 2), ("forgotten", 2)] == [(spent.id, attempts) for _, spent, attempts in buried]
    assert 0 == len(backlog)


def test_not_buried_where_nobody_takes_it(clock):
    """A message without a place to be buried stays and keeps counting."""
    backlog = Backlog(clock=clock, rules=Rules(attempts=1))
    backlog.put(message())
    backlog.refuse(backlog.take(1, 10.0)[0].id)

    assert [2] == [lease.attempt for lease in backlog.take(1, 10.0)]


def test_old_messages_are_dropped(clock):
    """What is older than the retention is gone, acknowledged or not."""
    oldest = [0.0]
    backlog = Backlog(clock=clock, rules=Rules(retained=True), oldest=lambda: oldest[0])
    for at in (1.0, 2.0, 3.0, 4.0):
        backlog.put(message(str(at), at=at))
    for lease in backlog.take(2, 10.0):
        backlog.acknowledge(lease.id)

    assert (["3.0", "4.0"], ["1.0", "2.0"]) == tuple([one.id for one in some] for some in backlog.messages())
    oldest[0] = 2.0
    assert (["3.0", "4.0"], ["2.0"]) == tuple([one.id for one in some] for some in backlog.messages())
    oldest[0] = 4.0
    assert ["4.0"] == names(backlog.take(5, 10.0))


def test_replaced(clock):
    """A backlog that begins anew knows no lease of before."""
    backlog = keyed(clock, "a1", "a2")
    old = backlog.take(2, 10.0)
    backlog.replace([message("a1", "a"), message("b1", "b")], [message("a0", "a")])

    assert not any(backlog.acknowledge(lease.id) for lease in old)
    assert ["a1", "b1"] == names(backlog.take(5, 10.0))
