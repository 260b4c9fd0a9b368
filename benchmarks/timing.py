"""Time paths beside their floors, in turn, so that whatever drifts on the machine hits both."""

import gc
import math
import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final


#: Runs something once or often and says what one run took, in nanoseconds.
Call = Callable[[], float]

#: Turns the number of rounds that a comparison asks for into the number that it gets.
Rounds = Callable[[int], int]

_UNROLLED: Final = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One path beside its floor, in nanoseconds."""

    path: str
    floor: str
    median: float
    p99: float
    floor_median: float
    floor_p99: float
    rounds: int

    @property
    def ratio(self) -> float:
        return self.median / self.floor_median


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


def compare(calls: Mapping[str, Call], pairs: Iterable[tuple[str, str]], *, rounds: int) -> list[Row]:
    """Run all calls in turn, `rounds` times after one for warmth, and put each path beside its floor."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                taken[name].append(call())
    finally:
        gc.enable()
    return [
        Row(
            path,
            floor,
            statistics.median(taken[path]),
            _p99(taken[path]),
            statistics.median(taken[floor]),
            _p99(taken[floor]),
            rounds,
        )
        for path, floor in pairs
    ]


def _p99(taken: list[float]) -> float:
    return sorted(taken)[math.ceil(0.99 * len(taken)) - 1]
