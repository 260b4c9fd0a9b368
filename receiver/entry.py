"""The state of one entry's refresh, what can happen to it, and what it can ask for: data only.

`receiver.step` holds the transitions and the theory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from .knowledge import LATEST, SECOND, Knowledge, Pin, Word


#: Clocks of two machines may differ by this; a fetch within it of a boundary is not taken as later than it.
SKEW: Final = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Held:
    """What is being served, and how to tell which life of the secret it is from.

    Args:
        number: the version's number.
        fetched: wall time in nanoseconds at which its fetch began.
        life: the stamp of the boundary known then.
    """

    number: int
    fetched: int
    life: int


@dataclass(frozen=True, slots=True)
class Climb:
    """A search for the highest number: `low` exists, `high` does not (0: no such number found yet)."""

    base: int
    low: int
    step: int = 1
    high: int = 0

    @property
    def probe(self) -> int:
        """The number to ask for next."""
        return (self.low + self.high) // 2 if self.high else self.low + self.step

    @property
    def done(self) -> bool:
        """Whether `low` is the top."""
        return self.high == self.low + 1

    def after(self, *, exists: bool) -> "Climb":
        """Narrow the search by the answer to `probe`."""
        if not exists:
            return replace(self, high=self.probe)
        # One version behind is the rule, so the first find is followed by its neighbour; only then it doubles.
        step = self.step if self.high or self.low == self.base else self.step * 2
        return replace(self, low=self.probe, step=step)


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something that looks like a re-created secret whose creation nobody announced: a low number, added late."""

    number: int
    stamp: int  # of the ADD that raised it; 0 where a read did


class Verdict(Enum):
    """Where a refresh came to rest. Everything but SERVED leaves the last good value in place."""

    SERVED = "served"
    WAITING = "waiting"
    NONE_USABLE = "none_usable"
    HELD_BACK = "held_back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Access:
    """Ask Secret Manager for something.

    Args:
        version: "latest", an alias or a number.
        life: the stamp of the boundary known when it is asked.
        pause: seconds to wait before.
        suspect: what the answer is to confirm or to refute.
        known: the word on that number when it is asked; a refusal refutes this one and none that came meanwhile.
        probe: whether a climb asks; nobody has said that the number is there, and it may be added any moment.
    """

    version: str
    life: int
    pause: float = 0.0
    suspect: Suspect | None = None
    known: Word | None = None
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Adopt:
    """Check and swap in the payload of `held.number`, which an `Access` of this refresh brought."""

    held: Held


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing more to do for now.

    Args:
        verdict: where it stands.
        transient: for FAILED, whether trying again within minutes may help.
    """

    verdict: Verdict
    transient: bool = False


Effect = Access | Adopt | Rest


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody learned something: an event, the board, a sibling."""

    news: Knowledge


@dataclass(frozen=True, slots=True)
class Asked:
    """A new refresh begins: what failed or was rejected before may be tried again.

    Args:
        read: read the pin upstream first (start, wake, safety read), then climb.
        climb: look for a higher number alone, which costs one access where there is none; an alias is read.
        settle: take a lower version where one that was said to be enabled is refused: there is nothing else to serve.
    """

    read: bool = False
    climb: bool = False
    settle: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """`access` brought a payload.

    Args:
        access: what was asked.
        number: the number of the version that was given.
        began: wall time at which it began, in nanoseconds.
        differs: the number is the one held, and the payload is not: since versions never change, the secret was
            re-created.
    """

    access: Access
    number: int
    began: int
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """`access` was answered NOT_FOUND."""

    access: Access


@dataclass(frozen=True, slots=True)
class Refused:
    """`access` was refused because of the version's state; `began` as in `Found`."""

    access: Access
    began: int
    destroyed: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The access failed in a way that says nothing about the version."""

    transient: bool


@dataclass(frozen=True, slots=True)
class Adopted:
    """What `Adopt` named passed its checks and is being served."""

    held: Held


@dataclass(frozen=True, slots=True)
class Rejected:
    """The payload of `number` does not parse; it never becomes current."""

    number: int


Input = Told | Asked | Found | Missing | Refused | Failed | Adopted | Rejected


class Entry(NamedTuple):
    """The state of one entry: what it follows, knows and holds, and how far its refresh has come.

    A tuple, not a data class: a push makes it anew eight times, which as a tuple takes a tenth of the time.
    """

    pin: Pin = LATEST
    static: bool = False
    knowledge: Knowledge = Knowledge()
    held: Held | None = None

    read_due: bool = False
    climb_due: bool = False
    climb: Climb | None = None
    climbed: bool = False
    suspect: Suspect | None = None
    in_hand: Mapping[int, Held] = MappingProxyType({})
    tries: int = 0
    enable_retries: int = 0
    rejected: frozenset[int] = frozenset()
    failure: Failed | None = None
    settles: bool = False  # `Asked.settle`
    owed: bool = False  # a search for newer versions, which a failure has ended

    @property
    def current(self) -> bool:
        """Whether what is held is of the secret's present life."""
        boundary = self.knowledge.boundary.stamp
        return self.held is not None and (self.held.life >= boundary or self.held.fetched > boundary + SKEW)

    @property
    def behind(self) -> bool:
        """Whether knowledge alone says that something else should be served, or may be. Static entries never are."""
        wanted = self.knowledge.wanted(self.pin)
        if self.held is None:  # nothing was usable, so reads raise: until something is
            return wanted is not None
        if self.static:
            return False
        if self.suspect is not None:  # of the number held, there may be another value now
            return True
        if wanted is None:
            return self.knowledge.word(self.held.number) is not None or not self.knowledge.exists
        return wanted != self.held.number or not self.current
