"""What a process knows of a secret, and what follows from it: pure values, no clock, lock or I/O.

Events arrive late, twice and in any order, and reads may lag for hours, so nothing here depends on arrival. For each
secret there is a product of *registers*, each of which only ever grows:

- per version number, the newest word on it: when, usable or not, and who said so;
- per version number, its newest destruction;
- per alias, the newest number it was said to point at, and the stamp of the newest complete alias map;
- the newest boundary: the creation or deletion of the secret, where version numbers start again at 1.

A merge takes the larger of each register and voids nothing, so it is commutative, associative and idempotent by
construction. Voiding happens when reading: what is not newer than the boundary does not count. `wanted` then is a
function of knowledge and pin alone, and two processes that have heard the same things want the same version.

Stamps are nanoseconds since the epoch. What a process is told by an event carries the event's own time; what it reads
for itself is stamped the consistency window before the read began, because Google lets every read but "access by
number after an add" lag for hours [docs.cloud.google.com/secret-manager, "Data consistency"].
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple, Self, TypeVar


SECOND: Final = 1_000_000_000

#: Google says of eventually consistent operations that they "typically converge within minutes, but may take a few
#: hours"; a read is trusted over an event only when it is younger by more than this.
CONSISTENCY_WINDOW: Final = 6 * 3600 * SECOND

#: How many version numbers are remembered: the highest ones, and as many of those last spoken of (after a
#: re-creation the living numbers are the low ones). Both cuts are stable under merging.
REMEMBERED: Final = 32


class Claim(IntEnum):
    """Who says that a version is usable; of equally old words the later one here counts."""

    READ = 0
    ADDED = 1
    ENABLED = 2


class Word(NamedTuple):
    """The newest word on a version. Compared as a tuple: later first, then "unusable" wins, then the claim."""

    stamp: int
    unusable: bool
    claim: Claim = Claim.READ


class Boundary(NamedTuple):
    """The newest creation or deletion of a secret. Compared as a tuple, so a tie goes to the creation."""

    stamp: int
    created: bool


class AliasWord(NamedTuple):
    """The newest number that an alias was said to point at."""

    stamp: int
    number: int


NEVER: Final = Boundary(0, created=True)

Pin = str | int
"""What an entry follows: "latest", an alias, or one fixed number."""

LATEST: Final = "latest"


_K = TypeVar("_K")
_V = TypeVar("_V", int, Word, AliasWord)


def _larger(left: Mapping[_K, _V], right: Mapping[_K, _V]) -> dict[_K, _V]:
    merged = dict(left)
    for key, value in right.items():
        mine = merged.get(key)
        if mine is None or value > mine:
            merged[key] = value
    return merged


def _is_larger(left: Mapping[_K, _V], right: Mapping[_K, _V]) -> bool:
    return any(key not in right or value > right[key] for key, value in left.items())


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of one secret. Immutable; `merge` makes new ones.

    Args:
        words: the newest word per version number.
        destroyed: the stamp of the newest destruction per version number.
        aliases: the newest word per alias.
        alias_map: the stamp of the newest complete alias map; an alias with an older word is not set any more.
        boundary: the newest creation or deletion.
    """

    words: Mapping[int, Word] = field(default_factory=dict)
    destroyed: Mapping[int, int] = field(default_factory=dict)
    aliases: Mapping[str, AliasWord] = field(default_factory=dict)
    alias_map: int = 0
    boundary: Boundary = NEVER

    @classmethod
    def version(cls, number: int, stamp: int, *, usable: bool, claim: Claim = Claim.READ) -> Self:
        """One word on one version."""
        return cls(words={number: Word(stamp, not usable, claim if usable else Claim.READ)})

    @classmethod
    def destruction(cls, number: int, stamp: int) -> Self:
        """A version was destroyed, which nothing in this life of the secret undoes."""
        return cls(words={number: Word(stamp, unusable=True)}, destroyed={number: stamp})

    @classmethod
    def alias(cls, alias: str, number: int, stamp: int) -> Self:
        """One alias was seen to point at `number`."""
        return cls(aliases={alias: AliasWord(stamp, number)})

    @classmethod
    def whole_alias_map(cls, aliases: Mapping[str, int], stamp: int) -> Self:
        """The complete alias map at `stamp`: whoever is not in it is not set."""
        return cls(aliases={a: AliasWord(stamp, n) for a, n in aliases.items()}, alias_map=stamp)

    @classmethod
    def born(cls, stamp: int) -> Self:
        """The secret was created: version numbers start at 1 again."""
        return cls(boundary=Boundary(stamp, created=True))

    @classmethod
    def deleted(cls, stamp: int) -> Self:
        """The secret was deleted, with all its versions."""
        return cls(boundary=Boundary(stamp, created=False))

    def merge(self, other: "Knowledge") -> "Knowledge":
        """Take the larger of each register; returns `self` where `other` says nothing new."""
        if not self.lacks(other):  # as a rule: each piece of news comes to an entry by several paths
            return self
        words, destroyed = _larger(self.words, other.words), _larger(self.destroyed, other.destroyed)
        numbers = words.keys() | destroyed.keys()
        if len(numbers) > REMEMBERED:
            kept = _remembered(words, destroyed)
            words = {n: w for n, w in words.items() if n in kept}
            destroyed = {n: s for n, s in destroyed.items() if n in kept}
        merged = Knowledge(
            words=words,
            destroyed=destroyed,
            aliases=_larger(self.aliases, other.aliases),
            alias_map=max(self.alias_map, other.alias_map),
            boundary=max(self.boundary, other.boundary),
        )
        return self if merged == self else merged

    def lacks(self, other: "Knowledge") -> bool:
        """Whether `other` says something new; a number that is no longer remembered is new each time."""
        return (
            other.boundary > self.boundary
            or other.alias_map > self.alias_map
            or _is_larger(other.words, self.words)
            or _is_larger(other.destroyed, self.destroyed)
            or _is_larger(other.aliases, self.aliases)
        )

    def word(self, number: int) -> Word | None:
        """The word on `number` in the secret's present life; None where there is none."""
        word, destroyed = self.words.get(number), self.destroyed.get(number, 0)
        added_since = word is not None and word.claim is Claim.ADDED and word.stamp > destroyed
        if destroyed > self.boundary.stamp and not added_since:  # a number is added twice in two lives only
            return Word(max(destroyed, word.stamp if word else 0), unusable=True)
        return word if word is not None and word.stamp > self.boundary.stamp else None

    def alive(self) -> dict[int, Word]:
        """The words that count in the secret's present life."""
        if not self.destroyed:  # as a rule
            return {n: word for n, word in self.words.items() if word.stamp > self.boundary.stamp}
        found = {n: self.word(n) for n in self.words.keys() | self.destroyed.keys()}
        return {n: word for n, word in found.items() if word is not None}

    @property
    def exists(self) -> bool:
        """Whether the secret is there as far as is known: created last, or spoken of since its deletion."""
        end = self.boundary.stamp
        spoken = self.alias_map > end or any(word.stamp > end for word in self.aliases.values())
        return self.boundary.created or spoken or bool(self.alive())

    def highest(self) -> int:
        """The highest number known in the secret's present life, usable or not; 0 where there is none."""
        return max(self.alive(), default=0)

    def alias_target(self, alias: str) -> int | None:
        """The number that `alias` points at, None where it is not known or not set."""
        word = self.aliases.get(alias)
        current = word is not None and word.stamp >= self.alias_map and word.stamp > self.boundary.stamp
        return word.number if word is not None and current else None

    def wanted(self, pin: Pin) -> int | None:
        """The number that an entry with `pin` should serve; None where no usable version is known.

        The highest usable number for "latest", the alias's number unless it is known to be unusable, a fixed number
        unless it is known to be unusable or the secret is deleted.
        """
        if pin == LATEST:
            return max((n for n, word in self.alive().items() if not word.unusable), default=None)
        number = pin if isinstance(pin, int) else self.alias_target(pin)
        if number is None:
            return None
        word = self.word(number)
        if word is None:
            return number if self.exists else None
        return None if word.unusable else number

    def to_wire(self) -> dict[str, object]:
        """A JSON object for the board and for siblings: numbers, aliases and stamps, nothing else."""
        return {
            "words": {str(n): [w.stamp, w.unusable, int(w.claim)] for n, w in self.words.items()},
            "destroyed": {str(n): s for n, s in self.destroyed.items()},
            "aliases": {a: [w.stamp, w.number] for a, w in self.aliases.items()},
            "alias_map": self.alias_map,
            "boundary": [self.boundary.stamp, self.boundary.created],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Read what `to_wire` made.

        Raises:
            ValueError: `wire` is anything else.
        """
        try:
            return cls(
                words={int(n): Word(int(s), bool(u), Claim(c)) for n, (s, u, c) in wire["words"].items()},
                destroyed={int(n): int(s) for n, s in wire["destroyed"].items()},
                aliases={str(a): AliasWord(int(s), int(n)) for a, (s, n) in wire["aliases"].items()},
                alias_map=int(wire["alias_map"]),
                boundary=Boundary(int(wire["boundary"][0]), bool(wire["boundary"][1])),
            )
        except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError) as exc:
            raise ValueError("not knowledge as keyturn writes it") from exc


def _remembered(words: Mapping[int, Word], destroyed: Mapping[int, int]) -> set[int]:
    """The numbers to keep: the highest, and those last spoken of.

    Both are "the k largest by a key that only grows", so cutting before or after a merge ends the same.
    """
    spoken = {n: word.stamp for n, word in words.items()}
    for number, stamp in destroyed.items():
        spoken[number] = max(stamp, spoken.get(number, 0))
    numbers = sorted(spoken)
    latest = sorted(numbers, key=spoken.__getitem__)  # of those last spoken of at the same time, the higher one
    return {*numbers[-REMEMBERED:], *latest[-REMEMBERED:]}
