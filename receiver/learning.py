"""What happened, taken into the state of an entry: what was told, asked for, answered or adopted. Pure.

Each answer of Secret Manager is believed as far as it is known to be of the present life of its secret, and no
further than its kind deserves; `receiver.knowledge` says how what is learnt is weighed.
"""

from dataclasses import replace
from typing import Final

from .entry import Access, Adopted, Asked, Entry, Failed, Found, Held, Input, Missing, Refused, Rejected, Suspect, Told
from .knowledge import CONSISTENCY_WINDOW, LATEST, Claim, Knowledge


#: A refused fetch after an ENABLE is tried again this often, since enabling is only eventually consistent.
ENABLE_RETRIES: Final = 3

#: What is read within the window of a secret's creation is stamped this many times nearer to the creation: later reads
#: still count more than earlier ones, and all of them less than events, of which none is within 2 ms of the creation.
YOUNG: Final = 10_000_000


def take(entry: Entry, happened: Input, now: int) -> Entry:
    """Take in what happened.

    Args:
        entry: the state before.
        happened: the input.
        now: wall time in nanoseconds.
    """
    match happened:
        case Told(news):
            return told(entry, news)
        case Asked(read, climb, settle):
            climb = climb or entry.owed
            return entry._replace(
                knowledge=_afresh(entry.knowledge, now) if read and entry.held is None else entry.knowledge,
                read_due=(read or (climb and entry.pin != LATEST)) and not isinstance(entry.pin, int),
                climb=None,
                climb_due=climb and entry.pin == LATEST,
                climbed=False,
                in_hand={},
                tries=0,
                enable_retries=0,
                rejected=frozenset(),
                failure=None,
                settles=settle,
                owed=False,
                # Of what was held, where a fork or a revocation has taken it away meanwhile.
                suspect=entry.suspect if entry.held is not None else None,
            )
        case Found():
            return _found(entry, happened)
        case Missing(access):
            return _missing(entry, access, now)
        case Refused():
            return _refused(entry, happened, now)
        case Failed():
            owed = entry.read_due or entry.climb_due or entry.climb is not None
            entry = entry._replace(failure=happened, owed=owed)
            return entry._replace(read_due=False, climb=None, climb_due=False)
        case Adopted(held):
            return entry._replace(held=held)
        case Rejected(number):
            return entry._replace(rejected=entry.rejected | {number})


def _afresh(knowledge: Knowledge, now: int) -> Knowledge:
    # Who has nothing and reads anew asks again for what was refused too: nobody may have told it of the enabling, and
    # before the first answer the project's number is not known, so that no event counts.
    old = now - CONSISTENCY_WINDOW
    refused = {n for n, word in knowledge.words.items() if word.unusable and word.stamp < old}
    again = refused - knowledge.destroyed.keys()
    return replace(knowledge, words={n: w for n, w in knowledge.words.items() if n not in again})


def told(entry: Entry, news: Knowledge) -> Entry:
    """Take in what was told, without planning what to do about it."""
    knowledge = entry.knowledge.merge(news)
    if knowledge is entry.knowledge:
        return entry
    climb = entry.climb if knowledge.boundary == entry.knowledge.boundary else None
    suspect = _suspicion(entry, news) or entry.suspect
    return entry._replace(knowledge=knowledge, climb=climb, climbed=False, suspect=suspect)


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
    return entry._replace(knowledge=entry.knowledge.merge(news))


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
        # What is in hand may be of the life before, too; a forked child holds nothing that could be.
        before = Held(found.number, fetched=0, life=-1) if entry.held is not None else None
        entry = entry._replace(held=before, in_hand={})
    asked_number = found.access.version.isdecimal()
    entry = _learn(entry, Knowledge.version(found.number, _seen(entry, found.began), usable=True))
    held = Held(found.number, found.began, boundary)
    entry = entry._replace(in_hand={**entry.in_hand, found.number: held}, enable_retries=0)
    if not asked_number:
        return _after_read(entry, found)
    if entry.suspect is not None and found.access.suspect == entry.suspect:
        if entry.held is None:  # what a start has read is there, and what was known to be above it is not
            entry = _new_life(entry, found.access, entry.suspect, found.began)
            return entry._replace(climb_due=True, climbed=False)
        return entry._replace(suspect=None)
    return _narrowed(entry, found.access, exists=True)


def _may_be_of_the_life_before(entry: Entry, found: Found) -> bool:
    # A read may lag behind the creation of the present life; but not where an ADD says that yet another life began.
    if found.access.suspect is not None and found.access.suspect.stamp:
        return False
    born = entry.knowledge.boundary.stamp
    return entry.held is not None and 0 < born <= entry.held.life and found.began < born + CONSISTENCY_WINDOW


def _after_read(entry: Entry, found: Found) -> Entry:
    entry = entry._replace(read_due=False)
    if entry.pin != LATEST:
        return _learn(entry, Knowledge.alias(found.access.version, found.number, _seen(entry, found.began)))
    lower = entry.held is not None and found.number < entry.held.number
    return entry._replace(climb_due=True, suspect=entry.suspect or (Suspect(found.number, 0) if lower else None))


def _narrowed(entry: Entry, access: Access, *, exists: bool) -> Entry:
    climb = entry.climb
    if climb is None or access.version != str(climb.probe):
        return entry
    climb = climb.after(exists=exists)
    if climb.done:
        return entry._replace(climb=None, climb_due=False, climbed=True)
    return entry._replace(climb=climb)


def _missing(entry: Entry, access: Access, now: int) -> Entry:
    if access.life != entry.knowledge.boundary.stamp:
        return entry
    if not access.version.isdecimal():
        return _read_in_vain(entry._replace(read_due=False))
    if entry.suspect is not None and access.suspect == entry.suspect:
        if entry.held is None:
            return _refuted(entry._replace(suspect=None), access, now)
        return _new_life(entry, access, entry.suspect, now)
    if entry.climb is not None and access.version == str(entry.climb.probe):
        return _narrowed(entry, access, exists=False)
    entry = entry._replace(tries=entry.tries + 1, suspect=_vanished(entry, access) or entry.suspect)
    # The probe of a climb that was given up, because of what came meanwhile: the number may have been added by now.
    return entry if access.probe else _refuted(entry, access, now)


def _vanished(entry: Entry, access: Access) -> Suspect | None:
    # Numbers never vanish within a life. Whoever starts in the next one before anybody has heard of it holds nothing,
    # and what it has read may have been disabled in the one before.
    number, known = max(entry.in_hand, default=0), access.known
    word = entry.knowledge.word(number)
    if entry.held is not None or entry.pin != LATEST or known is None or word is None or number >= int(access.version):
        return None
    return Suspect(number, 0) if known.claim is Claim.ADDED and word.unusable else None


def _refused(entry: Entry, refused: Refused, now: int) -> Entry:
    access = refused.access
    if access.life != entry.knowledge.boundary.stamp:
        return entry
    if not access.version.isdecimal():
        return _read_in_vain(entry._replace(read_due=False))
    number = int(access.version)
    probing = entry.climb is not None and access.version == str(entry.climb.probe)
    word = entry.knowledge.word(number)
    enabled_lately = word is not None and word.claim is Claim.ENABLED and word.stamp > now - CONSISTENCY_WINDOW
    if enabled_lately and not refused.destroyed:
        if probing:
            return _narrowed(entry, access, exists=True)
        if entry.enable_retries >= ENABLE_RETRIES:
            if entry.settles and entry.held is None:  # it may have been disabled again, and nobody here told of it
                return entry._replace(rejected=entry.rejected | {number}, enable_retries=0)
            return entry._replace(failure=Failed(transient=True))
        return entry._replace(enable_retries=entry.enable_retries + 1)
    entry = _refuted(entry, access, now, destroyed=refused.destroyed)
    suspect = None if access.suspect == entry.suspect else entry.suspect
    entry = entry._replace(suspect=suspect, tries=entry.tries + (not probing))
    return _narrowed(entry, access, exists=True)


def _read_in_vain(entry: Entry) -> Entry:
    # What it leads to is disabled, or there is nothing, or the read lags: only numbers tell.
    if entry.pin != LATEST:
        knows_better = entry.behind and entry.knowledge.wanted(entry.pin) is not None
        return entry if knows_better else entry._replace(failure=Failed(transient=False))
    return entry._replace(climb_due=True, suspect=entry.suspect or (Suspect(0, 0) if entry.held else None))


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
    entry = entry._replace(suspect=None)
    if suspect.number == 0:
        return _refuted(entry, access, now)
    if suspect.stamp:
        return _learn(entry, Knowledge.born(suspect.stamp - 1))
    end = max((word.stamp for word in entry.knowledge.alive().values()), default=entry.knowledge.boundary.stamp)
    entry = _learn(entry, Knowledge.born(end))
    entry = _learn(entry, Knowledge.version(suspect.number, end + 1, usable=True))
    kept = {n: replace(h, life=end) for n, h in entry.in_hand.items() if n == suspect.number}
    return entry._replace(in_hand=kept, climb=None)
