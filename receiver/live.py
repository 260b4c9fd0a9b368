"""One declared secret at run time: its handle, the state of its refresh, and the one flight that carries it out.

However many threads or events ask at once, one of them flies: it carries effects out until the step function rests.
All others tell the state what they know and wait, each by its own deadline. Since a flight ends under the same lock
under which it is told, what was told before the end was taken into account.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from .callbacks import Callback, Callbacks
from .declaration import Declaration
from .entry import (
    Access,
    Adopt,
    Adopted,
    Asked,
    Entry,
    Found,
    Held,
    Input,
    Rejected,
    Rest,
    Verdict,
)
from .errors import ValueRejected
from .flight import Flight
from .knowledge import Knowledge
from .learning import told
from .looking import Looking
from .moments import Moments
from .plan import waits
from .report import Report, Substitute, say_adopted, say_rested, say_substitute
from .secret import HeldValue, Secret, cold, make_cold, make_hot, make_revoked
from .step import step
from .supply import Supply
from .telemetry import Field
from .upstream import Surroundings, ask


#: Pauses between retries of an entry that is behind: full jitter below this, doubling up to the cap, in seconds.
RETRY_FIRST: Final = 1.0
RETRY_CAP: Final = 300.0


class LiveEntry:
    """One entry. Thread-safe; every wait ends at the deadline that comes with it."""

    def __init__(
        self,
        declaration: Declaration,
        around: Surroundings,
        *,
        first_read: Callable[["LiveEntry"], None],
        found: Callable[["LiveEntry"], None],
    ) -> None:
        self.declaration = declaration
        self.handle: Secret[Any] = cold(declaration.name, self)
        self.loaded = False
        self.last_good: HeldValue[Any] | None = None
        self.trouble: str | None = None
        self.retry_at: float | None = None
        self.report = Report()
        self.callbacks = Callbacks(
            str(declaration.name), lambda: self._served, clock=around.clock, jitter=around.jitter, voice=around.voice
        )
        self._moments = Moments(clock=around.clock, wall=around.wall)
        # How often the value changed, and what it is since: one tuple, so that both are read at once.
        self._served: tuple[int, HeldValue[Any] | None] = (0, None)
        self._adopted: tuple[int, bytes] | None = None  # the number of the payload last swapped in, and its digest
        self._revoked: int | None = None  # the number that was served before reads began to raise
        self._around = around
        self._first_read, self._found = first_read, found
        self._supply = Supply(declaration, around)
        self._looking = Looking(self._climb, around.clock)
        self._state = Entry(pin=declaration.pin, static=declaration.static)
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._failures = 0

    @property
    def in_use(self) -> bool:
        """Whether it has a value, or is about to have one: a first load may be about to swap in what is old by now."""
        # In this order, the reverse of that in which a first load ends.
        return self._flight is not None or self.loaded

    @property
    def behind(self) -> bool:
        """Whether it is in use and knowledge says that it should serve something else."""
        return self.in_use and self._state.behind

    @property
    def revived(self) -> bool:
        """Whether a first load found nothing usable, and news that came since says that there is something."""
        return not self.loaded and self.report.verdict is Verdict.NONE_USABLE and self._state.behind

    @property
    def fixed(self) -> bool:
        """Whether the value never changes in this process: a static entry, or any while refreshing is switched off."""
        return self._state.static

    @property
    def version(self) -> int | None:
        """The number of the version being served; None where none is, 0 where the environment stands in."""
        held = self._served[1]
        return held.version if held is not None else None

    @property
    def outdated(self) -> bool:
        """Whether knowledge says that a service which started now would serve something else."""
        return self._state._replace(static=False).behind

    @property
    def knowledge(self) -> Knowledge:
        """What is known of the secret."""
        return self._state.knowledge

    def first_read(self) -> None:
        """Load because the handle is read cold."""
        self._supply.refuse_inside()
        self._first_read(self)

    def on_change(self, callback: Callback) -> None:
        """See `Secret.on_change`."""
        self.callbacks.add(callback)

    def accepted(self) -> tuple[HeldValue[Any], ...]:
        """See `Secret.accepted`."""
        return self._supply.accepted(self.handle.held, self.knowledge)

    def look(self, *, timeout: float) -> bool:
        """See `Secret.look`."""
        before = self._served[1]
        if not self.fixed:
            self._looking.look(self._around.clock() + timeout)
        return self._served[1] is not before

    def at(self, number: int, *, timeout: float) -> HeldValue[Any] | None:
        """The value of one version, read upstream and not served; None where it is not to be had."""
        return self._supply.at(number, self.knowledge, timeout=timeout)

    def tick(self) -> None:
        """Do what is due about each second."""
        self.callbacks.tick()
        newest = self._served[1]
        if newest is not None:
            self._supply.accepted(newest, self.knowledge)

    def freeze(self) -> None:
        """Never change the value from now on, as if the entry were static."""
        with self._lock:
            self._state = self._state._replace(static=True)

    def tell(self, news: Knowledge) -> None:
        """Merge `news` without acting on it. Memory only."""
        with self._lock:
            self._state = told(self._state, news)
            self._moments.told(behind=self.behind)

    def load(self, *, deadline: float, path: str) -> Rest:
        """Read the pin upstream, unless that has been done; the arguments are those of `refresh`."""
        return self._fly_or_join(read=True, cold=True, deadline=deadline, path=path)

    def refresh(self, *, read: bool = False, climb: bool = False, deadline: float, path: str) -> Rest:
        """Bring the served value in line with what is known.

        Args:
            read: read the pin upstream first, then climb.
            climb: look for a higher number first.
            deadline: monotonic time after which this caller does not wait any more.
            path: by which path the news came, for the log.

        Returns:
            Where it came to rest; FAILED and transient where the deadline passed first.
        """
        read = read or not self.loaded or self.report.substitute is not None
        return self._fly_or_join(read=read, climb=climb, cold=False, deadline=deadline, path=path)

    def _climb(self, deadline: float) -> bool:
        before = self._served[1]
        self.refresh(climb=True, deadline=deadline, path="refused")
        changed = self._served[1] is not before
        if changed:
            self._found(self)
        return changed

    def _fly_or_join(self, *, read: bool, climb: bool = False, cold: bool, deadline: float, path: str) -> Rest:
        self._supply.refuse_inside()
        while True:
            flight, effect, mine = self._enter(read=read, climb=climb, cold=cold, deadline=deadline)
            if flight is None:
                return self._said(effect, path)
            if mine:
                return self._said(self._fly(flight, effect, deadline, path), path)
            if not flight.wait(deadline - self._around.clock()):
                return Rest(Verdict.FAILED, transient=True)
            if flight.rest is not None and not self._lacked_time(flight, deadline):
                return flight.rest
            # Whoever flew was torn down in mid-air (a worker's abort): somebody else takes over.

    def _lacked_time(self, flight: Flight, deadline: float) -> bool:
        # Whoever flew was stopped, say, and failed for want of time alone. Whoever waited has time left.
        rest = flight.rest
        failed = rest is not None and rest.verdict is Verdict.FAILED and rest.transient
        return failed and flight.deadline <= self._around.clock() < deadline

    def _said(self, rest: Rest, path: str) -> Rest:
        # What waits for something that is expected is behind too, and so is what has nothing left to serve.
        behind_s = self._moments.rested(well=rest.verdict is Verdict.SERVED)
        fields: dict[str, Field] = {"version": self.version, "path": path, "behind_s": behind_s}
        say_rested(self._around.voice, self.declaration.name, rest.verdict, self.trouble, **fields)
        return rest

    def after_fork(self) -> None:
        """Turn cold in a forked child: what it inherited is the last good value until it has looked itself.

        Memory only. A static entry keeps its value: it never changes, and the child is of the same service.
        """
        self._lock = threading.Lock()
        self._flight = None
        self.callbacks.after_fork()
        self._supply.after_fork()
        self._looking.after_fork()
        # Also where a thread of the parent was between swapping the first value in and saying so.
        if not (self.loaded and self._state.static):
            self.last_good = make_cold(self.handle) or self.last_good
            self.loaded = False
            self._served = (self._served[0], None)
            self._state = self._state._replace(held=None)

    def fall_back(self) -> bool:
        """Serve what stands in, where there is something and no value could be loaded; say whether one is served.

        The value from before a fork comes first, then the environment's where the declaration allows it. Either is
        replaced as soon as Secret Manager answers.
        """
        found, kind = self._stand_in()  # outside of the lock, since it may run the service's own parse
        with self._lock:
            if self.loaded:
                return True
            if found is None:
                return False
            self._state = self._state._replace(held=Held(found.version, fetched=0, life=-1))
            self._serve(found, changed=False, path=kind)
            self.report.substitute = kind
            if self.retry_at is None:  # no version is usable; a failure has planned its next try
                self._retry_later()
        say_substitute(self._around.voice, self.declaration.name, kind, self.trouble, version=found.version)
        return True

    def _stand_in(self) -> tuple[HeldValue[Any] | None, Substitute]:
        if self.last_good is not None or self.declaration.fallback != "environment":
            return self.last_good, "inherited"
        try:
            return self._supply.from_environment(), "environment"
        except ValueRejected as exc:
            self.trouble = f"{self.trouble}; and the environment variable of that name: {exc}"
            return None, "environment"

    def _serve(self, held: HeldValue[Any], *, changed: bool, path: str) -> None:
        make_hot(self.handle, held)
        self._served = (self._served[0] + changed, held)
        self.loaded, self.last_good = True, None
        self.report.path, self.report.since = path, self._around.wall()
        self.report.substitute = self.report.would = None

    def _enter(self, *, read: bool, climb: bool, cold: bool, deadline: float) -> tuple[Flight | None, Any, bool]:
        with self._lock:
            if cold and self.loaded:  # by somebody else, after this caller had found it cold
                return None, Rest(Verdict.SERVED), False
            flight, effect = self._flight, None
            if flight is None or ((read or climb) and not cold):  # whatever flies on a cold entry reads already
                asked = Asked(read, climb, settle=not self.loaded and self.last_good is None)
                self._state, effect = step(self._state, asked, now=self._around.wall())
            if flight is not None:
                return flight, effect, False
            if isinstance(effect, Rest):
                self._rest(effect)
                return None, effect, False
            self._flight = Flight(deadline)
            return self._flight, effect, True

    def _fly(self, flight: Flight, effect: Any, deadline: float, path: str) -> Rest:
        payloads: dict[int, bytes] = {}
        rest: Rest | None = None
        contradicts = False
        try:
            while rest is None:
                happened = self._carry_out(effect, payloads, deadline, path)
                contradicts = contradicts or self._contradicts(happened)
                with self._lock:
                    self._state, effect = step(self._state, happened, now=self._around.wall())
                    if isinstance(effect, Rest):
                        rest = effect
                        self._rest(rest)
                        self._flight = None
            if contradicts and rest.verdict is Verdict.SERVED:
                # The others look at that version no more: had this read been a stale one, nobody would find it out.
                self._found(self)
            return rest
        finally:
            # Also where a worker's abort or a greenlet's kill passes through: nobody must wait for a dead flight.
            if rest is None:
                with self._lock:
                    self._flight = None
            flight.land(rest)

    def _contradicts(self, happened: Input) -> bool:
        word = self.knowledge.word(happened.number) if isinstance(happened, Found) else None
        return word is not None and word.unusable

    def _carry_out(self, effect: Any, payloads: dict[int, bytes], deadline: float, path: str) -> Input:
        if isinstance(effect, Adopt):
            return self._adopt(effect, payloads, deadline, path)
        return self._access(effect, payloads, deadline)

    def _access(self, access: Access, payloads: dict[int, bytes], deadline: float) -> Input:
        began = self._around.clock()
        heard = ask(self._around, self.declaration.name, access, deadline=deadline)
        self.trouble = heard.trouble or self.trouble
        if isinstance(heard.happened, Found) and heard.data is not None:
            payloads[heard.happened.number] = heard.data
            self._moments.fetched(self._around.clock() - began - access.pause)
            return replace(heard.happened, differs=self._differs(heard.happened.number, heard.data))
        return heard.happened

    def _differs(self, number: int, data: bytes) -> bool:
        return self._adopted is not None and self._adopted[0] == number and self._adopted[1] != _digest(data)

    def _adopt(self, adopt: Adopt, payloads: dict[int, bytes], deadline: float, path: str) -> Input:
        number = adopt.held.number
        try:
            held = self._supply.try_out(number, payloads[number])
        except ValueRejected as exc:
            self.trouble = f"version {number}: {exc}"
            return Rejected(number)
        before = self._before()
        if self._around.observe and self.loaded and self.report.substitute is None:
            self.report.would = number
            self._say(number, before, path, observed=True)
            return Adopted(adopt.held)
        # In a forked child what the parent served, or served until that was revoked, may be of the same number and of
        # another life.
        differs = self._differs(number, payloads[number])
        changed = before is not None and (self.loaded or before != number or differs)
        served = (self._served[1] or self.last_good) if self._state.current else None
        self._supply.replaced(served, number, self.knowledge, deadline=deadline)
        self._serve(held, changed=changed, path=path)
        self._adopted = number, _digest(payloads[number])
        self._say(number, before, path)
        self.callbacks.changed()
        return Adopted(adopt.held)

    def _say(self, number: int, before: int | None, path: str, *, observed: bool = False) -> None:
        took = self._moments.taken(number, before, self.knowledge)
        name, declared = self.declaration.name, self.declaration.as_fields()
        say_adopted(
            self._around.voice, name, number, before=before, path=path, observed=observed, **{**declared, **took}
        )

    def _before(self) -> int | None:
        held = self._served[1] or self.last_good
        return held.version if held is not None else self._revoked

    def _rest(self, rest: Rest) -> None:
        # Under the lock, before anybody who waits is told: memory only.
        self.report.verdict = rest.verdict
        match rest.verdict:
            case Verdict.SERVED:
                self.trouble, self.retry_at, self._failures = None, None, 0
            case Verdict.NONE_USABLE:
                self.retry_at = None
                if self.declaration.on_revoked == "raise" and self._ends() and not self._around.observe:
                    self._revoked = self._before()
                    make_revoked(self.handle)
                    self.loaded, self.last_good = True, None
                    self._served = (self._served[0], None)
                    self._state = self._state._replace(held=None)
            case Verdict.WAITING | Verdict.HELD_BACK | Verdict.FAILED:
                self._retry_later()

    def _ends(self) -> bool:
        # What is there from before a fork stands in for what does not answer, not for what is revoked.
        return self.loaded or (self.last_good is not None and not waits(self._state, self._around.wall()))

    def _retry_later(self) -> None:
        limit = min(RETRY_CAP, RETRY_FIRST * 2 ** min(self._failures, 16))
        self._failures += 1
        self.retry_at = self._around.clock() + limit * self._around.jitter()


def _digest(data: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(data).digest()
