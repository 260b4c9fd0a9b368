"""The benchmarks run, so that they are there when somebody asks what a path costs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]


def bench(*arguments):
    ran = subprocess.run(
        [sys.executable, "benchmarks/run.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert "" == ran.stderr
    return ran.stdout


def test_groups_that_are_named_run_and_each_path_stands_beside_its_floor():
    """One object tells the machine and, for each path, its figures and those of its floor."""
    told = json.loads(bench("reading", "fencing", "pushing", "--quick", "--json"))

    assert {"python", "machine", "cpus"} == set(told["machine"])
    assert {"secret.value", "the check, nothing new", "a known push"} <= {row["path"] for row in told["rows"]}
    for row in told["rows"]:
        assert 0 < row["median"] <= row["p99"]
        assert 0 < row["floor_median"] <= row["floor_p99"]
        assert row["ratio"] == pytest.approx(row["median"] / row["floor_median"])


def test_the_table_names_no_place_on_the_machine():
    """The output can be pasted anywhere."""
    table = bench("reading", "--quick")

    assert ["path", "floor", "median", "p99", "floor's", "median", "floor's", "p99", "ratio"] == next(
        line.split() for line in table.splitlines() if line.startswith("path")
    )
    assert str(ROOT) not in table
    assert str(Path.home()) not in table
