"""A worker that starts reads once it is heard for; where it reads before, it looks again. Each order is forced."""

import threading
import time

import pytest

from receiver.fleet.member import Fleet
from receiver.telemetry import Voice
from tests.waiting import until

from .test_term import PubSub, Whose


pytestmark = pytest.mark.promise("nobody left behind")

WAIT = 10.0


class Making(PubSub):
    """A Pub/Sub that takes its time to make a subscription: until the test lets it."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()
        self.opening = lambda: self.go.wait(WAIT)

    def close(self):
        pass

    def after_fork(self):
        pass


@pytest.fixture
def pubsub():
    return Making()


@pytest.fixture
def calls():
    """What a container's workers were called for."""
    return []


@pytest.fixture
def member(pubsub, tmp_path, calls):
    """Make members of one container, for which no time passes."""
    made = []

    def member():
        fleet = Fleet(
            pubsub,
            type("Inbox", (), {"put": None, "tick": lambda self: None, "after_fork": lambda self: None})(),
            whose=Whose,
            voice=Voice(),
            alone=True,
            call=calls.append,
            clock=lambda: 1000.0,
            wall=time.time_ns,
            jitter=lambda: 1.0,
        )
        fleet.start(tmp_path)
        made.append(fleet)
        return fleet

    yield member
    pubsub.go.set()
    for fleet in made:
        fleet.leave()


def test_two_threads_that_read_first_both_wait(member, pubsub, calls):
    """A second request that comes while the first one waits to be heard for does not read before it."""
    fleet, heard = member(), []

    def read():
        fleet.wait(5, strict=False)
        heard.append(fleet.hearing)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join(0.1)
    pubsub.go.set()
    for thread in threads:
        thread.join(WAIT)

    assert ([True, True], []) == (heard, calls)


@pytest.mark.parametrize("who", ["the leader", "another"])
def test_who_reads_unheard_has_all_look_again(member, pubsub, calls, who):
    """A first read has no time to wait until a subscription is made: once it is, all look for what came before."""
    leader = member()
    until(lambda: leader.status()["leads"], "it leads")
    reader = leader if who == "the leader" else member()
    reader.wait(0, strict=False)
    before = reader.hearing, list(calls)
    pubsub.go.set()
    until(lambda: calls, "all look again")

    assert ((False, []), 1) == (before, len(calls))


def test_a_forked_child_that_does_not_stand_for_election(member, pubsub):
    """Before it joins, and for good where it is frozen, a child hears nothing: it says so, and waits for nobody."""
    pubsub.go.set()
    fleet = member()
    fleet.wait(5, strict=True)
    fleet.leave()  # the parent's threads are not in a child
    fleet.after_fork()

    fleet.wait(5, strict=True)

    assert {"hearing": False, "leads": False} == fleet.status()
