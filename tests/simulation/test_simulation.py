"""All promises under every fault: the real package on simulated machines, one seed a schedule.

`tests/simulation/README.md` says what is simulated and how a schedule that fails is read and replayed.
"""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.directed import where_of
from tests.simulation.mutations import ALL, QUICK
from tests.simulation.package import RECEIVER, Copy
from tests.simulation.schedule import Failure, run, told


pytestmark = [pytest.mark.promise("nobody left behind"), pytest.mark.timeout(120)]

#: How many schedules are run: in every test run so many small ones and so many of any size, and in `make prove` more.
SMALL, LARGE, PROVEN = 800, 100, 100_000
#: In how many parts they are run, so that several workers of pytest's share them.
FEW, PARTS = 5, 16
#: Within how many schedules, of the kind of world in which it shows, each fault is noticed.
WITHIN = 1_000

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def collecting():
    """Schedules switch Python's collector off."""
    yield
    gc.enable()


@pytest.fixture(scope="module")
def copy():
    copy = Copy()
    yield copy
    copy.forget()


@pytest.mark.parametrize("part", range(FEW))
def test_every_promise_holds_in_small_worlds(copy, part):
    """One instance, a worker or two, and a few things that happen: the corners of each mechanism."""
    for seed in range(part, SMALL, FEW):
        run(copy, seed, small=True)


@pytest.mark.parametrize("part", range(FEW))
def test_every_promise_holds_in_worlds_of_any_size(copy, part):
    """Several instances of several workers, with all that may happen."""
    for seed in range(part, LARGE, FEW):
        run(copy, seed)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_holds_in_as_many_worlds_as_there_is_time_for(copy, part):
    """The same, at length: one schedule in five is of any size."""
    for seed in range(part, PROVEN, PARTS):
        run(copy, seed, small=seed % 5 > 0)


def caught(name, copy, *, within):
    """Run a mutation, in the kind of world in which it shows, until a promise is broken; returns the failure.

    In the same schedule the code as it is, `copy`, must break none.
    """
    mutated, where = Copy(ALL[name]), where_of(name)
    try:
        for seed in range(within):
            run(mutated, seed, where=where)
    except Failure as failure:
        run(copy, seed, where=where)
        return failure
    finally:
        mutated.forget()
    return None


@pytest.mark.parametrize("name", QUICK)
def test_the_simulation_notices(copy, name):
    """A fault in the real code breaks a promise within a few schedules, so a run without failures says something."""

    assert "\n=> Broken: " in str(caught(name, copy, within=60))


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", ALL)
def test_the_simulation_notices_each(copy, name):
    """The same for every fault on the list."""

    assert "\n=> Broken: " in str(caught(name, copy, within=WITHIN))  # a promise, and not what the fault calls


def test_a_failure_tells_its_story(copy):
    """What fails says its seed, its world, each event in order, and which promise was broken."""
    failure = caught("forgets a sibling", copy, within=60)

    lines = str(failure).splitlines()
    assert lines[0].startswith("seed ")
    assert any("Secret Manager ADD 1 of life 1" in line for line in lines)
    assert lines[-1].startswith("=> Broken: ")


def test_a_seed_replays_exactly(copy):
    """The same seed tells the same story, whatever ran before it, also in a process with another order of its sets."""
    seeds = range(16)
    stories = [told(copy, seed, small=True) for seed in seeds]
    code = (
        "from tests.simulation.package import Copy\nfrom tests.simulation.schedule import told\n"
        "copy = Copy()\nprint(*[told(copy, seed, small=True) for seed in range(16)], sep='\\n')"
    )

    again = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    ).stdout

    assert stories == list(reversed([told(copy, seed, small=True) for seed in reversed(seeds)]))
    assert "\n".join(stories) == again.rstrip("\n")


def test_a_mutation_whose_place_has_moved_is_said():
    """Text that is not there once fails by name, so no mutation tests nothing for long."""
    copy = Copy([("step.py", "no such text", "")])

    with pytest.raises(LookupError, match="no such text"):
        _ = copy.cache
    copy.forget()


def test_every_mutation_has_its_place():
    """Whoever moves the code that one changes hears of it in every test run, and not in `make prove` alone."""
    for name, changes in ALL.items():
        sources: dict[str, str] = {}
        for file, old, new in changes:
            source = sources.get(file) or (RECEIVER / file).read_text()
            assert (name, 1) == (name, source.count(old))
            sources[file] = source.replace(old, new)
