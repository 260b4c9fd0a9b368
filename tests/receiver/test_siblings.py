"""Sibling workers within one process: several caches in one process are members of their own."""

import threading
import time

import pytest

from receiver.board import Board
from receiver.knowledge import Knowledge
from receiver.names import SecretName
from receiver.rundir import open_run_dir
from receiver.siblings import Confirmations, Siblings


NAME = SecretName("p", "A")
NEWS = Knowledge.version(7, 1_000_000, usable=True)


@pytest.fixture
def member(tmp_path):
    joined = []

    def join(apply=None, **options):
        board = Board(open_run_dir("test", parent=tmp_path))
        siblings = Siblings(board)
        joined.append((board, siblings))
        if apply is not None:
            siblings.attend(apply, **options)
        return siblings

    yield join
    for board, siblings in joined:
        siblings.leave()
        board.close()
    assert [] == list(tmp_path.iterdir())


def yes(name, knowledge):
    return True


def deadline(seconds=5):
    return time.monotonic() + seconds


def test_nobody_to_tell(member):
    """A worker that is alone waits for nobody."""
    assert Confirmations() == member(yes).relay(NAME, NEWS).wait(deadline())


def test_two_caches_of_one_process_are_siblings(member):
    """Several members in one process tell each other, and do not take each other for dead."""
    told = []
    one, two, three = member(yes), member(lambda *news: told.append(news) or True), member(yes)

    assert 2 == len(one.relay(NAME, NEWS).wait(deadline()).applied)
    assert [(NAME, NEWS)] == told
    two.leave()
    assert 1 == len(three.relay(NAME, NEWS).wait(deadline()).applied)


def test_telling_without_being_a_member(member):
    """A process that is no member can tell those that are."""
    member(yes)

    assert 1 == len(member().relay(NAME, NEWS).wait(deadline()).applied)


def test_the_caller_works_meanwhile(member):
    """What siblings answer while the caller does its own work is there when it asks."""
    done = threading.Event()
    member(lambda *_: done.set() or True)
    relay = member(yes).relay(NAME, NEWS)
    assert done.wait(5)

    assert 1 == len(relay.wait(deadline()).applied)


def test_a_relay_that_is_not_waited_for(member):
    """A caller that gives up closes the relay; what was told stays told."""
    done = threading.Event()
    member(lambda *_: done.set() or True)
    member(yes).relay(NAME, NEWS).close()

    assert done.wait(5)


def test_ticks(member):
    """What is due is done about each second, also after it has failed once."""
    ticks = threading.Semaphore(0)

    def tick():
        ticks.release()
        raise RuntimeError

    member(yes, tick=tick)

    assert ticks.acquire(timeout=5)
    assert ticks.acquire(timeout=5)


def test_attending_twice_is_attending_once(member):
    """A worker that attends again stays the member that it was."""
    siblings = member(yes)
    siblings.attend(yes)

    assert (True, 1, 0) == (siblings.attending, siblings.stats().members, siblings.stats().lagging)


def test_leaving_and_coming_back(member):
    """A worker that left can attend again, in a new directory."""
    siblings = member(yes)
    siblings.leave()
    assert not siblings.attending
    siblings.attend(yes)

    assert 1 == len(member(yes).relay(NAME, NEWS).wait(deadline()).applied)


def test_a_mark_is_taken_away(member, tmp_path):
    """A member that has caught up takes its own mark away, and nobody else's."""
    one = member(yes)
    (mine,) = (path.with_suffix(".lag") for path in tmp_path.glob("*/*.sock"))
    theirs = mine.with_name("w-0000000000000000.lag")  # nobody's, so that nobody takes it away at its next tick
    for mark in (mine, theirs):
        mark.touch()
    one.caught_up()

    assert [False, True] == [mark.exists() for mark in (mine, theirs)]


def test_a_thread_that_waits_for_another_secret(member):
    """Each secret is applied in a thread of its own: one that waits for another secret does not hold it up."""
    other = SecretName("p", "B")
    reached = threading.Event()

    def apply(name, knowledge):
        if name == NAME:
            return reached.wait(5)
        reached.set()
        return True

    member(apply)
    teller = member(yes)
    first, second = teller.relay(NAME, NEWS), teller.relay(other, NEWS)

    assert 1 == len(first.wait(deadline()).applied)
    assert 1 == len(second.wait(deadline()).applied)
