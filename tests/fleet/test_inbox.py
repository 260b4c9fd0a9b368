"""Messages in hand: coalesced, spread, answered when they have been applied."""

import threading

import pytest

from receiver.fleet.inbox import Inbox
from receiver.fleet.stream import Message
from receiver.intake import Intake
from receiver.knowledge import SECOND, Knowledge
from receiver.spread import Spread
from receiver.telemetry import Voice
from tests.waiting import until


NOW = 1_800_000_000 * SECOND
OURS = "projects/1/secrets/KEY"


class Follower:
    """Applies when it is let, and says what it is told to."""

    def __init__(self):
        self.voice = Voice()
        self.told, self.spread, self.go = [], Spread.SETTLED, threading.Event()
        self.go.set()
        self.fail, self.known = None, Knowledge()

    def tell(self, name, news):
        self.known = self.known.merge(news)

    def announce(self, name, news, *, deadline, path):
        self.told.append((name.secret, news.wanted("latest"), path))
        assert self.go.wait(10)
        if self.fail:
            raise self.fail
        return self.spread

    def serves(self, name, number):
        return True


@pytest.fixture
def follower():
    return Follower()


@pytest.fixture
def inbox(follower, clock):
    return made(follower, clock)


def made(follower, clock, spread=0.0):
    return Inbox(
        Intake(follower, path="pull", wall=lambda: NOW),
        voice=follower.voice,
        concerns=lambda name: name.secret == "KEY",
        tell=follower.tell,
        spread=spread,
        clock=clock,
        jitter=lambda: 0.5,
    )


class Sent:
    """A message, and how it was answered."""

    def __init__(self, number, *, secret=OURS, kind="SECRET_VERSION_ADD", age=0, later=0):
        self.answers = []
        attributes = {"eventType": kind, "secretId": secret, "timestamp": f"2026-01-01T00:00:0{later}Z"}
        if number:
            attributes["versionId"] = f"{secret}/versions/{number}"
        self.message = Message(attributes, b"{}", "1", NOW - age * SECOND, self.answers.append)


@pytest.mark.promise("acked means done")
def test_a_message_is_answered_when_it_has_been_applied(inbox, follower):
    """While any worker has yet to apply it, the message stays unacknowledged."""
    follower.go.clear()
    sent = Sent(7)
    inbox.put(sent.message)
    until(lambda: follower.told, "it is being applied")
    before = list(sent.answers)
    follower.go.set()
    until(lambda: sent.answers, "it is answered")

    assert ([], [True]) == (before, sent.answers)


def test_a_burst_is_applied_at_once(inbox, follower):
    """What comes while a version is being applied is one piece of work, whose newest version counts."""
    follower.go.clear()
    burst = [Sent(number) for number in range(1, 41)]
    inbox.put(burst[0].message)
    until(lambda: follower.told, "the first is being applied")
    for sent in burst[1:]:
        inbox.put(sent.message)
    follower.go.set()
    until(lambda: all(sent.answers for sent in burst), "all are answered")

    assert [("KEY", 1, "pull"), ("KEY", 40, "pull")] == follower.told
    assert [[True]] * 40 == [sent.answers for sent in burst]


@pytest.mark.promise("any order")
def test_what_waits_for_its_turn_is_known_already(inbox, follower):
    """What is under way, a first load say, ends with all that has come; only its answer waits."""
    follower.go.clear()
    disabled, enabled = Sent(7, kind="SECRET_VERSION_DISABLE"), Sent(7, kind="SECRET_VERSION_ENABLE", later=1)
    inbox.put(disabled.message)
    until(lambda: follower.told, "the first is being applied")
    inbox.put(enabled.message)
    known, answered = follower.known.wanted("latest"), list(enabled.answers)
    follower.go.set()
    until(lambda: enabled.answers, "it is answered")

    assert (7, []) == (known, answered)


def test_what_could_not_be_applied_comes_again(inbox, follower):
    """An outage asks for the message again; a message older than ten minutes is acknowledged nevertheless."""
    follower.spread = Spread.UNSETTLED
    young, old = Sent(7), Sent(7, age=601)
    for sent in (young, old):
        inbox.put(sent.message)
        until(lambda sent=sent: sent.answers, "it is answered")

    assert ([False], [True]) == (young.answers, old.answers)


def test_an_error_of_ours_asks_for_it_again(inbox, follower, monkeypatch):
    """Whatever goes wrong, no message is kept for ever and none is acknowledged unapplied."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    follower.fail = RuntimeError("ours")
    sent = Sent(7)
    inbox.put(sent.message)
    until(lambda: sent.answers, "it is answered")
    follower.fail = None
    again = Sent(7)
    inbox.put(again.message)
    until(lambda: again.answers, "the next one is answered")

    assert ([False], [True]) == (sent.answers, again.answers)


@pytest.mark.parametrize(
    "sent",
    [
        Sent(7, secret="projects/1/secrets/OTHER"),
        Sent(None, kind="SECRET_ROTATE"),
        Sent(None, kind="TOPIC_CONFIGURED"),
        Sent(None, kind="SECRET_VERSION_ADD"),
        Sent(None, secret="", kind="SECRET_UPDATE"),
    ],
    ids=["not-ours", "rotate", "topic", "no-version", "no-secret"],
)
@pytest.mark.promise("targeted")
def test_what_is_not_ours_costs_nothing(inbox, follower, sent):
    """Other services' secrets, news that move no value and what cannot be read are answered at once, on no thread."""
    sent.answers.clear()
    follower.spread = Spread.NOT_OURS
    inbox.put(sent.message)

    assert ([True], set()) == (sent.answers, {name for name, _, _ in follower.told} - {"OTHER"})


def test_a_spread_puts_off_and_coalesces(follower, clock):
    """With a spread an instance waits its share of it, and takes then what has come by then."""
    inbox = made(follower, clock, spread=30.0)
    burst = [Sent(number) for number in (1, 2, 3)]
    for sent in burst:
        inbox.put(sent.message)
        inbox.tick()
    clock.now += 14.9
    inbox.tick()
    early = list(follower.told)
    clock.now += 0.2
    inbox.tick()
    until(lambda: all(sent.answers for sent in burst), "all are answered")

    assert ([], [("KEY", 3, "pull")]) == (early, follower.told)
