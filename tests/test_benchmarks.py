"""The benchmarks run, so that they are there when somebody asks what a path costs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]

# Runs of a program that imports all there is: slow where the machine is busy.
pytestmark = pytest.mark.timeout(60)


def bench(*arguments):
    ran = subprocess.run(
        [sys.executable, "benchmarks/run.py", *arguments],
        cwd=ROOT,
        # Errors alone: gRPC tells of itself that a server which has ended closed its connections.
        env={**os.environ, "PYTHONWARNINGS": "error", "GRPC_VERBOSITY": "ERROR"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "" == ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The table and the results of a run of some groups."""
    results = tmp_path_factory.mktemp("bench") / "made" / "results.json"
    table = bench("reading", "fencing", "pushing", "--quick", "--results", str(results))
    return table, json.loads(results.read_text())


def test_groups_that_are_named_run_and_each_path_stands_beside_its_floor(ran):
    """The results are a list that tells for each path its figures, those of its floor, and whether the reach holds."""
    _, told = ran
    names = {row["name"] for row in told}
    assert {"secret.value / a slotted attribute", "the check, nothing new / an empty call"} <= names
    assert {"name", "ours", "beside", "ratio", "reach", "holds", "unit"} <= set(told[0])
    for row in told:
        assert 0 < row["ours"] <= row["ours_p99"]
        assert 0 < row["beside"] <= row["beside_p99"]
        assert row["ratio"] == pytest.approx(row["ours"] / row["beside"])
        assert (row["reach"] is None) == (row["holds"] is None)


def test_some_can_be_chosen(tmp_path):
    """A regular expression picks comparisons by their names, in all groups."""
    table = bench("--only", "^secret.value / a dict$", "--quick", "--results", str(tmp_path / "results.json"))

    assert ["secret.value / a dict"] == [row["name"] for row in json.loads((tmp_path / "results.json").read_text())]
    assert 3 == len(table.splitlines())


def test_the_table_names_no_place_on_the_machine(ran):
    """The output can be pasted anywhere."""
    table, _ = ran
    heads = next(line for line in table.splitlines() if line.startswith("path"))
    assert ["path", "beside", "median", "p99", "its median", "its p99", "ratio", "reach", "holds"] == re.split(
        r" {2,}", heads.strip()
    )
    assert str(ROOT) not in table
    assert str(Path.home()) not in table


def test_every_group_is_run():
    """What can be measured is measured where nothing is named, and once."""
    listed = re.search(
        r"^GROUPS: Final = \((.*?)^\)", (ROOT / "benchmarks" / "run.py").read_text(), re.DOTALL | re.MULTILINE
    )
    written = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\ndef rows(" in path.read_text()}

    assert sorted(written) == sorted(re.findall(r'"(\w+)"', listed[1]))
