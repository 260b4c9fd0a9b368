"""The refresh of one entry as a step function: (state, input) -> (state, effect). No clock, lock or I/O.

A refresh is: merge what was told; if what is wanted differs from what is held, fetch it by number; check; swap; look
again, because newer knowledge may have come meanwhile. `Entry` (in `receiver.entry`) is the state. An input says what
happened, the effect what to do next; whoever carries effects out (`receiver.live`, a simulator) feeds what came of
them back as inputs until the effect is `Rest`. Because every step plans from the whole state, knowledge may be told
at any moment, also while an effect is being carried out.

Three kinds of access to Secret Manager:

- **fetch**: the wanted number. Access by number after an add is the one strongly consistent read that Google has.
- **read**: `latest` or an alias, at a start or a safety read. It may lag for hours, so for `latest` a climb follows.
- **climb**: is there a number above the highest known? Numbers are consecutive, so NOT_FOUND is the top; the gaps are
  found by doubling and halving, so that being far behind costs a logarithm. It also comes before every step back: a
  DISABLE that overtook an ADD would otherwise move a value to an older version for minutes.
"""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from .entry import (
    Access,
    Adopt,
    Adopted,
    Asked,
    Climb,
    Effect,
    Entry,
    Failed,
    Found,
    Held,
    Input,
    Missing,
    Refused,
    Rejected,
    Rest,
    Suspect,
    Told,
    Verdict,
)
from .knowledge import CONSISTENCY_WINDOW, LATEST, SECOND, Claim, Knowledge


#: How many unknown numbers below are tried before an entry is said to have no usable version.
STEPS_DOWN: Final = 10

#: A refused fetch after an ENABLE is tried again this often, since enabling is only eventually consistent.
ENABLE_RETRIES: Final = 3
ENABLE_PAUSE: Final = 0.25

#: An alias is usually moved right after or before its version is disabled; this long the last good value stays.
ALIAS_GRACE: Final = 300 * SECOND


def step(entry: Entry, happened: Input, *, now: int) -> tuple[Entry, Effect]:
    """Take in what happened and say what to do next.

    Args:
        entry: the state before.
        happened: the input.
        now: wall time in nanoseconds, used only for how old a claim is.
    """
    return _plan(_take(entry, happened, now), now)


def told(entry: Entry, news: Knowledge) -> Entry:
    """Take in what was told, without planning what to do about it."""
    knowledge = entry.knowledge.merge(news)
    if knowledge is entry.knowledge:
        return entry
    return replace(entry, knowledge=knowledge, climbed=False, suspect=entry.suspect or _suspicion(entry, news))


def _take(entry: Entry, happened: Input, now: int) -> Entry:
    match happened:
        case Told(news):
            return told(entry, news)
        case Asked(read, climb):
            return replace(
                entry,
                read_due=(read or (climb and entry.pin != LATEST)) and not isinstance(entry.pin, int),
                climb=None,
                climb_due=climb and entry.pin == LATEST,
                climbed=False,
                in_hand={},
                tries=0,
                enable_retries=0,
                rejected=frozenset(),
                failure=None,
            )
        case Found():
            return _found(entry, happened)
        case Missing(access):
            return _missing(entry, access, now)
        case Refused():
            return _refused(entry, happened, now)
        case Failed():
            return replace(entry, failure=happened, read_due=False, climb=None, climb_due=False, suspect=None)
        case Adopted(held):
            return replace(entry, held=held)
        case Rejected(number):
            return replace(entry, rejected=entry.rejected | {number})


def _suspicion(entry: Entry, news: Knowledge) -> Suspect | None:
    # Within one life an ADD is older than any fetch of the same or a higher number.
    if entry.held is None or entry.static:
        return None
    for number, word in news.words.items():
        late = word.stamp > entry.held.fetched and number <= entry.held.number
        if late and word.claim is Claim.ADDED and word != entry.knowledge.words.get(number):
            return Suspect(number, word.stamp)
    return None


def _learn(entry: Entry, news: Knowledge) -> Entry:
    return replace(entry, knowledge=entry.knowledge.merge(news))


def _found(entry: Entry, found: Found) -> Entry:
    boundary = entry.knowledge.boundary.stamp
    if found.access.life != boundary:
        return entry  # the secret was re-created meanwhile: the answer belongs to a life that is over
    asked_number = found.access.version.isdecimal()
    entry = _learn(entry, Knowledge.version(found.number, found.began - CONSISTENCY_WINDOW, usable=True))
    held = Held(found.number, found.began, boundary)
    entry = replace(entry, in_hand={**entry.in_hand, found.number: held}, enable_retries=0)
    if not asked_number:
        return _after_read(entry, found)
    if entry.suspect is not None and entry.held is not None and found.number == entry.held.number:
        return _confirmed(entry, entry.suspect)
    return _narrowed(entry, found.access, exists=True)


def _confirmed(entry: Entry, suspect: Suspect) -> Entry:
    # It exists; where the ADD was of this very number, what was just fetched may be another life's: swap it in.
    entry = replace(entry, suspect=None)
    if entry.held is not None and suspect.number == entry.held.number:
        return replace(entry, held=Held(entry.held.number, fetched=0, life=-1))
    return entry


def _after_read(entry: Entry, found: Found) -> Entry:
    entry = replace(entry, read_due=False)
    if entry.pin != LATEST:
        seen = Knowledge.alias(found.access.version, found.number, found.began - CONSISTENCY_WINDOW)
        return _learn(entry, seen)
    lower = entry.held is not None and found.number < entry.held.number
    return replace(entry, climb_due=True, suspect=entry.suspect or (Suspect(found.number, 0) if lower else None))


def _narrowed(entry: Entry, access: Access, *, exists: bool) -> Entry:
    climb = entry.climb
    if climb is None or access.version != str(climb.probe):
        return entry
    climb = climb.after(exists=exists)
    if climb.done:
        return replace(entry, climb=None, climb_due=False, climbed=True)
    return replace(entry, climb=climb)


def _missing(entry: Entry, access: Access, now: int) -> Entry:
    if not access.version.isdecimal():
        return _read_in_vain(replace(entry, read_due=False))
    if entry.suspect is not None:
        return _new_life(entry, entry.suspect, now)
    if entry.climb is not None and access.version == str(entry.climb.probe):
        return _narrowed(entry, access, exists=False)
    return _refuted(replace(entry, tries=entry.tries + 1), int(access.version), now)


def _refused(entry: Entry, refused: Refused, now: int) -> Entry:
    access = refused.access
    if not access.version.isdecimal():
        return _read_in_vain(replace(entry, read_due=False))
    number = int(access.version)
    probing = entry.climb is not None and access.version == str(entry.climb.probe)
    word = entry.knowledge.word(number)
    enabled_lately = word is not None and word.claim is Claim.ENABLED and word.stamp > now - CONSISTENCY_WINDOW
    if enabled_lately and not refused.destroyed and not probing:
        if entry.enable_retries >= ENABLE_RETRIES:
            return replace(entry, failure=Failed(transient=True))
        return replace(entry, enable_retries=entry.enable_retries + 1)
    entry = _refuted(entry, number, now, destroyed=refused.destroyed)
    entry = replace(entry, suspect=None, tries=entry.tries + (not probing))
    return _narrowed(entry, access, exists=True)


def _read_in_vain(entry: Entry) -> Entry:
    # The newest version is disabled, or there is none, or `latest` lags: only numbers tell.
    if entry.pin != LATEST:
        return replace(entry, failure=Failed(transient=False))
    return replace(entry, climb_due=True, suspect=entry.suspect or (Suspect(0, 0) if entry.held else None))


def _refuted(entry: Entry, number: int, now: int, *, destroyed: bool = False) -> Entry:
    # A refusal carries the stamp of the claim that it refutes: no clock decides, and a later ENABLE revives.
    word = entry.knowledge.word(number)
    stamp = word.stamp if word is not None else now - CONSISTENCY_WINDOW
    if destroyed:
        return _learn(entry, Knowledge.destruction(number, stamp))
    return _learn(entry, Knowledge.version(number, stamp, usable=False))


def _new_life(entry: Entry, suspect: Suspect, now: int) -> Entry:
    # What is held does not exist any more, and numbers never vanish within a life.
    entry = replace(entry, suspect=None)
    if suspect.number == 0:
        return _refuted(entry, entry.held.number, now) if entry.held else entry
    if suspect.stamp:
        return _learn(entry, Knowledge.born(suspect.stamp - 1))
    end = max(word.stamp for word in entry.knowledge.alive().values())
    entry = _learn(entry, Knowledge.born(end))
    entry = _learn(entry, Knowledge.version(suspect.number, end + 1, usable=True))
    kept = {n: replace(h, life=end) for n, h in entry.in_hand.items() if n == suspect.number}
    return replace(entry, in_hand=kept, climb=None)


def _plan(entry: Entry, now: int) -> tuple[Entry, Effect]:
    life = entry.knowledge.boundary.stamp
    if entry.failure is not None:
        return _after_failure(entry, entry.failure)
    if entry.static and entry.held is not None:
        return entry, Rest(Verdict.SERVED)
    if entry.read_due:
        return entry, Access(str(entry.pin), life)
    if entry.suspect is not None and entry.held is not None:
        return entry, Access(str(entry.held.number), life)
    if entry.climb is None and entry.climb_due:
        entry = _start_climb(entry)
    if entry.climb is not None:
        return entry, Access(str(entry.climb.probe), life)
    return _settle(entry, now)


def _after_failure(entry: Entry, failure: Failed) -> tuple[Entry, Effect]:
    # At a start, a value that the climb could not confirm is better than none.
    target = _target(entry)
    if entry.held is None and target in entry.in_hand and target not in entry.rejected and target is not None:
        return entry, Adopt(entry.in_hand[target])
    return entry, Rest(Verdict.FAILED, transient=failure.transient)


def _start_climb(entry: Entry) -> Entry:
    base = entry.knowledge.highest()
    if entry.held is not None and entry.current:
        base = max(base, entry.held.number)
    return replace(entry, climb=Climb(base=base, low=base))


def _settle(entry: Entry, now: int) -> tuple[Entry, Effect]:
    held, target = entry.held, _target(entry)
    if held is not None and entry.current and target == held.number:
        return entry, Rest(Verdict.SERVED)
    if held is not None and _between_lives(entry):
        return entry, Rest(Verdict.SERVED if entry.current else Verdict.WAITING)
    if held is None and _between_lives(entry) and (found := _in_this_life(entry)) is not None:
        # Created within the consistency window, so that no read counts, and its ADD is on its way: at a start what
        # was read is better than nothing. The ADD tells if it was of the life before.
        return entry, Adopt(found)
    if target is not None and target in entry.rejected:
        # A worker that starts serves what its siblings kept, or a bad version would keep every restart from serving.
        lower = _target(entry, without=entry.rejected) if held is None and entry.pin == LATEST else None
        return (entry, Rest(Verdict.HELD_BACK)) if lower is None else _obtain(entry, lower)
    back = held is not None and entry.current and (target is None or target < held.number)
    if back and entry.pin == LATEST and not entry.climbed:
        return _plan(replace(entry, climb_due=True), now)
    if target is None:
        waiting = held is not None and _alias_grace(entry, now)
        return entry, Rest(Verdict.WAITING if waiting else Verdict.NONE_USABLE)
    return _obtain(entry, target)


def _obtain(entry: Entry, number: int) -> tuple[Entry, Effect]:
    if number in entry.in_hand and entry.in_hand[number].life >= entry.knowledge.boundary.stamp:
        return entry, Adopt(entry.in_hand[number])
    pause = ENABLE_PAUSE * 2**entry.enable_retries if entry.enable_retries else 0.0
    return entry, Access(str(number), entry.knowledge.boundary.stamp, pause)


def _between_lives(entry: Entry) -> bool:
    # Re-created, and no word of a version yet: its ADD is on its way.
    return entry.pin == LATEST and entry.knowledge.boundary.created and not entry.knowledge.alive()


def _in_this_life(entry: Entry) -> Held | None:
    alive = [held for held in entry.in_hand.values() if held.life >= entry.knowledge.boundary.stamp]
    return max((held for held in alive if held.number not in entry.rejected), key=lambda h: h.number, default=None)


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
