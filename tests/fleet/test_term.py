"""A term of leadership under a Pub/Sub that fails: said once, tried again with jitter, and made up for."""

import logging
import threading
import time

import pytest

from receiver.errors import HearingFailed
from receiver.fleet.term import LOOK, Term
from receiver.telemetry import Voice
from tests.waiting import until


pytestmark = pytest.mark.promise("nobody left behind")


class Clock:
    """Seconds that go on by themselves, and that a test can move."""

    ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead


class Stream:
    failure = trouble = None
    closed = False

    def close(self):
        self.closed = True


class PubSub:
    """A double at the port: what it is asked, and what it fails with."""

    topic = "projects/p/topics/t"

    def __init__(self):
        self.opened, self.fails, self.stream = 0, None, Stream()
        self.there, self.opening = set(), lambda: None

    def open(self, name, *, labels, now):
        self.opened += 1
        self.opening()
        if self.fails:
            raise self.fails
        self.there.add(name)

    def delete(self, name):
        self.there.discard(name)

    def pull(self, name, heard):
        self.stream = Stream()
        return self.stream


class Whose:
    service, id, token = "pay", "i", "0123456789ab"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pubsub():
    return PubSub()


@pytest.fixture
def begin(clock, pubsub):
    """Begin terms; all are over at the end."""
    begun = []

    def begin(*, newborn=True):
        calls = []
        term = Term(
            pubsub,
            type("Inbox", (), {"put": None}),
            whose=Whose,
            voice=Voice(),
            seat=0,
            newborn=newborn,
            outrun=lambda: False,
            call=calls.append,
            clock=clock,
            wall=time.time_ns,
            jitter=lambda: 1.0,
        )
        term.begin()
        begun.append(term)
        return term, calls

    yield begin
    for term in begun:
        term.end(5)


def test_the_first_leader_has_missed_nothing(begin):
    """Nobody looks for what came before the first subscription: all read after it."""
    term, calls = begin()
    until(lambda: term.hearing, "it hears")

    assert [] == calls


def test_who_takes_over_looks_at_once_and_again_when_it_hears(begin, pubsub):
    """What was on its way to the last leader is looked for before a connection is made, and once it is."""
    term, calls = begin(newborn=False)
    until(lambda: term.hearing, "it hears")

    assert 2 == len(calls)


def test_rights_that_are_taken_away_and_given_back(begin, pubsub, clock, caplog):
    """The stream's end is said once with what to do; it is tried after minutes, and then what was missed is found."""
    term, calls = begin()
    until(lambda: term.hearing, "it hears")
    denied = HearingFailed("cannot pull: permission denied", denied=True)
    pubsub.fails = denied
    with caplog.at_level(logging.WARNING, "keyturn"):
        pubsub.stream.failure = denied
        until(lambda: not term.hearing and term.trouble, "it has noticed")
        for _ in range(3):
            tried = pubsub.opened
            clock.ahead += 301
            until(lambda tried=tried: pubsub.opened > tried, "it tries again")
    said = caplog.text.count("fleet_denied")
    pubsub.fails = None
    clock.ahead += 301
    until(lambda: term.hearing, "it hears again")

    assert (1, 1, None) == (said, len(calls), term.trouble)
    assert "keyturn.fleetTopic" in caplog.text


def test_a_subscription_that_is_gone_is_made_anew_at_once(begin, pubsub):
    """No pause stands between the loss of a subscription and the next one; only a second loss backs off."""
    term, calls = begin()
    until(lambda: term.hearing, "it hears")
    pubsub.stream.failure = HearingFailed("cannot pull: it does not exist", missing=True)
    until(lambda: pubsub.opened == 2 and term.hearing, "it hears again")

    assert 1 == len(calls)


def test_tries_are_put_off_with_full_jitter(begin, pubsub, clock):
    """An outage is tried at with pauses that double: a fleet that lost Pub/Sub does not come back as one."""
    pubsub.fails = HearingFailed("cannot make its subscription: ServiceUnavailable (503)")
    term, _ = begin()
    until(lambda: pubsub.opened == 1 and term.trouble, "it has tried")
    pauses = []
    for count in range(2, 6):
        pauses.append(term._retry_at - clock())
        clock.ahead += pauses[-1]
        until(lambda count=count: pubsub.opened == count, "it tries again")
        until(lambda: term._retry_at > clock(), "the next pause is known")

    assert [1, 2, 4, 8] == [round(pause) for pause in pauses]


def test_streams_that_come_to_nothing_are_said_once(begin, pubsub, caplog):
    """An outage of Pub/Sub shows in the log and the status; since messages wait meanwhile, nobody looks for any."""
    term, calls = begin()
    until(lambda: term.hearing, "it hears")
    with caplog.at_level(logging.WARNING, "keyturn"):
        pubsub.stream.trouble = HearingFailed("cannot pull: ServiceUnavailable (503)")
        until(lambda: not term.hearing, "it has noticed")
        threading.Event().wait(1.2 * LOOK)
        pubsub.stream.trouble = None
        until(lambda: term.hearing, "it hears again")

    assert (1, [], 1) == (caplog.text.count("fleet_trouble"), calls, pubsub.opened)


def test_what_is_made_after_the_end_is_deleted(begin, pubsub):
    """A term whose end comes while its subscription is being made leaves none behind: nobody else would delete it."""
    made, over = threading.Event(), threading.Event()

    def opening():
        made.set()
        assert over.wait(10)

    pubsub.opening = opening
    term, _ = begin()
    assert made.wait(10)
    term.end(0.01)
    over.set()
    term.end(10)

    assert (set(), False) == (pubsub.there, term.hearing)


def test_the_end_closes_the_stream(begin, pubsub):
    """A term that is over pulls nothing."""
    term, _ = begin()
    until(lambda: term.hearing, "it hears")
    stream = pubsub.stream
    term.end(5)

    assert (True, False) == (stream.closed, term.hearing)
