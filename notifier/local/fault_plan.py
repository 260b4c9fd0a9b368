"""Faults of delivery by chance: with the same seed, messages published in the same order meet the same ones."""

import random
from dataclasses import dataclass, fields
from enum import StrEnum


# A reordered message is this late, so that those published within it overtake it.
REORDERED = 0.05


class PushFault(StrEnum):
    """What may go wrong with one push."""

    DOWN = "down"  # nobody listens
    DROP_BEFORE = "drop_before"  # the connection ends before the request
    DROP_AFTER = "drop_after"  # the connection ends after the request, before the answer
    LOSE_ANSWER = "lose_answer"  # the endpoint answers, and nobody hears it


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """How likely each fault is: 0.0 never, 1.0 always.

    Args:
        seed: decides, together with the names and ids that a fault is about.
        duplicate: a message comes a second time, under a new id.
        delay: a message comes late, by up to `longest` seconds.
        longest: of a delay.
        reorder: a message is overtaken by those published right after it.
        down: a push finds nobody.
        drop_before: its connection ends before the request.
        drop_after: its connection ends after the request.
        lose_answer: its answer is not heard.

    Raises:
        ValueError: a likelihood is not between 0 and 1, or `longest` is negative.
    """

    seed: int | str
    duplicate: float = 0.0
    delay: float = 0.0
    longest: float = 0.5
    reorder: float = 0.0
    down: float = 0.0
    drop_before: float = 0.0
    drop_after: float = 0.0
    lose_answer: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "seed" and not 0.0 <= value <= (1.0 if field.name != "longest" else value):
                raise ValueError(f"`{field.name}` is not a likelihood from 0 to 1, or negative seconds")

    def copies(self, message: str) -> int:
        """How many more times a message comes, under new ids."""
        return int(self._chance("duplicate", message).random() < self.duplicate)

    def late(self, message: str) -> float:
        """Seconds by which a message comes late."""
        chance = self._chance("delay", message)
        if chance.random() < self.delay:
            return chance.uniform(0.0, self.longest)
        return REORDERED if chance.random() < self.reorder else 0.0

    def push(self, subscription: str, message: str, attempt: int) -> PushFault | None:
        """What goes wrong with a push; None where nothing does."""
        drawn = self._chance(f"push/{subscription}/{attempt}", message).random()
        for fault in PushFault:
            drawn -= getattr(self, fault.value)
            if drawn < 0.0:
                return fault
        return None

    def _chance(self, what: str, message: str) -> random.Random:
        # One for each decision, so that threads cannot draw in another order.
        return random.Random(f"{self.seed}/{what}/{message}")  # noqa: S311 - chance, not a secret


def check_count(count: object) -> None:
    """See to it that so many can be.

    Raises:
        ValueError: it is not a number from 1 on.
    """
    if not isinstance(count, int) or count < 1:
        raise ValueError("not a number from 1 on")
