"""The values before the newest that a service still accepts: for signatures and tokens made just before a change.

Each counts for the declared time after its replacement, and never once its version is known to be unusable. Where the
time of a replacement is not known (a process that started after it and heard no event), it counts from the start: the
certain end of a value is the disabling of its version.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .knowledge import SECOND, Claim, Knowledge
from .secret import HeldValue


#: How many values before the newest are kept at most, however often it changes within the time.
_KEPT: Final = 3


@dataclass(frozen=True, slots=True)
class _Before:
    held: HeldValue[Any]
    until: int
    life: int


class Overlap:
    """Keep the values before the newest of one entry. Thread-safe; memory only.

    Args:
        seconds: how long each counts after its replacement; "until_disabled" for no such end.
        wall: nanoseconds since the epoch.
    """

    def __init__(self, seconds: float | str, wall: Callable[[], int]) -> None:
        self._nanoseconds = None if isinstance(seconds, str) else int(seconds * SECOND)
        self._wall = wall
        self._lock = threading.Lock()
        self._before: list[_Before] = []

    def is_over(self, successor: int, knowledge: Knowledge) -> bool:
        """Whether a value that version `successor` replaced does not count any more."""
        return self._end(successor, knowledge) <= self._wall()

    def add(self, held: HeldValue[Any], *, successor: int, knowledge: Knowledge) -> None:
        """Let a value count from now on, replaced by version `successor`."""
        before = _Before(held, self._end(successor, knowledge), knowledge.boundary.stamp)
        with self._lock:
            others = [other for other in self._before if other.held.version != held.version]
            self._before = sorted([before, *others], key=_by_version, reverse=True)[:_KEPT]

    def numbers(self) -> set[int]:
        """The versions kept."""
        return {before.held.version for before in self._before}

    def counting(self, newest: HeldValue[Any], knowledge: Knowledge) -> tuple[HeldValue[Any], ...]:
        """The newest and those before it that count now; the others are let go of."""
        if not self._before:
            return (newest,)
        now = self._wall()
        with self._lock:
            self._before = [before for before in self._before if before.until > now and _counts(before, knowledge)]
            found = tuple(before.held for before in self._before if before.held.version != newest.version)
        return newest, *found

    def after_fork(self) -> None:
        """In a forked child: a lock of its own."""
        self._lock = threading.Lock()

    def _end(self, successor: int, knowledge: Knowledge) -> int:
        if self._nanoseconds is None:
            return 1 << 63
        word, now = knowledge.word(successor), self._wall()
        announced = word is not None and word.claim is not Claim.READ and not word.unusable
        return (min(word.stamp, now) if word is not None and announced else now) + self._nanoseconds


def _by_version(before: _Before) -> int:
    return before.held.version


def _counts(before: _Before, knowledge: Knowledge) -> bool:
    # A secret that was deleted or created anew took its versions with it.
    word = knowledge.word(before.held.version)
    return before.life == knowledge.boundary.stamp and not (word is not None and word.unusable)
