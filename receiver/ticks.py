"""Tell from ticks that a process was not running: stopped, frozen, or without CPU. Pure.

A gap between requests tells nothing, since a service may be idle with its timers running. A gap between ticks does:
something ticks each second for as long as the process gets CPU.
"""

from dataclasses import dataclass
from typing import Final

from .knowledge import SECOND


#: Seconds between two ticks.
TICK: Final = 1.0
#: Seconds without a tick after which a process counts as having slept.
ASLEEP: Final = 30.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A reading of both clocks: a sandbox that is frozen may stop either.

    Args:
        monotonic: seconds.
        wall: nanoseconds since the epoch.
    """

    monotonic: float
    wall: int

    def since(self, before: "Moment") -> float:
        """Seconds from `before` to this moment, by the clock that says more."""
        return max(self.monotonic - before.monotonic, (self.wall - before.wall) / SECOND)


def slept(last_tick: Moment, now: Moment) -> bool:
    """Whether nothing ran between the last tick and now."""
    return now.since(last_tick) >= ASLEEP


def heard_nothing_since(last_tick: Moment, now: Moment) -> float:
    """From which monotonic second on a process that slept has missed what happened.

    Args:
        last_tick: the last sign that it ran.
        now: when it noticed.
    """
    # It may have run for most of a second after its last tick; where the monotonic clock stood still, for less.
    return min(last_tick.monotonic + TICK, max(last_tick.monotonic, now.monotonic - ASLEEP))
