"""Faults put into the real code, to show that the simulation notices: each is a change of its source text.

A change is (file, old text, new text), and the old text must stand there exactly once, so that a mutation whose place
has moved fails by name instead of testing nothing.
"""

from .package import Change


MUTATIONS: dict[str, list[Change]] = {
    "reads latest after an event": [
        (
            "plan.py",
            "    return entry, _access(entry, number, pause=_pause(entry))\n",
            "    if entry.held is None or entry.climbed or entry.pin != LATEST:\n"
            "        return entry, _access(entry, number, pause=_pause(entry))\n"
            '    return entry._replace(climbed=True), Access("latest", entry.knowledge.boundary.stamp)\n',
        ),
        (
            "learning.py",
            "    lower = entry.held is not None and found.number < entry.held.number\n",
            "    if entry.climbed:\n"
            "        return entry._replace(knowledge=Knowledge.version(found.number, found.began, usable=True))\n"
            "    lower = entry.held is not None and found.number < entry.held.number\n",
        ),
    ],
    "acknowledges before it applies": [
        ("container.py", "        confirmed: Confirmations = relay.wait(deadline)", "        confirmed = Confirmations()\n        relay.close()")
    ],
    "acknowledges before callbacks have run": [
        ("worker.py", "            entry.callbacks.wait(patience)", "            pass")
    ],
    "reads the board before it can be told": [
        (
            "container.py",
            "        self._siblings.attend(apply, tick=tick)\n",
            "        self.merge_board()\n        time.sleep(0.3)\n        self._siblings.attend(apply, tick=tick)\n",
        ),
        ("worker.py", "            generation = container.merge_board()\n            if not any(", "            generation = container._board.generation()\n            if not any("),
    ],
    "does not climb": [
        ("learning.py", "    return entry._replace(climb_due=True, suspect=entry.suspect or (Suspect(found.number, 0) if lower else None))", "    return entry._replace(suspect=entry.suspect or (Suspect(found.number, 0) if lower else None))")
    ],
    "steps back without a climb": [
        ("plan.py", "    if (back or nothing) and entry.pin == LATEST", "    if nothing and entry.pin == LATEST")
    ],
    "the last arrival wins, not the last writer": [
        ("knowledge.py", "        if mine is None or value > mine:\n            merged[key]", "        if mine is None or value != mine:\n            merged[key]"),
        ("knowledge.py", "        if not self.lacks(other):", "        if self == other:"),
    ],
    "forgets a sibling": [
        ("siblings.py", "        return [name for name in self._named(SOCKET) if name != self.member]", "        return [name for name in self._named(SOCKET) if name != self.member][1:]")
    ],
    "stamps reads now": [
        ("learning.py", "    stamp, end = began - CONSISTENCY_WINDOW, ", "    stamp, end = began, ")
    ],
    "stamps a refusal now": [
        ("learning.py", "    stamp = max(access.known.stamp if access.known is not None else 0, _seen(entry, now))", "    stamp = now")
    ],
    "takes an outage for a refusal": [
        ("upstream.py", "        return Heard(Failed(transient=exc.transient), trouble=str(exc))\n    except ConfigurationError", "        return Heard(Refused(access, began), trouble=str(exc))\n    except ConfigurationError")
    ],
    "does not cut stamps from the future": [
        ("events.py", "    return min(claimed, latest), claimed > latest", "    return claimed, claimed > latest")
    ],
    "does not look at the board before a request": [
        ("worker.py", "if watch.seen != watch.memory[0] or not", "if not")
    ],
    "does not read the board at its start": [
        ("worker.py", "            generation = container.merge_board()\n            if not any(", "            generation = container._board.generation()\n            if not any(")
    ],
    "moves the generation before the file": [
        (
            "board.py",
            "            merged, unreadable = self._merge(name, knowledge)\n"
            "            self.memory[1 + _serial(_file_name(name))] += 1\n"
            "            self.memory[0] += 1\n"
            "            generation = self.memory[0]\n",
            "            self.memory[1 + _serial(_file_name(name))] += 1\n"
            "            self.memory[0] += 1\n"
            "            generation = self.memory[0]\n"
            "            time.sleep(0.3)\n"
            "            merged, unreadable = self._merge(name, knowledge)\n",
        )
    ],
    "does not look again after a fetch": [
        ("learning.py", "            return entry._replace(held=held)\n        case Rejected", "            return entry._replace(held=held, failure=Failed(transient=False))\n        case Rejected")
    ],
    "a flight that ends does not see what was told meanwhile": [
        ("live.py", "    def tell(self, news: Knowledge) -> None:\n", "    def tell(self, news: Knowledge) -> None:\n        if self._flight is not None:\n            return\n")
    ],
    "waits for a silent sibling without end": [
        ("relay.py", "        self._timeout = timeout\n", "        self._timeout = 60 * timeout\n")
    ],
    "acknowledges what failed": [
        ("spread.py", "    return rest.verdict is Verdict.FAILED and rest.transient", "    return False"),
        ("spread.py", "frozenset({Verdict.SERVED, Verdict.WAITING})", "frozenset(Verdict)"),
    ],
    "callbacks in any order": [
        ("callbacks.py", "if w.since is None and _is_due(w, newest)]", "if _is_due(w, newest)]"),
        (
            "callbacks.py",
            '            spawn(lambda: self._run(watcher), name="callback")',
            "            number, held = self._served()\n"
            "            spawn(\n"
            "                lambda: (_failure(watcher.call, held), setattr(watcher, 'seen', number), setattr(watcher, 'since', None)),\n"
            '                name="callback",\n'
            "            )",
        ),
    ],
    "forgets callbacks that failed": [
        ("callbacks.py", "            watcher.retry_at = self._clock() + limit * self._jitter()", "            watcher.seen = watcher.tried")
    ],
    "takes a deletion for nothing": [
        ("events.py", "                return Knowledge.deleted(self.stamp)", "                return None")
    ],
    "voids nothing at a creation": [
        ("knowledge.py", "        return word if word is not None and word.stamp > self.boundary.stamp else None", "        return word")
    ],
    "a destruction counts for every life": [
        ("knowledge.py", "        if destroyed > self.boundary.stamp and not added_since:", "        if destroyed > 0 and not added_since:")
    ],
    "a late creation voids what was read": [
        ("plan.py", "entry.current and entry.knowledge.word(entry.held.number) is not None:", "entry.current:"),
    ],
    "a refusal refutes what came meanwhile": [
        ("learning.py", "access.known.stamp if access.known is not None else 0, _seen(entry, now))", "w.stamp if (w := entry.knowledge.word(number)) else 0, _seen(entry, now))")
    ],
    "takes a failure for its own that another's stop made": [
        ("live.py", "            if flight.rest is not None and not self._lacked_time(flight, deadline):\n", "            if flight.rest is not None:\n")
    ],
    "a request waits for each of its reasons": [
        ("worker.py", "        patience = until - self._clock()", "        patience = CATCH_UP")
    ],
    "a bad version keeps a start from serving the one below": [
        ("plan.py", "            return _obtain(entry, lower)\n        return", "            pass\n        return")
    ],
    "asks again at once for a number that is not there": [
        ("learning.py", "    return entry if access.probe else", "    return entry if access.known is None else")
    ],
    "a bad version holds up a good one": [
        ("plan.py", "        if lower is not None and (held is None or not entry.current or lower > held.number):\n", "        if lower is not None and held is None:\n")
    ],
    "leaves a look that has failed to the next safety read": [
        ("learning.py", "            climb = climb or entry.owed\n", "")
    ],
    "a start gives up where what it has read is void": [
        ("plan.py", "    if (back or nothing) and entry.pin", "    if back and entry.pin")
    ],
    "a first read in vain outlasts its reason": [
        ("learning.py", "                knowledge=_afresh(entry.knowledge, now) if read and entry.held is None else entry.knowledge,\n", "")
    ],
    "takes a failure for an answer to what looks like a new life": [
        ("learning.py", "            entry = entry._replace(failure=happened, owed=owed)\n", "            entry = entry._replace(failure=happened, owed=owed, suspect=None)\n")
    ],
    "takes an alias that is read in vain for the last word": [
        ("learning.py", "        return entry if knows_better else ", "        return ")
    ],
}  # fmt: skip

#: Of forks and of the fleet: tried in worlds with masters, or that pull.
INHERITED: dict[str, list[Change]] = {
    "keeps the parent's locks in a forked child": [
        ("registry.py", "        self._lock = threading.Lock()\n        for entry in self._entries.values():\n", "        for entry in self._entries.values():\n")
    ],
    "keeps the parent's value in a forked child": [
        ("live.py", "            self.last_good = make_cold(self.handle) or self.last_good\n            self.loaded = False\n", "            pass\n")
    ],
    "does not wait in a forked child while a secret is created anew": [
        ("live.py", "        return self.loaded or (self.last_good is not None and not waits(self._state, self._around.wall()))", "        return self.loaded or self.last_good is not None")
    ],
    "callbacks do not hear of another life's value in a forked child": [
        ("live.py", "(self.loaded or before != number or differs)", "(self.loaded or before != number)")
    ],
    "serves what was revoked in a forked child": [
        ("live.py", "        return self.loaded or (self.last_good is not None and not waits(self._state, self._around.wall()))", "        return self.loaded")
    ],
    "keeps the parent's refresh in a forked child": [
        ("live.py", "        self._lock = threading.Lock()\n        self._flight = None\n        self.callbacks", "        self._lock = threading.Lock()\n        self.callbacks")
    ],
    "keeps the parent's callbacks in a forked child": [
        ("live.py", "        self.callbacks.after_fork()\n", "")
    ],
    "keeps the parent's membership in a forked child": [
        ("membership.py", "        container, self.container = self.container, None\n        if container is not None:\n            container.after_fork()\n", "")
    ],
    "its signs of life are inherited by children": [
        ("locks.py", "        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)", "        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)"),
        ("locks.py", "            with suppress(OSError):\n                os.close(fd)\n\n\n_BOOK", "            pass\n\n\n_BOOK"),
    ],
}  # fmt: skip

FLEET: dict[str, list[Change]] = {
    "acknowledges what was pulled before it is applied": [
        ("fleet/inbox.py", "        answers = [Answer.TRY_AGAIN] * len(messages)\n", "        for _, message in messages:\n            message.answer(True)\n        answers = [Answer.TRY_AGAIN] * len(messages)\n"),
        ("fleet/inbox.py", "                message.answer(answer is not Answer.TRY_AGAIN)", "                pass"),
    ],
    "acknowledges what was pulled and could not be applied": [
        ("fleet/inbox.py", "message.answer(answer is not Answer.TRY_AGAIN)", "message.answer(True)")
    ],
    "asks for what was pulled and applied again": [
        ("fleet/inbox.py", "message.answer(answer is not Answer.TRY_AGAIN)", "message.answer(answer is Answer.KNOWN)")
    ],
    "forgets a message that comes during a run": [
        ("fleet/inbox.py", "            while messages := self._due(name):\n", "            if messages := self._due(name):\n"),
        ("fleet/inbox.py", "        self.tick()  # for what came between the last look and the end", ""),
        ("fleet/member.py", "            self._inbox.tick()\n", ""),
    ],
    "does not apply what was put off": [
        ("fleet/member.py", "            self._inbox.tick()\n", "")
    ],
    "does not seek back": [
        ("fleet/subscriptions.py", "            self._ready().seek(", "            dict(")
    ],
    "seeks back over a moment only": [
        ("fleet/rules.py", "BACK: Final = CONSISTENCY_WINDOW + 60 * SECOND", "BACK: Final = SECOND")
    ],
    "does not know of what waits for its turn": [
        ("fleet/inbox.py", "        self._tell(event.secret, news)\n", "")
    ],
    "does not seek back what another one may not have": [
        ("fleet/subscriptions.py", "                elif not is_young(found.labels, now=now):\n", "                else:\n")
    ],
    "reads before anybody hears": [
        ("fleet/member.py", "        while not self.hearing:\n", "        while False:\n")
    ],
    "does not say that it has read before anybody heard": [
        ("fleet/member.py", "                    self._touch(_UNHEARD)\n", "                    pass\n")
    ],
    "takes itself for the first leader where another one was": [
        ("fleet/seats.py", "            self.newborn = False  # two that start at once find none, and one of them is the first\n", "")
    ],
    "does not look for what was missed where it takes over": [
        ("fleet/term.py", "        if not self._newborn:\n", "        if False:\n")
    ],
    "does not look for what was missed where it subscribes anew": [
        ("fleet/term.py", "        if not self._newborn or self._outrun():\n", "        if False:\n")
    ],
    "lets nobody wait to be heard but who reads first": [
        ("fleet/member.py", "        until = self._clock() + min(seconds, READY)\n", "        self._waited, until = True, self._clock() + min(seconds, READY)\n")
    ],
    "nobody takes a dead leader's seat": [
        ("fleet/seats.py", "            if self._take(seat):\n", "            if self.newborn and self._take(seat):\n")
    ],
    "nobody stands in for a stopped leader": [
        ("fleet/seats.py", "        return now - since > SILENT", "        return False")
    ],
    "does not notice that its subscription is gone": [
        ("fleet/term.py", "            failure = self._stream.failure\n", "            failure = None\n")
    ],
    "does not open a broken stream again": [
        ("fleet/stream.py", "                broke = exc\n", "                return\n")
    ],
    "tries a subscription that could not be made once": [
        ("fleet/term.py", "            self._retry_at = self._clock() + limit * self._jitter()", '            self._retry_at = float("inf")')
    ],
    "leaves its subscription behind": [
        ("fleet/member.py", "        left = [name for name in names if not self._delete(name)]", "        left = []")
    ],
    "takes the container's knowledge along where another worker follows": [
        ("presence.py", "        return self._leaving.is_replaced(inhabited) or ", "        return ")
    ],
    "joins anew with what it began before it left": [
        ("worker.py", '_UNASKED: Final = frozenset({"pull", "sibling"})', "_UNASKED: Final = frozenset()")
    ],
    "keeps the parent's term in a forked child": [
        ("fleet/member.py", "        self._inherited.append(self._term)\n        self._term = None\n", "        self._inherited.append(self._term)\n")
    ],
    "keeps the parent's connection in a forked child": [
        ("fleet/subscriptions.py", "        self._inherited.append(self._client)\n        self._client = None\n", "        self._inherited.append(self._client)\n")
    ],
    "keeps the parent's messages in a forked child": [
        ("fleet/member.py", "        self._inbox.after_fork()\n", "")
    ],
}  # fmt: skip

ALL = {**MUTATIONS, **INHERITED, **FLEET}

#: Those that are caught within a few schedules, for every test run.
QUICK = (
    "acknowledges before it applies",
    "acknowledges before callbacks have run",
    "steps back without a climb",
    "forgets a sibling",
)
