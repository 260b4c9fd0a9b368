"""Steps of several things, taken by one thread."""

import math
import selectors
import socket
import threading

import pytest

from notifier.local.turns import Turns


@pytest.fixture
def turns():
    with Turns() as made:
        yield made


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def reading(sock, freed):
    """Waits for a byte and returns it."""
    try:
        yield sock, selectors.EVENT_READ
        return sock.recv(1)
    finally:
        freed.append(sock)


def test_each_when_it_can(turns, pair):
    """What can go on does, whatever waits beside it, and its result is told once."""
    here, there = pair
    freed = []
    turns.begin("hangs", reading(there, freed), 60.0)
    turns.begin("comes", reading(here, freed), 60.0)
    there.send(b"x")

    assert [("comes", b"x")] == turns.wait(10.0)
    assert [] == turns.wait(0.0)
    assert [here] == freed
    assert 1 == len(turns)


def test_what_ends_at_once(turns):
    """What never waits has ended by its first step, counts until it is told of, and is told of without a wait."""

    def steps():
        return 1
        yield

    turns.begin("done", steps(), 60.0)

    assert 1 == len(turns)
    assert [("done", 1)] == turns.wait(math.inf)
    assert 0 == len(turns)


def test_time_is_up(turns, pair):
    """What takes longer than it may is ended and frees what it holds."""
    here, _ = pair
    freed = []
    turns.begin("late", reading(here, freed), 0.01)

    assert [("late", None)] == turns.wait(math.inf)
    assert [here] == freed
    assert 0 == len(turns)


def test_one_socket_after_another(turns, pair):
    """A thing may wait for one socket after another, and close what it waited for."""

    def steps(first, second):
        with first:
            yield first, selectors.EVENT_READ
        yield second, selectors.EVENT_WRITE
        return "both"

    here, _ = pair
    closing, other = socket.socketpair()
    turns.begin("two", steps(closing, here), 60.0)
    other.send(b"x")
    assert [] == turns.wait(10.0)
    other.close()

    assert [("two", "both")] == turns.wait(10.0)


def test_woken(turns):
    """A wait ends when it is woken from another thread, and so does the next one where none is under way."""
    turns.wake()
    assert [] == turns.wait(math.inf)
    thread = threading.Thread(target=turns.wake)
    thread.start()

    assert [] == turns.wait(math.inf)
    thread.join()


def test_the_end_frees_all(pair):
    """What is under way at the end frees what it holds."""
    here, there = pair
    freed = []
    with Turns() as turns:
        turns.begin(1, reading(here, freed), 60.0)
        turns.begin(2, reading(there, freed), 60.0)

    assert {here, there} == set(freed)


def test_a_step_that_fails_ends_alone(turns, pair, caplog):
    """A fault of the steps' own is logged and ends them as if their time were up; what runs beside them goes on."""

    def failing(sock):
        if sock is not None:
            yield sock, selectors.EVENT_READ
        raise LookupError

    here, there = pair
    turns.begin("at once", failing(None), 60.0)
    turns.begin("later", failing(here), 60.0)
    turns.begin("beside", reading(there, []), 60.0)
    assert [("at once", None)] == turns.wait(0.0)
    there.send(b"x")

    assert [("later", None)] == turns.wait(10.0)
    here.send(b"y")
    assert [("beside", b"y")] == turns.wait(10.0)
    assert 0 == len(turns)
    assert ["LookupError"] * 2 == [record.exc_info[0].__name__ for record in caplog.records]


def test_longer_than_the_system_can_wait(turns, pair):
    """What is due in years is no fault: the wait ends when it is woken, or before its time."""
    turns.begin("years", reading(pair[0], []), 1e9)
    threading.Timer(0.05, turns.wake).start()

    assert [] == turns.wait(1e9)
