"""A kind of world: what a seed may draw, narrowed by constraints; everything else is left to the seed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .settings import Settings


@dataclass(frozen=True)
class Where:
    """A kind of world.

    Args:
        settings: what some of its settings are; of a tuple one value is drawn.
        changes: what is done to the secret, each the name of a method of `Changes`; None for all that there is.
        faults: what happens to workers, likewise of `Faults`.
        times: how often something happens; None for one to ten times, or up to three in a small world.
        pauses: seconds that pass between two happenings at most, one is drawn each time; None for the usual ones.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    changes: Sequence[str] | None = None
    faults: Sequence[str] | None = None
    times: int | None = None
    pauses: Sequence[float] | None = None

    def narrow(self, found: Settings, rng: random.Random) -> Settings:
        """Make drawn settings those of this kind."""
        for name, value in self.settings.items():
            assert hasattr(found, name), name
            setattr(found, name, rng.choice(value) if isinstance(value, tuple) else value)
        return found


ANYWHERE = Where()
