"""A short chaos run: real processes, real signals, and every promise kept. `make chaos` runs the long form."""

import pytest

from .load import Disturbance, Failure
from .run import run
from .schedule import rounds
from .soak import GROWTH, growth


@pytest.mark.timeout(150)
@pytest.mark.promise("nobody left behind")
def test_a_short_run_keeps_every_promise():
    """After each round every worker converges, no answer was wrong, and what failed was at a process that we killed."""
    report = run(20261125, seconds=4, instances=2, workers=2, each=4.0)

    assert [] == report.faults
    assert report.answered > 20
    assert 1 == len(report.quiet)


def test_a_seed_plans_the_same_run():
    """A run can be replayed: its seed is all of it."""
    plans = [rounds(seed, count=3, seconds=20, instances=3) for seed in (1, 1, 2)]

    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize(
    ("what", "kind", "why", "at", "explained"),
    [
        ("the request that a killed worker had", "killed", "RemoteDisconnected", 10.2, True),
        ("one that began long after", "killed", "RemoteDisconnected", 12.0, False),
        ("one that waits for a stopped worker", "stopped", "TimeoutError", 14.0, True),
        ("one that a stopped worker cannot have cut off", "stopped", "ConnectionResetError", 14.0, False),
        ("one to which nobody listened, with one worker killed", "killed", "ConnectionRefusedError", 10.2, False),
        ("one to which nobody listened, with all killed", "instance", "ConnectionRefusedError", 10.2, True),
    ],
)
def test_a_failure_is_explained_by_what_was_done_to_its_process(what, kind, why, at, explained):
    """A request that failed otherwise, or at another time, than what we did can have made it fail, is a fault."""
    done = Disturbance(0, what, kind, began=10.0, ended=10.1 if kind == "killed" else 15.0)

    assert explained == done.explains(Failure(0, at, at + 0.1, why))
    assert not done.explains(Failure(1, at, at + 0.1, why))


def test_a_soak_sees_growth():
    """A process that gains a megabyte a minute, or a file now and then, is found; one that fills its arenas is not."""
    leaking = [{"rss_mb": 60 + second / 60, "fds": 20 + second // 60, "threads": 9} for second in range(1200)]
    steady = [{"rss_mb": 60 + min(second, 100) / 10, "fds": 20, "threads": 9} for second in range(1200)]

    assert growth(leaking)["rss_mb"] > GROWTH["rss_mb"]
    assert growth(leaking)["fds"] > GROWTH["fds"]
    assert {"rss_mb": 0, "fds": 0, "threads": 0} == growth(steady)
