"""What happens in a chaos run, and when: a seed gives the same schedule each time. Pure."""

import random
from dataclasses import dataclass


SECRETS = ("API_KEY", "OTHER_KEY")

#: What can happen, and how often beside the others.
FAULTS = {
    "kill_worker": 4,
    "kill_leader": 3,
    "stop_worker": 3,
    "stop_leader": 3,
    "kill_instance": 2,
    "stop_instance": 1,
    "restart_cloud": 1,
    "duplicate": 2,
    "delay": 2,
    "errors": 2,
    "hang": 2,
    "fill": 1,
}
CHANGES = {"rotate": 8, "disable": 2, "recreate": 1}


@dataclass(frozen=True, order=True)
class Act:
    """Something that is done.

    Args:
        at: seconds from the beginning of the round.
        what: one of `FAULTS` or `CHANGES`.
        whom: the instance, or the secret.
        seconds: how long it lasts, where it lasts.
        chance: picks among what is there at that moment, from 0 to 1.
    """

    at: float
    what: str
    whom: int
    seconds: float
    chance: float

    def __str__(self) -> str:
        return f"{self.at:6.2f} s  {self.what} {self.whom} for {self.seconds:.1f} s ({self.chance:.3f})"


def rounds(seed: int, *, count: int, seconds: float, instances: int, density: float = 1.0) -> list[list[Act]]:
    """Plan rounds; between two of them nothing happens.

    Args:
        seed: of the whole run.
        count: how many.
        seconds: how long each lasts.
        instances: how many there are.
        density: about how many faults and how many changes happen each second.
    """
    choose = random.Random(seed)

    def acts(table: dict[str, int], among: int) -> list[Act]:
        return [
            Act(
                at=round(choose.uniform(0, seconds), 3),
                what=choose.choices(list(table), list(table.values()))[0],
                whom=choose.randrange(among),
                seconds=round(choose.uniform(0.5, min(6.0, seconds / 2)), 2),
                chance=round(choose.random(), 3),
            )
            for _ in range(max(1, round(seconds * density)))
        ]

    return [sorted(acts(FAULTS, instances) + acts(CHANGES, len(SECRETS))) for _ in range(count)]
