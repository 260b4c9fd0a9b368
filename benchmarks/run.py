"""Measure what each path costs beside its floor: `python benchmarks/run.py [GROUP ...] [--json] [--quick]`."""

import argparse
import importlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from timing import Row


GROUPS: Final = ("reading", "fencing", "pushing", "rotating", "starting")
_HEADINGS: Final = ("path", "floor", "median", "p99", "floor's median", "floor's p99", "ratio")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure what each path costs beside its floor.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all where none is named")
    parser.add_argument("--json", action="store_true", help="one object, in nanoseconds")
    parser.add_argument("--quick", action="store_true", help="hardly any rounds: does it still run?")
    given = parser.parse_args(arguments)
    if unknown := set(given.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    if not given.json:
        print(", ".join(f"{name} {fact}" for name, fact in machine.items()), flush=True)
    rows = [row for name in given.groups or GROUPS for row in _rows(name, quick=given.quick)]
    if given.json:
        print(json.dumps({"machine": machine, "rows": [{**asdict(row), "ratio": row.ratio} for row in rows]}))
    else:
        print(table(rows))


def _rows(name: str, *, quick: bool) -> list[Row]:
    found: list[Row] = importlib.import_module(name).rows(
        lambda count: min(count, 40 if count > 1000 else 3) if quick else count
    )
    return found


def table(rows: Sequence[Row]) -> str:
    lines = [_HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    times = (row.median, row.p99, row.floor_median, row.floor_p99)
    return (row.path, row.floor, *map(_time, times), f"{row.ratio:.2f}")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    # The two names to the left, the figures to the right.
    return "  ".join(
        cell.ljust(width) if place < 2 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def _time(nanoseconds: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


if __name__ == "__main__":
    main()
