"""How far news got: of several refreshes, and of several secrets, the worst counts."""

from collections.abc import Iterable
from enum import Enum
from typing import Final

from .entry import Rest, Verdict


class Spread(Enum):
    """How far an event got."""

    NOT_OURS = "not ours"
    KNOWN = "known"
    FIXED = "fixed"
    SETTLED = "settled"
    HELD_BACK = "held back"
    UNSETTLED = "unsettled"


#: Where a refresh may rest without anything being wrong.
_WELL: Final = frozenset({Verdict.SERVED, Verdict.WAITING})

#: From well to worse.
_WORST: Final = [Spread.SETTLED, Spread.HELD_BACK, Spread.UNSETTLED]


def worst(spreads: Iterable[Spread]) -> Spread:
    """Of several, what is answered; each is one of those that a refresh can have."""
    return max(spreads, key=_WORST.index)


def spread_of(rests: Iterable[Rest]) -> Spread:
    """What the refreshes of a secret's entries come to."""
    verdicts = list(rests)
    if any(may_mend(rest) for rest in verdicts):
        return Spread.UNSETTLED
    return Spread.SETTLED if all(rest.verdict in _WELL for rest in verdicts) else Spread.HELD_BACK


def may_mend(rest: Rest) -> bool:
    """Whether trying again within minutes may help."""
    return rest.verdict is Verdict.FAILED and rest.transient
