"""Callbacks: each told of every change, the last call of the value being served, and none in the way of another."""

import logging
import threading
import time

import pytest

from receiver import callbacks
from receiver.callbacks import PATIENCE, RETRY_FIRST, Callbacks
from receiver.secret import HeldValue
from receiver.threads import spawn


WAIT = 5.0


class Told:
    """An entry's changes, and callbacks that note what they are told of."""

    def __init__(self):
        self.now = 0.0
        self.served = (0, HeldValue(1, "v1"))
        self.callbacks = Callbacks("p/API_KEY", lambda: self.served, clock=lambda: self.now, jitter=lambda: 1.0)

    def change(self, version):
        self.served = (self.served[0] + 1, HeldValue(version, f"v{version}"))
        self.callbacks.changed()

    def settle(self):
        """Wait until no call is under way."""
        for thread in threading.enumerate():
            if thread.name == "keyturn-callback":
                thread.join(WAIT)


@pytest.fixture
def told():
    return Told()


def noting(into):
    return lambda held: into.append(held.version)


def test_a_callback_hears_of_a_change_and_not_of_the_first_load(told):
    """What was there when it was registered is no change."""
    heard = []
    told.callbacks.add(noting(heard))
    told.callbacks.changed()
    assert [] == told.callbacks.pending()

    told.change(2)
    told.settle()

    assert ([2], []) == (heard, told.callbacks.pending())


def test_calls_of_one_callback_never_overlap_and_skip_to_the_newest(told):
    """Versions passed over while it runs are skipped; the last call is of the value being served."""
    heard, entered, go = [], threading.Event(), threading.Event()

    def slow(held):
        heard.append(held.version)
        entered.set()
        assert go.wait(WAIT)

    told.callbacks.add(slow)
    told.change(2)
    assert entered.wait(WAIT)
    told.change(3)
    told.change(4)
    go.set()
    told.settle()

    assert ([2, 4], []) == (heard, told.callbacks.pending())


@pytest.mark.promise("acked means done")
def test_one_that_hangs_holds_up_no_other_and_one_answer_for_two_seconds(told, caplog):
    """The answer waits for two seconds; the next change's answer does not wait for it again, and the log names it."""
    go, entered, heard = threading.Event(), threading.Event(), []

    def hanging(held):
        entered.set()
        assert go.wait(WAIT)

    told.callbacks.add(hanging)
    told.callbacks.add(noting(heard))
    told.change(2)
    assert entered.wait(WAIT)
    told.now = PATIENCE + 0.1
    began = time.monotonic()

    assert not told.callbacks.wait(told.now)  # its two seconds are over
    assert not told.callbacks.wait(told.now + PATIENCE)
    assert time.monotonic() - began < WAIT
    with caplog.at_level(logging.WARNING, "keyturn"):
        told.callbacks.tick()
        told.callbacks.tick()
    assert [hanging.__qualname__] == told.callbacks.pending()
    assert 1 == len(caplog.records)
    assert "hanging" in caplog.text
    go.set()
    told.settle()
    assert ([2], []) == (heard, told.callbacks.pending())


@pytest.mark.promise("acked means done")
def test_who_was_not_waited_for_once_is_waited_for_with_the_next_change(told):
    """The call that an answer gave up is over; the next one has not begun yet, and its answer waits."""
    first, entered, heard = threading.Event(), threading.Event(), []

    def slow(held):
        entered.set()
        assert first.wait(WAIT)
        heard.append(held.version)

    told.callbacks.add(slow)
    told.change(2)
    assert entered.wait(WAIT)
    told.now = PATIENCE
    assert not told.callbacks.wait(told.now)
    first.set()
    told.settle()
    told.change(3)

    assert told.callbacks.wait(told.now + PATIENCE)
    assert [2, 3] == heard


@pytest.mark.promise("acked means done")
def test_a_call_that_has_just_begun_when_another_change_s_time_is_over_is_waited_for(told):
    """An answer gives up while the call of a later change has just begun: that change's answer waits for it."""
    first, second, heard = threading.Event(), threading.Event(), []
    entered = [threading.Event(), threading.Event()]

    def slow(held):
        entered[len(heard)].set()
        assert (second if heard else first).wait(WAIT)
        heard.append(held.version)

    told.callbacks.add(slow)
    told.change(2)
    assert entered[0].wait(WAIT)
    told.change(3)
    told.now = 0.75 * PATIENCE
    first.set()
    assert entered[1].wait(WAIT)
    told.now = PATIENCE
    assert not told.callbacks.wait(told.now)  # for the first change, whose two seconds are over
    spawn(second.set, name="letting")

    assert told.callbacks.wait(told.now + PATIENCE)
    assert [2, 3] == heard


@pytest.mark.promise("acked means done")
def test_one_that_a_stop_interrupted_is_waited_for(told):
    """An instance without CPU between requests: what began in the last one goes on in this one, whose answer waits."""
    go = threading.Event()

    class Letting(threading.Condition):
        """Whoever waits lets the callback go on."""

        def wait(self, timeout=None):
            go.set()
            return super().wait(timeout)

    told.callbacks._idle = Letting()
    told.callbacks.add(lambda held: go.wait(WAIT))
    told.change(2)
    told.now = 100.0

    assert told.callbacks.wait(told.now + PATIENCE)


@pytest.mark.promise("silent")
def test_who_waits_waits_for_what_another_thread_is_about_to_start(told):
    """One thread has swapped; an answer that finds the new version served does not pass by the calls due for it."""
    heard = []
    told.callbacks.add(noting(heard))
    told.served = (1, HeldValue(2, "v2"))

    assert told.callbacks.wait(told.now + PATIENCE)
    assert [2] == heard


def test_one_that_fails_is_named_without_its_text_and_called_again(told, caplog):
    """It is logged by name and type, since its text may hold the value, and is called again with backoff."""
    heard = []

    def failing(held):
        heard.append(held.version)
        if len(heard) == 1:
            raise ValueError(f"cannot use {held.value}")

    told.callbacks.add(failing)
    with caplog.at_level(logging.ERROR, "keyturn"):
        told.change(2)
        told.settle()
    assert ["failing" in caplog.text, "ValueError" in caplog.text, "v2" in caplog.text] == [True, True, False]

    told.callbacks.tick()
    assert ([2], [failing.__qualname__]) == (heard, told.callbacks.pending())
    told.now = RETRY_FIRST
    told.callbacks.tick()
    told.settle()

    assert ([2, 2], []) == (heard, told.callbacks.pending())


def test_a_new_change_does_not_wait_for_the_backoff_of_the_last(told):
    """One that failed on version 2 is told of version 3 at once."""
    heard = []

    def failing(held):
        heard.append(held.version)
        if held.version == 2:
            raise SystemExit

    told.callbacks.add(failing)
    told.change(2)
    told.settle()
    told.change(3)
    told.settle()

    assert ([2, 3], []) == (heard, told.callbacks.pending())


def test_a_child_calls_what_its_parent_had_under_way(told):
    """Threads do not survive a fork, so what was under way in the parent is due in the child."""
    go, heard = threading.Event(), []

    def once(held):
        heard.append(held.version)
        if len(heard) == 1:
            assert go.wait(WAIT)

    told.callbacks.add(once)
    told.change(2)
    told.callbacks.after_fork()
    told.callbacks.changed()
    go.set()
    told.settle()

    assert [2, 2] == heard


def test_a_thread_that_is_torn_down_while_it_starts_calls_leaves_none_behind(told, monkeypatch):
    """A greenlet's kill may come at each start of a thread: those that were not started yet are due again."""
    heard = []
    told.callbacks.add(noting(heard))
    told.callbacks.add(noting(heard))

    def killed(work, *, name):
        spawn(work, name=name)
        raise SystemExit

    with monkeypatch.context() as killing:
        killing.setattr(callbacks, "spawn", killed)
        with pytest.raises(SystemExit):
            told.change(2)
    told.callbacks.changed()
    told.settle()

    assert ([2, 2], []) == (heard, told.callbacks.pending())
