"""Workers struck by signals at each moment of a refresh: nobody is left stale, and no push is acked too early."""

import os
import signal
from pathlib import Path

import pytest

from .harness import Service, Users


BEFORE_THE_FETCH, BETWEEN, CALLBACKS = "before-the-fetch", "between-fetch-and-swap", "during-callbacks"
ANSWER = "before-the-answer"
#: Who answers a push is at each moment of it, its sibling at all but the last.
CELLS = [(moment, pushed) for moment in (BEFORE_THE_FETCH, BETWEEN, CALLBACKS) for pushed in (True, False)]
CELLS.append((ANSWER, True))

SIGNALS = [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGQUIT, signal.SIGABRT, signal.SIGHUP]


class GatedService(Service):
    """The service with gates; its workers are forked from a master that has loaded, so that new ones come soon."""

    def server(self):
        return [*super().server()[:-1], "--preload", "tests.service.moments:create_app()"]


class Gates:
    """Close and open the gates of a service."""

    def __init__(self, directory: Path, service: Service) -> None:
        self.directory = directory
        self.service = service

    def close(self, moment):
        for path in self.directory.iterdir():
            path.unlink()
        (self.directory / moment).touch()

    def open(self, moment):
        (self.directory / moment).unlink()

    def at(self, moment, *, pushed):
        """Wait until a worker of that part has come to the gate; returns which."""

        def come():
            told = {path.name.rpartition("-")[2] for path in self.directory.glob("pushed-*")}
            here = {path.name.rpartition("-")[2] for path in self.directory.glob(f"{moment}-*")}
            return here & told if pushed else here - told

        self.service.wait_until(come, f"a worker is at the gate {moment}")
        return int(next(iter(come())))


@pytest.fixture
def gated(running, tmp_path):
    wired = running(kind=GatedService, workers=2, env={"TEST_GATES": str(tmp_path)})
    return wired, Gates(tmp_path, wired.service)


def strike(wired, gates, users, sign, moment, *, pushed):
    """Send a signal to a worker at a moment of a push, let all go on, and wait until the push is acknowledged."""
    gates.close(moment)
    number = wired.add()
    struck = gates.at(moment, pushed=pushed)
    os.kill(struck, sign)
    if moment is not CALLBACKS:  # those are waited for two seconds at most
        assert wired.cloud.pubsub.undelivered(wired.subscription), "acknowledged before it was applied"
    gates.open(moment)
    if sign == signal.SIGSTOP and pushed:
        os.kill(struck, signal.SIGCONT)  # nobody but this worker can answer
    wired.wait_acknowledged()
    users.floor = number
    if sign == signal.SIGSTOP and not pushed:
        os.kill(struck, signal.SIGCONT)
    found = wired.service.all_serve("API_KEY", number)
    if sign not in (signal.SIGSTOP, signal.SIGTERM):
        assert struck not in found
    elif sign == signal.SIGSTOP:
        assert struck in found


def strike_all(wired, gates, sign):
    with Users(wired.service, forgiving=True) as users:
        for moment, pushed in CELLS:
            strike(wired, gates, users, sign, moment, pushed=pushed)
        users.wait_for_more()

    assert [] == users.wrong, wired.service.output()


@pytest.mark.timeout(120)
@pytest.mark.promise("acked means done")
@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize(
    "sign",
    [*SIGNALS[:2], *(pytest.param(sign, marks=pytest.mark.long) for sign in SIGNALS[2:])],
    ids=lambda sign: sign.name,
)
def test_a_signal_at_every_moment(gated, sign):
    """Whoever is struck where: the push is acknowledged when all serve the new version, and not before."""
    strike_all(*gated, sign)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sign", SIGNALS, ids=lambda sign: sign.name)
def test_ten_times_in_a_row(gated, sign):
    """The same, ten times in one service."""
    for _ in range(10):
        strike_all(*gated, sign)
