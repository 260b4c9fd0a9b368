"""Time paths beside their floors, in turn, so that whatever drifts on the machine hits both."""

import gc
import math
import re
import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple


#: Runs something once or often and says what one run took, in nanoseconds.
Call = Callable[[], float]

_UNROLLED: Final = 20


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a path may be from its floor: as a ratio of medians, or as a difference in the row's unit."""

    most: float
    of: Literal["ratio", "difference"] = "ratio"

    def __str__(self) -> str:
        return f"{self.most:g} x" if self.of == "ratio" else f"+{self.most:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One path beside its floor."""

    path: str
    floor: str
    median: float
    p99: float
    floor_median: float
    floor_p99: float
    rounds: int
    reach: Reach | None = None
    unit: str = "ns"

    @property
    def ratio(self) -> float:
        return self.median / self.floor_median if self.floor_median else math.inf

    @property
    def holds(self) -> bool | None:
        if self.reach is None:
            return None
        reached = self.ratio if self.reach.of == "ratio" else self.median - self.floor_median
        return reached <= self.reach.most


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is to be measured.

    Args:
        quick: hardly any rounds: does it still run?
        only: measure those comparisons alone whose two names together match this.
    """

    quick: bool = False
    only: re.Pattern[str] = field(default_factory=lambda: re.compile(""))

    def rounds(self, count: int) -> int:
        return min(count, 40 if count > 1000 else 3) if self.quick else count

    def wants(self, path: str, floor: str) -> bool:
        return self.only.search(f"{path} / {floor}") is not None


def once(work: Callable[[], object]) -> Call:
    """Time one call."""

    def call() -> float:
        start = time.perf_counter_ns()
        work()
        return time.perf_counter_ns() - start

    return call


def often(statement: str, *, times: int, **names: object) -> Call:
    """Time a statement that is too short for the clock: the mean of so many runs, its names being local variables."""
    timer = timeit.Timer(
        stmt=";".join([statement] * _UNROLLED),
        setup=";".join(f"{name} = given[{name!r}]" for name in names),
        timer=time.perf_counter_ns,
        globals={"given": names},
    )
    return lambda: timer.timeit(times // _UNROLLED) / times


class Pair(NamedTuple):
    """A path, what it stands beside, and how far it may be from it."""

    path: str
    floor: str
    reach: Reach | None = None


def compare(plan: Plan, calls: Mapping[str, Call], pairs: Iterable[Pair], *, rounds: int) -> list[Row]:
    """Run all calls in turn, `rounds` times after one for warmth, and put each path beside its floor."""
    wanted = [pair for pair in pairs if plan.wants(pair.path, pair.floor)]
    taken: dict[str, list[float]] = {
        name: [] for name in calls if any(name in {pair.path, pair.floor} for pair in wanted)
    }
    for name in taken:
        calls[name]()
    gc.collect()
    gc.disable()
    try:
        for _ in range(plan.rounds(rounds) if wanted else 0):
            for name, figures in taken.items():
                figures.append(calls[name]())
    finally:
        gc.enable()
    return [row(pair, taken[pair.path], taken[pair.floor]) for pair in wanted]


def row(pair: Pair, ours: list[float], floor: list[float], *, unit: str = "ns") -> Row:
    """Put what was taken of a path beside what was taken of its floor."""
    return Row(
        pair.path,
        pair.floor,
        statistics.median(ours),
        _p99(ours),
        statistics.median(floor),
        _p99(floor),
        len(ours),
        pair.reach,
        unit,
    )


def _p99(taken: list[float]) -> float:
    return sorted(taken)[math.ceil(0.99 * len(taken)) - 1]
