"""Measure what each path costs beside its floor: `python benchmarks/run.py [GROUP ...] [--only REGEX] [--quick]`.

It judges nobody: the exit status says whether it ran, the table and `.bench/results.json` what was found.
"""

import argparse
import importlib
import json
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from timing import Plan, Row


# One a line, so that two who add one keep both.
GROUPS: Final = (
    "reading",
    "fencing",
    "pushing",
    "serving",
    "rotating",
    "fleet",
    "starting",
    "weighing",
    "observing",
    "local",
    "binding",
    "emulated",
)
_HEADINGS: Final = ("path", "beside", "median", "p99", "its median", "its p99", "ratio", "reach", "holds")
_RESULTS: Final = Path(".bench/results.json")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure what each path costs beside its floor.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all where none is named")
    parser.add_argument("--only", type=_pattern, default=re.compile(""), help="a regular expression for the two names")
    parser.add_argument("--quick", action="store_true", help="hardly any rounds: does it still run?")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="where the figures are written")
    given = parser.parse_args(arguments)
    if unknown := set(given.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    print(f"python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cpus", flush=True)
    plan = Plan(quick=given.quick, only=given.only)
    rows = [row for name in given.groups or GROUPS for row in importlib.import_module(name).rows(plan)]
    print(table(rows))
    given.results.parent.mkdir(parents=True, exist_ok=True)
    given.results.write_text(json.dumps([result(row) for row in rows], indent=1) + "\n")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as exc:
        raise argparse.ArgumentTypeError(f"not a regular expression: {exc}") from exc


def result(row: Row) -> dict[str, Any]:
    """One row as it is written: medians with their unit, and whether the reach holds."""
    return {
        "name": f"{row.path} / {row.floor}",
        "ours": row.median,
        "beside": row.floor_median,
        "ratio": row.ratio if row.floor_median else None,
        "reach": str(row.reach) if row.reach else None,
        "holds": row.holds,
        "unit": row.unit,
        "ours_p99": row.p99,
        "beside_p99": row.floor_p99,
        "rounds": row.rounds,
    }


def table(rows: Sequence[Row]) -> str:
    lines = [_HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths).rstrip() for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    shown = [_figure(value, row.unit) for value in (row.median, row.p99, row.floor_median, row.floor_p99)]
    reach = "" if row.reach is None else str(row.reach)
    if row.reach is not None and row.reach.of == "difference":
        reach = f"+{_figure(row.reach.most, row.unit)}"
    holds = {None: "", True: "yes", False: "NO"}[row.holds]
    return (row.path, row.floor, *shown, f"{row.ratio:.2f}", reach, holds)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    # The two names to the left, the figures to the right.
    return "  ".join(
        cell.ljust(width) if place < 2 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def _figure(value: float, unit: str) -> str:
    if unit != "ns":
        return f"{value:.3g} {unit}".rstrip()
    for name, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} ns"


if __name__ == "__main__":
    main()
