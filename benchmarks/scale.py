"""How a fleet behaves at 100, 10,000 and 100,000 instances: the model and the simulation behind docs/scale.md.

    python benchmarks/scale.py        prints the tables of that page

Nothing is measured here: quotas and prices are Google's list, and time is simulated.
"""

import heapq
import random
from dataclasses import dataclass
from typing import Final


#: Google's quotas and prices, November 2026 [docs.cloud.google.com/secret-manager/quotas, /pricing; pubsub/pricing].
ACCESSES_A_MINUTE: Final = 90_000
SUBSCRIPTIONS_PER_TOPIC: Final = 10_000
TOPICS_PER_SECRET: Final = 10
DOLLARS_PER_ACCESS: Final = 0.03 / 10_000
DOLLARS_PER_BYTE: Final = 40 / 2**40
BYTES_PER_MESSAGE: Final = 1_000

#: What keyturn does: `receiver` has these numbers under the names beside them.
WORKERS: Final = 4
CALL: Final = 4.0  # worker.UPSTREAM
IN_CALL_FIRST: Final = 0.1  # secret_manager._RETRY_FIRST
IN_CALL_MOST: Final = 1.0  # secret_manager._RETRY_MOST
RETRY_FIRST: Final = 1.0  # live.RETRY_FIRST
RETRY_CAP: Final = 300.0  # live.RETRY_CAP
SPREAD_MOST: Final = 300.0  # hearing._SPREAD_MOST

SIZES: Final = (100, 10_000, 100_000)
ENTRIES: Final = 77
#: Seconds between publication and delivery: what a third party measured for regional secrets, drawn evenly.
DELIVERED_WITHIN: Final = 0.2
HOURS_A_MONTH: Final = 730


@dataclass(frozen=True)
class Rotation:
    """What one rotation of one secret came to."""

    instances: int
    spread: float
    half: float
    last: float
    refused: int


def rotate(instances: int, *, spread: float, seed: int = 1) -> Rotation:
    """Simulate one rotation: each instance hears of it, waits its share of the spread, and fetches once per worker.

    The quota is one bucket a minute for the project. Who is refused tries again within its call (4 s), and then with
    full jitter, doubling from a second to five minutes, as `receiver` does.

    Args:
        instances: how many.
        spread: seconds over which they spread what they fetch.
        seed: decides the chances.
    """
    rng = random.Random(seed)
    used: dict[int, int] = {}
    events = [(rng.random() * (DELIVERED_WITHIN + spread), number, 0) for number in range(instances)]
    heapq.heapify(events)
    done: list[float] = []
    refused = 0
    while events:
        now, number, failures = heapq.heappop(events)
        until, pause = now + CALL, IN_CALL_FIRST
        while now < until:
            minute = int(now // 60)
            if used.get(minute, 0) + WORKERS <= ACCESSES_A_MINUTE:
                used[minute] = used.get(minute, 0) + WORKERS
                done.append(now)
                break
            refused += WORKERS
            now += pause * rng.uniform(0.5, 1.0)
            pause = min(IN_CALL_MOST, pause * 2)
        else:
            limit = min(RETRY_CAP, RETRY_FIRST * 2 ** min(failures, 16))
            heapq.heappush(events, (now + limit * rng.random(), number, failures + 1))
    done.sort()
    return Rotation(instances, spread, done[len(done) // 2], done[-1], refused)


def rotations(sizes: tuple[int, ...] = SIZES) -> list[str]:
    """The table of rotations, one line each."""
    lines = [
        "| instances | spread | fetches | half serve it after | all | fetches refused |",
        "|---|---|---|---|---|---|",
    ]
    for instances in sizes:
        for spread in (0.0, 60.0, SPREAD_MOST):
            if spread and instances * WORKERS < ACCESSES_A_MINUTE / 10:
                continue
            found = rotate(instances, spread=spread)
            lines.append(
                f"| {instances:,} | {spread:g} s | {instances * WORKERS:,} | {found.half:.1f} s | {found.last:.1f} s "
                f"| {found.refused:,} |"
            )
    return lines


def standing() -> list[str]:
    """The table of what a fleet costs and takes of its quotas, one line per quantity."""
    lines = ["| | " + " | ".join(f"{n:,}" for n in SIZES) + " |", "|---|" + "---|" * len(SIZES)]

    def row(what: str, *cells: str) -> None:
        lines.append(f"| {what} | {' | '.join(cells)} |")

    row("subscriptions on the topic, of 10,000", *[f"{n:,} ({n / SUBSCRIPTIONS_PER_TOPIC:.0%})" for n in SIZES])
    row("topics needed, of 10 per secret", *[str(-(-n // (SUBSCRIPTIONS_PER_TOPIC * 9 // 10))) for n in SIZES])
    row("accesses of a rotation", *[f"{n * WORKERS:,}" for n in SIZES])
    row("of the quota of a minute", *[f"{n * WORKERS / ACCESSES_A_MINUTE:.1%}" for n in SIZES])
    row("accesses of a rotation, $", *[f"{n * WORKERS * DOLLARS_PER_ACCESS:.4f}" for n in SIZES])
    row("its deliveries, $", *[f"{n * BYTES_PER_MESSAGE * DOLLARS_PER_BYTE:.6f}" for n in SIZES])
    reads = [2 * ENTRIES * n for n in SIZES]
    row("accesses of the safety read, an hour", *[f"{found:,}" for found in reads])
    row("of the quota", *[f"{found / 60 / ACCESSES_A_MINUTE:.1%}" for found in reads])
    row("the safety read, $ a month", *[f"{found * HOURS_A_MONTH * DOLLARS_PER_ACCESS:,.0f}" for found in reads])
    starts = [2 * ENTRIES * WORKERS * n for n in SIZES]
    row("accesses of a deployment", *[f"{found:,}" for found in starts])
    row("minutes that it must take for the quota", *[f"{found / ACCESSES_A_MINUTE:,.1f}" for found in starts])
    row("a deployment, $", *[f"{found * DOLLARS_PER_ACCESS:,.2f}" for found in starts])
    row("marks of life on subscriptions, a minute", *[f"{n / 60:,.1f}" for n in SIZES])
    return lines


def main() -> None:
    """Print the tables."""
    print("\n".join([*rotations(), "", *standing()]))


if __name__ == "__main__":
    main()
