"""What to do next for an entry, planned from the whole of its state. Pure."""

from collections.abc import Set as AbstractSet
from typing import Final

from .entry import Access, Adopt, Climb, Effect, Entry, Failed, Rest, Suspect, Verdict
from .knowledge import LATEST, SECOND


#: How many unknown numbers below are tried before an entry is said to have no usable version.
STEPS_DOWN: Final = 10

#: After a refused fetch of what was enabled, seconds; doubled each time.
ENABLE_PAUSE: Final = 0.25

#: An alias is usually moved right after or before its version is disabled; this long the last good value stays.
ALIAS_GRACE: Final = 300 * SECOND


def plan(entry: Entry, now: int) -> tuple[Entry, Effect]:
    """Say what to do next, and the state in which that is under way.

    Args:
        entry: the state.
        now: wall time in nanoseconds.
    """
    if entry.failure is not None:
        return _after_failure(entry, entry.failure)
    if entry.static and entry.held is not None:
        return entry, Rest(Verdict.SERVED)
    if entry.read_due:
        return entry, Access(str(entry.pin), entry.knowledge.boundary.stamp)
    if entry.suspect is not None and (entry.held is not None or entry.suspect.stamp == 0 < entry.suspect.number):
        number = entry.held.number if entry.held is not None else entry.suspect.number
        return entry, _access(entry, number, pause=_pause(entry), suspect=entry.suspect)
    if entry.climb is None and entry.climb_due:
        entry = _start_climb(entry)
    if entry.climb is not None:
        return entry, _access(entry, entry.climb.probe, probe=True)
    return _settle(entry, now)


def waits(entry: Entry, now: int) -> bool:
    """Whether the last good value stays although nothing is usable: what follows it is on its way."""
    return _between_lives(entry) or _alias_grace(entry, now)


def _after_failure(entry: Entry, failure: Failed) -> tuple[Entry, Effect]:
    # At a start, a value that the climb could not confirm is better than none.
    target = _target(entry)
    if entry.held is None and target in entry.in_hand and target not in entry.rejected and target is not None:
        return entry, Adopt(entry.in_hand[target])
    return entry, Rest(Verdict.FAILED, transient=failure.transient)


def _start_climb(entry: Entry) -> Entry:
    base = entry.knowledge.highest()
    # A creation that is heard of late voids what was read before, so what is held may need to be found once more.
    if entry.held is not None and entry.current and entry.knowledge.word(entry.held.number) is not None:
        base = max(base, entry.held.number)
    return entry._replace(climb=Climb(base=base, low=base))


def _settle(entry: Entry, now: int) -> tuple[Entry, Effect]:
    held, target = entry.held, _target(entry)
    if held is not None and entry.current and target == held.number:
        return entry, Rest(Verdict.SERVED)
    if held is not None and _between_lives(entry):
        return entry, Rest(Verdict.SERVED if entry.current else Verdict.WAITING)
    if target is not None and target in entry.rejected:
        # A worker that starts serves what its siblings kept, or a bad version would keep every restart from serving;
        # one that was told of it together with a good one serves that; and nothing stays of a life that is over.
        lower = _target(entry, without=entry.rejected) if entry.pin == LATEST else None
        if lower is not None and (held is None or not entry.current or lower > held.number):
            return _obtain(entry, lower)
        return entry, Rest(Verdict.HELD_BACK)
    # What was fetched too near to a creation may be of this life or not, so it is looked for too.
    back = held is not None and (entry.current or entry.knowledge.exists) and (target is None or target < held.number)
    # Whoever starts, and is told of the creation after it has read, has read in vain.
    nothing = held is None and target is None
    if (back or nothing) and entry.pin == LATEST and not entry.climbed:
        return plan(entry._replace(climb_due=True), now)
    if target is None and _alias_unheard(entry) and not entry.climbed:
        return plan(entry._replace(read_due=True, climbed=True), now)
    if target is None and held is None:
        # At a start a value that was just read is better than none, unless something is known against it.
        read = max((n for n in entry.in_hand if (word := entry.knowledge.word(n)) and not word.unusable), default=None)
        if read is not None and read not in entry.rejected:
            return entry, Adopt(entry.in_hand[read])
    if target is None:
        waiting = held is not None and _alias_grace(entry, now)
        return entry, Rest(Verdict.WAITING if waiting else Verdict.NONE_USABLE)
    return _obtain(entry, target)


def _obtain(entry: Entry, number: int) -> tuple[Entry, Effect]:
    if number in entry.in_hand and entry.in_hand[number].life >= entry.knowledge.boundary.stamp:
        return entry, Adopt(entry.in_hand[number])
    return entry, _access(entry, number, pause=_pause(entry))


def _pause(entry: Entry) -> float:
    return ENABLE_PAUSE * 2**entry.enable_retries if entry.enable_retries else 0.0


def _access(
    entry: Entry, number: int, *, pause: float = 0.0, suspect: Suspect | None = None, probe: bool = False
) -> Access:
    return Access(str(number), entry.knowledge.boundary.stamp, pause, suspect, entry.knowledge.word(number), probe)


def _between_lives(entry: Entry) -> bool:
    # Re-created, and no word of a version yet: its ADD is on its way.
    return entry.pin == LATEST and entry.knowledge.boundary.created and not entry.knowledge.alive()


def _alias_unheard(entry: Entry) -> bool:
    # As above: nothing that is known says where the alias points in this life.
    if isinstance(entry.pin, int) or entry.pin == LATEST or entry.knowledge.alias_target(entry.pin) is not None:
        return False
    return entry.knowledge.exists and entry.knowledge.alias_map <= entry.knowledge.boundary.stamp


def _alias_grace(entry: Entry, now: int) -> bool:
    if isinstance(entry.pin, int) or entry.pin == LATEST:
        return False
    number = entry.knowledge.alias_target(entry.pin)
    word = entry.knowledge.word(number) if number is not None else None
    newest = max(word.stamp if word else 0, entry.knowledge.alias_map)
    return now - newest < ALIAS_GRACE


def _target(entry: Entry, *, without: AbstractSet[int] = frozenset()) -> int | None:
    if entry.pin != LATEST:
        return entry.knowledge.wanted(entry.pin)
    alive = entry.knowledge.alive()
    best = max((n for n, word in alive.items() if not word.unusable and n not in without), default=0)
    if entry.tries < STEPS_DOWN:
        # A number that nobody spoke of may be usable: ask for it before settling for a lower one.
        for number in range(max(alive, default=0) - 1, best, -1):
            if number not in alive:
                return number
    return best or None
