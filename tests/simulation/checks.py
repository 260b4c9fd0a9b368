"""What must hold at every moment: at each change, each answer and each request."""

from typing import TYPE_CHECKING, Any

from .scheduler import SCHEDULER, Broken
from .secret_manager import DESTROYED, DISABLED, ENABLED, Event, Version
from .serving import Served, held_by, is_cold, parsed, said, served


if TYPE_CHECKING:
    from .machines import Worker
    from .world import World


#: Seconds, of `README.md`: a push is answered within, a request waits to catch up, and a first read loads for.
ANSWERED, CAUGHT_UP, LOADED = 6.0, 1.0, 4.0
#: Likewise where nothing takes long but a worker that is silent, which holds up one push for a second.
HELD_UP = 2.0
#: As long may a look have been under way that another thread's request or a start began.
SHARED = 10.0
#: So long may a worker act on what it was told first before it is told of what came after that.
RELAYED = 4.0
#: For what takes no time in a simulation but a turn of its clock.
MOMENT = 0.01

#: Older messages are acknowledged, whatever came of them.
REDELIVERED = 600.0
#: How long failures are retried at most, and the tick that notices.
RETRIED = 300.0


class Checks:
    """Raise `Broken` where a promise is."""

    def __init__(self, world: "World") -> None:
        self.world = world
        settings = world.settings
        self.flaky = bool(settings.callbacks_fail)
        self.lagged, self.troubled = bool(settings.lag), bool(settings.failing or settings.slow)
        self.under_way: list[Worker] = []  # whose requests have not ended

    # At every swap.

    def changed(self, worker: "Worker") -> None:
        """Look at what a worker serves now, and whether there was a reason to go back."""
        for label in worker.heap.handles:
            now, before = served(worker, label), worker.served.get(label)
            if now is None or now == before:
                continue
            worker.served[label] = now
            version = self._version(worker, label, now)
            if all(state != ENABLED for _, state in version.states):
                raise Broken(f"{worker.name} serves {said(now)}, which was never enabled")
            if before is not None:
                self._forward(worker, label, before, now)

    def _version(self, worker: "Worker", label: str, now: Served) -> Version:
        version = self.world.truth.version(*now)
        if version is None:
            raise Broken(f"{worker.name} serves {said(now)} for {label}, which does not exist")
        held = held_by(worker, label)
        if held.version != version.number:
            raise Broken(f"{worker.name}: the value of version {version.number} is shown as version {held.version}")
        return version

    def _forward(self, worker: "Worker", label: str, before: Served, now: Served) -> None:
        if now[0] < before[0]:
            raise Broken(f"{worker.name} went back from {said(before)} to {said(now)}, of a life that is over")
        forward = now[0] > before[0] or now[1] > before[1]
        worker.moved[label] = forward
        if forward or self.alias(label) is not None:
            return
        if not self._reason(worker, self.world.truth.version(*before)):
            raise Broken(f"{worker.name} went back from {said(before)} to {said(now)} without a reason")

    def _reason(self, worker: "Worker", version: Version) -> bool:
        """Whether a version was disabled or destroyed with no newer word heard here that it is usable again.

        To an instance that heard nothing of a re-creation yet, a word on the life before is one on this: numbers start
        again at 1, and what it was told outranks what it read, until the word of the new life comes.
        """
        if self.world.truth.lives[version.life - 1].ended is not None:
            return True  # it is NOT_FOUND by now, and what was read of that life before may be at hand
        revived = max(
            (
                event.stamp
                for event, _, _ in worker.instance.done
                if event.kind == "SECRET_VERSION_ENABLE"
                and (event.life, event.number) == (version.life, version.number)
            ),
            default=-1.0,
        )
        if any(state in (DISABLED, DESTROYED) and when >= revived for when, state in version.states):
            return True
        # Of a version of a later life that nothing was heard of yet, the news of the creation voids what was read; what
        # was pulled waits for its turn.
        # Who acted on what came first had not been told of what came in the seconds that this took.
        came, now = worker.instance.came, SCHEDULER.now
        so_far = [{e: at for e, at in came.items() if at <= when} for when in came.values() if when > now - RELAYED]
        words = [self.world.known(told).word(version.number) for told in (came, worker.instance.heard, *so_far)]
        return any(word.unusable if word is not None else version.life > 1 for word in words)

    def alias(self, label: str) -> str | None:
        pin = self.world.settings.entries[label].get("pin", "latest")
        return pin if pin != "latest" else None

    # At every answer.

    def answered(
        self,
        worker: "Worker",
        event: Event,
        answer: Any,
        began: float,
        awake: "dict[Worker, int]",
        *,
        within: float = ANSWERED,
    ) -> None:
        """Take note of what an acknowledgement promises from now on.

        Args:
            worker: who answered.
            event: what was pushed or pulled.
            answer: the answer.
            began: when its handling began.
            awake: the workers that served then, and how often each had been frozen before.
            within: the seconds that an answer may take.
        """
        if answer.status == 204:
            worker.instance.heard[event] = SCHEDULER.now
        awake = {w: n for w, n in awake.items() if w.freezes == n and not (w.frozen or w.dead or w.leaving)}
        if worker.instance.woke_at > began - HELD_UP:
            # What was under way while nobody here had CPU takes a sibling for silent that could not speak: it reads the
            # board before its next request.
            still = worker.instance.awake()
            awake = {w: n for w, n in awake.items() if w in still}
        if self._quick():
            within = HELD_UP
        if worker in awake and SCHEDULER.now - began > within + MOMENT:
            raise Broken(f"{worker.name} took {SCHEDULER.now - began:.2f} s to answer {event.label}")
        old = SCHEDULER.now - event.stamp >= REDELIVERED
        if answer.name == "HELD_BACK" and event.kind == "SECRET_VERSION_ADD" and not old:
            # A bad version is held back, and no good one together with it.
            worker.instance.done.append((event, began, SCHEDULER.now))
        if answer.name in ("APPLIED", "KNOWN"):
            self._applied(worker, event, began, awake, again=answer.name == "KNOWN")

    def _applied(
        self, worker: "Worker", event: Event, began: float, awake: "dict[Worker, int]", *, again: bool
    ) -> None:
        # What was known before was told to those who were there then.
        good = all(version.good for version in self.world.truth.life.versions)  # or one that is held back stays
        for sibling in ([worker] if again else awake) if good else []:
            for label in sibling.heap.handles:
                now = served(sibling, label)
                # A sibling that may not read has done what it can; the one that answers says so itself.
                if now is not None and (sibling is worker or not self._excused(sibling)):
                    self._kept(sibling, label, now, event)
        worker.instance.done.append((event, began, SCHEDULER.now))
        busy = again and (worker.pushes or self.world.settings.pulls)  # with what another event of the version began
        if self.world.settings.callbacks < 1.0 and not self.flaky and not busy:
            for sibling in awake:
                # Who may not read had nothing to tell; what it has got since came with an answer of its own.
                if sibling is worker or not self._excused(sibling):
                    self._called_back(sibling, event)

    def _quick(self) -> bool:
        settings = self.world.settings
        slow = self.troubled or self.lagged or settings.callbacks or settings.pulls or settings.latency > 0.1
        # What was said to be enabled, and is refused, is asked for again and again.
        return not slow and all(event.kind != "SECRET_VERSION_ENABLE" for event in self.world.events)

    def _called_back(self, worker: "Worker", event: Event) -> None:
        """In a worker that was awake all the while, callbacks have run when a push is acknowledged."""
        # In a later life the same number may have come by the news of its creation, which is acknowledged by itself.
        again = ("SECRET_VERSION_ENABLE", "SECRET_UPDATE")
        if event.kind not in ("SECRET_VERSION_ADD", *again) or event.life > 1:
            return
        # What was enabled, or pointed at, once more since may have come by that, which is acknowledged by itself.
        since = [later for later in self.world.events if later.stamp > event.stamp and later.kind in again]
        if any(later.number == event.number for later in since):
            return
        for label, forward in worker.moved.items():
            held, told, alias = held_by(worker, label), worker.heap.told.get(label), self.alias(label)
            about = event.number if alias is None else (event.aliases or {}).get(alias)
            if held is not None and forward and told != held.value and parsed(held.value) == (event.life, about):
                raise Broken(f"{worker.name} serves {held.value}, and its callback was last told {told}")

    # At every request.

    def request(self, worker: "Worker") -> None:
        """Be one request of a user: catch up, read, and look at what was read."""
        self.under_way.append(worker)
        self._request(worker)
        self.under_way.remove(worker)

    def _request(self, worker: "Worker") -> None:
        began, freezes, due = SCHEDULER.now, worker.freezes, len(worker.instance.done)
        # Who joins waits for a lock that one who is stopped may hold.
        joins = not worker.joined and any(other.freezes for other in worker.instance.workers)
        if not self.fence(worker):
            return
        fenced = SCHEDULER.now - began
        undisturbed = freezes == worker.freezes and not joins
        if undisturbed and fenced > CAUGHT_UP + MOMENT:
            raise Broken(f"a request at {worker.name} waited {fenced:.2f} s to catch up")
        if fenced >= CAUGHT_UP - MOMENT:
            worker.waited_until = SCHEDULER.now + LOADED
        for label, handle in worker.heap.handles.items():
            since, cold = SCHEDULER.now, is_cold(worker, label)
            value = self._read(worker, handle)
            if freezes == worker.freezes and SCHEDULER.now - since > LOADED + MOMENT:
                raise Broken(f"a read at {worker.name} took {SCHEDULER.now - since:.2f} s")
            self.world.say(worker, f"serves a request {label} {value}")
            if isinstance(value, self.world.copy.errors.SecretRevoked):
                self.world.steady.revoked(worker)
            # Who is stopped while it loads has no time left, and the value from before the fork serves.
            robbed = cold and freezes != worker.freezes
            if not robbed and SCHEDULER.now - since < LOADED - MOMENT:
                self.world.steady.looked(worker, label, value, since=since - SHARED if cold else worker.started)
            if isinstance(value, str) and not robbed and not self._excused(worker):
                self._revoked(worker, label, parsed(value), began)
                for event, _, _ in worker.instance.done[:due]:
                    self._kept(worker, label, parsed(value), event)

    def fence(self, worker: "Worker") -> bool:
        """Let a worker catch up; False where it could not join the others, since one was stopped that held a lock."""
        try:
            worker.heap.enter({}, None)
        except self.world.copy.errors.BoardError as exc:
            if not any(other.freezes for other in worker.instance.workers):
                raise
            self.world.say(worker, f"fails a request: {exc}")
            return False
        worker.joined = True
        return True

    def _read(self, worker: "Worker", handle: Any) -> Any:
        errors = self.world.copy.errors
        try:
            return handle.held.value
        except errors.KeyturnError as exc:
            return exc

    def _excused(self, worker: "Worker") -> bool:
        """Whether Secret Manager did not give this worker lately what it asked for: then the last good value serves."""
        return SCHEDULER.now < max(worker.waited_until, self.retried_by(worker))

    def retried_by(self, worker: "Worker") -> float:
        """By when a worker has tried again, whatever failed: pauses double from a second on, and a tick notices."""
        return worker.trouble_at + min(RETRIED, 2.0**worker.troubles) + self.world.settings.tick + 10

    def _kept(self, worker: "Worker", label: str, now: Served, event: Event) -> None:
        """What was acknowledged before the request began must show, as long as nothing newer happened."""
        truth = self.world.truth
        if event.life != truth.life.number or truth.deleted:
            return
        if not self.knows(worker, event.life) and (self.world.settings.skew or event.kind != "SECRET_VERSION_ADD"):
            return
        alias = self.alias(label)
        if alias is not None:
            self._kept_alias(worker, now, event, alias)
            return
        version = truth.version(event.life, event.number) if event.number else None
        if version is None or version.since > event.stamp:
            return
        if version.state == ENABLED and version.good:
            if now < (version.life, version.number):
                raise Broken(f"a request at {worker.name} got {said(now)} after {event.label} was acknowledged")
        elif now == (version.life, version.number) and self._better(worker, event):
            raise Broken(f"a request at {worker.name} got {said(now)} after {event.label} was acknowledged")

    def _revoked(self, worker: "Worker", label: str, now: Served, began: float) -> None:
        """Where reads are to raise, nothing of a deleted secret is served once its deletion was acknowledged."""
        truth = self.world.truth
        if not truth.deleted or self.world.settings.entries[label].get("on_revoked") != "raise":
            return
        for event, when in worker.instance.heard.items():
            if (event.kind, event.life) == ("SECRET_DELETE", truth.life.number) and when < began:
                raise Broken(f"a request at {worker.name} got {said(now)} after its deletion was acknowledged")

    def _better(self, worker: "Worker", event: Event) -> bool:
        """Whether there was something else to serve ever since the event, as far as the instance can know."""
        steady = [v for v in self.world.truth.enabled() if v.good and v.since <= event.stamp]
        return any(len(v.states) == 1 or self._heard_all(worker, v) for v in steady)

    def _kept_alias(self, worker: "Worker", now: Served, event: Event, alias: str) -> None:
        life = self.world.truth.life
        if event.aliases is None or not life.aliases or life.aliases[-1][0] > event.stamp:
            return
        version = self.world.truth.version(life.number, event.aliases.get(alias, 0))
        if version is None or not self._heard_all(worker, version):
            return
        steady = version.good and version.state == ENABLED and version.since <= event.stamp
        if steady and now != (version.life, version.number):
            raise Broken(f"a request at {worker.name} got {said(now)} for {alias} after {event.label} was acknowledged")

    def knows(self, worker: "Worker", life: int) -> bool:
        """Whether the end of the life before was announced to a worker's instance."""
        heard = worker.instance.heard
        ends = (("SECRET_CREATE", life), ("SECRET_DELETE", life - 1))
        return life == 1 or any((event.kind, event.life) in ends for event in heard)

    def _heard_all(self, worker: "Worker", version: Version) -> bool:
        told = [e for e in self.world.events if (e.life, e.number) == (version.life, version.number)]
        return all(event in worker.instance.heard for event in told)
