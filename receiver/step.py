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

#: What is read within the window of a secret's creation is stamped this many times nearer to the creation: later reads
#: still count more than earlier ones, and all of them less than events, of which none is within 2 ms of the creation.
YOUNG: Final = 10_000_000

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
    climb = entry.climb if knowledge.boundary == entry.knowledge.boundary else None
    suspect = _suspicion(entry, news) or entry.suspect
    return replace(entry, knowledge=knowledge, climb=climb, climbed=False, suspect=suspect)


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


def _seen(entry: Entry, began: int) -> int:
    # Weaker than whatever events tell of this life, and yet of this life: who asks knows of its creation. After a
    # deletion there is none to know of, and a read that lags must not revive what was deleted.
    stamp, end = began - CONSISTENCY_WINDOW, entry.knowledge.boundary.stamp
    return max(stamp, end + 1 + max(0, began - end) // YOUNG) if entry.knowledge.exists else stamp


def _found(entry: Entry, found: Found) -> Entry:
    boundary = entry.knowledge.boundary.stamp
    if found.access.life != boundary:
        return entry  # the secret was re-created meanwhile: the answer belongs to a life that is over
    if found.differs and not _may_be_of_the_life_before(entry, found):  # versions never change, but lives do
        entry = replace(entry, held=Held(found.number, fetched=0, life=-1))
    asked_number = found.access.version.isdecimal()
    entry = _learn(entry, Knowledge.version(found.number, _seen(entry, found.began), usable=True))
    held = Held(found.number, found.began, boundary)
    entry = replace(entry, in_hand={**entry.in_hand, found.number: held}, enable_retries=0)
    if not asked_number:
        return _after_read(entry, found)
    if entry.suspect is not None and found.access.suspect == entry.suspect:
        return replace(entry, suspect=None)
    return _narrowed(entry, found.access, exists=True)


def _may_be_of_the_life_before(entry: Entry, found: Found) -> bool:
    # A read may lag behind the creation of the present life; but not where an ADD says that yet another life began.
    if found.access.suspect is not None and found.access.suspect.stamp:
        return False
    born = entry.knowledge.boundary.stamp
    return entry.held is not None and 0 < born <= entry.held.life and found.began < born + CONSISTENCY_WINDOW


def _after_read(entry: Entry, found: Found) -> Entry:
    entry = replace(entry, read_due=False)
    if entry.pin != LATEST:
        return _learn(entry, Knowledge.alias(found.access.version, found.number, _seen(entry, found.began)))
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
    if access.life != entry.knowledge.boundary.stamp:
        return entry
    if not access.version.isdecimal():
        return _read_in_vain(replace(entry, read_due=False))
    if entry.suspect is not None and access.suspect == entry.suspect:
        return _new_life(entry, access, entry.suspect, now)
    if entry.climb is not None and access.version == str(entry.climb.probe):
        return _narrowed(entry, access, exists=False)
    entry = replace(entry, tries=entry.tries + 1)
    # Where nobody had said that it is there (the probe of a climb that was given up), it may be added yet.
    may_come = access.known is None and int(access.version) > entry.knowledge.highest()
    return entry if may_come else _refuted(entry, access, now)


def _refused(entry: Entry, refused: Refused, now: int) -> Entry:
    access = refused.access
    if access.life != entry.knowledge.boundary.stamp:
        return entry
    if not access.version.isdecimal():
        return _read_in_vain(replace(entry, read_due=False))
    number = int(access.version)
    probing = entry.climb is not None and access.version == str(entry.climb.probe)
    word = entry.knowledge.word(number)
    enabled_lately = word is not None and word.claim is Claim.ENABLED and word.stamp > now - CONSISTENCY_WINDOW
    if enabled_lately and not refused.destroyed:
        if probing:
            return _narrowed(entry, access, exists=True)
        if entry.enable_retries >= ENABLE_RETRIES:
            return replace(entry, failure=Failed(transient=True))
        return replace(entry, enable_retries=entry.enable_retries + 1)
    entry = _refuted(entry, access, now, destroyed=refused.destroyed)
    suspect = None if access.suspect == entry.suspect else entry.suspect
    entry = replace(entry, suspect=suspect, tries=entry.tries + (not probing))
    return _narrowed(entry, access, exists=True)


def _read_in_vain(entry: Entry) -> Entry:
    # The newest version is disabled, or there is none, or `latest` lags: only numbers tell.
    if entry.pin != LATEST:
        return replace(entry, failure=Failed(transient=False))
    return replace(entry, climb_due=True, suspect=entry.suspect or (Suspect(0, 0) if entry.held else None))


def _refuted(entry: Entry, access: Access, now: int, *, destroyed: bool = False) -> Entry:
    # A refusal carries the stamp of the claim that it refutes: no clock decides, and a later ENABLE revives. It is a
    # read besides, and other workers may have made theirs since that claim.
    number = int(access.version)
    stamp = max(access.known.stamp if access.known is not None else 0, _seen(entry, now))
    if destroyed:
        return _learn(entry, Knowledge.destruction(number, stamp))
    return _learn(entry, Knowledge.version(number, stamp, usable=False))


def _new_life(entry: Entry, access: Access, suspect: Suspect, now: int) -> Entry:
    # What is held does not exist any more, and numbers never vanish within a life.
    entry = replace(entry, suspect=None)
    if suspect.number == 0:
        return _refuted(entry, access, now)
    if suspect.stamp:
        return _learn(entry, Knowledge.born(suspect.stamp - 1))
    end = max((word.stamp for word in entry.knowledge.alive().values()), default=entry.knowledge.boundary.stamp)
    entry = _learn(entry, Knowledge.born(end))
    entry = _learn(entry, Knowledge.version(suspect.number, end + 1, usable=True))
    kept = {n: replace(h, life=end) for n, h in entry.in_hand.items() if n == suspect.number}
    return replace(entry, in_hand=kept, climb=None)


def _plan(entry: Entry, now: int) -> tuple[Entry, Effect]:
    if entry.failure is not None:
        return _after_failure(entry, entry.failure)
    if entry.static and entry.held is not None:
        return entry, Rest(Verdict.SERVED)
    if entry.read_due:
        return entry, Access(str(entry.pin), entry.knowledge.boundary.stamp)
    if entry.suspect is not None and entry.held is not None:
        return entry, _access(entry, entry.held.number, suspect=entry.suspect)
    if entry.climb is None and entry.climb_due:
        entry = _start_climb(entry)
    if entry.climb is not None:
        return entry, _access(entry, entry.climb.probe)
    return _settle(entry, now)


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
    return replace(entry, climb=Climb(base=base, low=base))


def _settle(entry: Entry, now: int) -> tuple[Entry, Effect]:
    held, target = entry.held, _target(entry)
    if held is not None and entry.current and target == held.number:
        return entry, Rest(Verdict.SERVED)
    if held is not None and _between_lives(entry):
        return entry, Rest(Verdict.SERVED if entry.current else Verdict.WAITING)
    if target is not None and target in entry.rejected:
        # A worker that starts serves what its siblings kept, or a bad version would keep every restart from serving.
        lower = _target(entry, without=entry.rejected) if held is None and entry.pin == LATEST else None
        return (entry, Rest(Verdict.HELD_BACK)) if lower is None else _obtain(entry, lower)
    # What was fetched too near to a creation may be of this life or not, so it is looked for too.
    back = held is not None and (entry.current or entry.knowledge.exists) and (target is None or target < held.number)
    if back and entry.pin == LATEST and not entry.climbed:
        return _plan(replace(entry, climb_due=True), now)
    if target is None and _alias_unheard(entry) and not entry.climbed:
        return _plan(replace(entry, read_due=True, climbed=True), now)
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
    pause = ENABLE_PAUSE * 2**entry.enable_retries if entry.enable_retries else 0.0
    return entry, _access(entry, number, pause=pause)


def _access(entry: Entry, number: int, *, pause: float = 0.0, suspect: Suspect | None = None) -> Access:
    return Access(str(number), entry.knowledge.boundary.stamp, pause, suspect, entry.knowledge.word(number))


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
