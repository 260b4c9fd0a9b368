"""All promises under every fault: the real package on simulated machines, one seed a schedule.

`tests/simulation/README.md` says what is simulated and how a schedule that fails is read and replayed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutations import MUTATIONS, QUICK
from tests.simulation.package import Copy
from tests.simulation.schedule import Failure, run, told


pytestmark = [pytest.mark.promise("nobody left behind"), pytest.mark.timeout(120)]

#: How many schedules are run: in every test run so many small ones and so many of any size, and in `make prove` more.
SMALL, LARGE, PROVEN = 1_200, 150, 100_000
#: In how many parts the many are, so that several workers of pytest's share them.
PARTS = 16

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def copy():
    copy = Copy()
    yield copy
    copy.forget()


@pytest.mark.parametrize("part", range(2))
def test_every_promise_holds_in_small_worlds(copy, part):
    """One instance, a worker or two, and a few things that happen: the corners of each mechanism."""
    for seed in range(part, SMALL, 2):
        run(copy, seed, small=True)


def test_every_promise_holds_in_worlds_of_any_size(copy):
    """Several instances of several workers, with all that may happen."""
    for seed in range(LARGE):
        run(copy, seed)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_holds_in_as_many_worlds_as_there_is_time_for(copy, part):
    """The same, at length: one schedule in five is of any size."""
    for seed in range(part, PROVEN, PARTS):
        run(copy, seed, small=seed % 5 > 0)


def caught(name, *, within):
    """Run a mutation until a promise is broken; returns the failure."""
    copy = Copy(MUTATIONS[name])
    try:
        for seed in range(within):
            run(copy, seed)
    except Failure as failure:
        return failure
    finally:
        copy.forget()
    return None


@pytest.mark.parametrize("name", QUICK)
def test_the_simulation_notices(name):
    """A fault in the real code breaks a promise within a few schedules, so a run without failures says something."""

    assert caught(name, within=60) is not None


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", MUTATIONS)
def test_the_simulation_notices_each(name):
    """The same for every fault on the list."""

    assert caught(name, within=4_000) is not None


def test_a_failure_tells_its_story():
    """What fails says its seed, its world, each event in order, and which promise was broken."""
    failure = caught("forgets a sibling", within=60)

    lines = str(failure).splitlines()
    assert lines[0].startswith("seed ")
    assert any("Secret Manager ADD 1 of life 1" in line for line in lines)
    assert lines[-1].startswith("=> Broken: ")


def test_a_seed_replays_exactly(copy):
    """The same seed tells the same story, also in another process with another order of its sets."""
    story = told(copy, 7)
    code = (
        "from tests.simulation.package import Copy\nfrom tests.simulation.schedule import told\nprint(told(Copy(), 7))"
    )

    again = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    ).stdout

    assert story == told(copy, 7)
    assert story == again.rstrip("\n")


def test_a_mutation_whose_place_has_moved_is_said():
    """Text that is not there once fails by name, so no mutation tests nothing for long."""
    copy = Copy([("step.py", "no such text", "")])

    with pytest.raises(LookupError, match="no such text"):
        _ = copy.cache
    copy.forget()
