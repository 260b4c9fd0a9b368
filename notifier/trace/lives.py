"""Which life of a secret a word is of: one that was made anew counts its versions from 1 again. Pure.

What is done to a secret has Google's time and tells lives apart to the moment. What a worker says has its own clock's,
so near the beginning of a life it is believed a minute later only; that is careful, and a secret is seldom made anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .acts import ADD, DELETED, Act
from .times import MINUTE, SECOND


#: Adds that overlap may be stamped in another order than that of their numbers, but not by so much.
_OVERLAP: Final = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Life:
    """The present life of a secret.

    Args:
        began: the moment after which it began, in nanoseconds; 0 where no entry shows an earlier life.
        newest: the newest add of it; None where no entry shows one.
    """

    began: int
    newest: Act | None

    def has(self, version: int, at: int) -> bool:
        """Whether who said at a moment of its own clock that it serves a version can have meant one of this life."""
        added = self.newest
        if not self.began:
            return added is None or version <= added.version or at >= added.at - MINUTE
        return at > self.began + MINUTE and (added is None or version <= added.version)

    def had(self, version: int, at: int) -> bool:
        """Whether an event of Google's time can have told of a version of this life."""
        added = self.newest
        return at > self.began and (added is None or version <= added.version or at >= added.at - _OVERLAP)


def present(acts: Iterable[Act]) -> Life:
    """The life that a secret is in, by what was done to it, oldest first.

    A secret that expires leaves no entry of that, only an add whose number there was already.
    """
    began, highest, newest = 0, 0, None
    for act in acts:
        if act.method == DELETED:
            began, highest, newest = act.at, 0, None
        elif act.method == ADD:
            if newest is not None and act.version <= highest and act.at > newest.at + _OVERLAP:
                began, highest = act.at - 1, 0
            highest, newest = max(highest, act.version), act
    return Life(began, newest)
