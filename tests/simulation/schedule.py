"""Schedules by chance: what kind of world, what happens in it, and the quiet at its end."""

import random
from collections.abc import Callable

from .checks import RETRIED, Checks, served
from .machines import Worker
from .package import Copy
from .scheduler import SCHEDULER, Broken
from .secret_manager import DESTROYED, DISABLED, ENABLED, Version
from .world import Settings, World


class Failure(AssertionError):
    """A schedule broke a promise; the text has the seed and the story."""


def settings_by(rng: random.Random, *, small: bool) -> Settings:
    """Draw the kind of world."""
    chance, pick = rng.random, rng.choice
    found = Settings(
        instances=pick([1] * 13 + [2] * 6 + [3]),
        workers=pick([1] * 7 + [2] * 8 + [3] * 4 + [4]),
        platform="requests" if chance() < 0.3 else "always",
        preload=chance() < 0.15,
        eager=chance() < 0.8,
        delay=pick([0.02, 0.1, 1.0, 3.0]),
        doubled=pick([0.0, 0.0, 0.3]),
        latency=pick([0.005, 0.05, 0.3]),
        lag=pick([0.0, 0.0, 5.0, 120.0, 3600.0]),
        skew=pick([0.0, 0.0, 5.0, 25.0]),
        callbacks=pick([0.0, 0.0, 0.1, 0.9]),
        lead=pick([1, 1, 2, 4]),
        jumpy=pick([0.0, 0.02, 0.1, 0.4]),
    )
    if small:
        found.instances, found.workers, found.lead = 1, pick([1, 1, 2]), 1
    if found.platform == "requests":
        found.monotonic_stops = chance() < 0.5
    trouble = chance()
    if trouble < 0.08:
        found.slow = 0.1
    elif trouble < 0.2:
        found.failing = pick([0.05, 0.3])
    if chance() < 0.1:
        found.callbacks_fail = 0.3
    if chance() < 0.3:
        found.entries["alias"] = {"pin": "live", "type": "text"}
    if chance() < 0.15:
        found.entries["latest"]["on_revoked"] = "raise"
    if found.instances > 1 or found.failing or found.slow or found.lag or chance() < 0.3:
        found.backstop, found.tick = pick([60.0, 120.0]), 5.0
    elif chance() < 0.7:
        found.tick = 5.0
    return found


class Schedule:
    """One schedule, from its seed."""

    def __init__(self, copy: Copy, seed: int, *, small: bool = False, story: list[str] | None = None) -> None:
        self.seed, self.small = seed, small
        self.rng = random.Random(seed * 2 + 1)
        self.settings = settings_by(self.rng, small=small)
        self.world = World(copy, self.settings, seed * 2, story=story)
        self.truth = self.world.truth
        self.checks: Checks = self.world.checks
        self.steady_from = 0.0  # no bad clock's event is younger

    def run(self) -> None:
        """Run all of it.

        Raises:
            Broken: a promise was broken.
        """
        try:
            self._begin()
            for _ in range(self.rng.choice([1, 2, 3] if self.small else [1, 2, 3, 4, 6, 10])):
                self._happen()
                SCHEDULER.run(SCHEDULER.now + self._pause())
            self._quiet()
        finally:
            SCHEDULER.end()

    def _begin(self) -> None:
        self.truth.create()
        for _ in range(self.settings.lead):
            self.truth.add()
        if "alias" in self.settings.entries:
            self.truth.alias({"live": self._some_version().number})
        if self.rng.random() < 0.5:
            SCHEDULER.run(self.rng.choice([1.0, 10.0, 400.0]))
        for _ in range(self.settings.instances):
            self.world.start_instance()
        SCHEDULER.run(SCHEDULER.now + self.rng.choice([0.0, 0.01, 1.0, 3.0]))

    def _pause(self) -> float:
        scale = self.rng.choice([0.0, 0.005, 0.05, 0.5, 5.0])
        return scale * self.rng.random()

    def _some_version(self) -> Version:
        versions = self.truth.life.versions
        return versions[-1] if self.rng.random() < 0.6 else self.rng.choice(versions)

    def _some_worker(self) -> Worker | None:
        workers = self.world.workers()
        return self.rng.choice(workers) if workers else None

    # What may happen.

    def _happen(self) -> None:
        change, fault = self.rng.random(), self.rng.random()
        if change < 0.75:
            self._change()
        if fault < 0.5:
            worker = self._some_worker()
            if worker is not None:
                self.rng.choice(_FAULTS)(self, worker)
        for _ in range(self.rng.choice([0, 1, 2])):
            self._request()

    def _change(self) -> None:
        if self.truth.deleted:
            self._create()
            return
        if SCHEDULER.now < self.steady_from:
            SCHEDULER.run(self.steady_from)
        self.rng.choice(_CHANGES)(self)

    def _rotate(self) -> None:
        before = self.truth.enabled()
        self.truth.add()
        if before and self.rng.random() < 0.6:
            SCHEDULER.run(SCHEDULER.now + self.rng.choice([0.0, 0.01, 2.0]))
            self._move(before[-1], self.rng.choice([DISABLED, DESTROYED]))

    def _add(self) -> None:
        self.truth.add(good=self.rng.random() < 0.93)

    def _disable(self) -> None:
        self._move(self._some_version(), DISABLED)

    def _destroy(self) -> None:
        self._move(self._some_version(), DESTROYED)

    def _enable(self) -> None:
        disabled = [v for v in self.truth.life.versions if v.state == DISABLED]
        if disabled:
            self._move(self.rng.choice(disabled), ENABLED)

    def _move(self, version: Version, state: str, *, ahead: float = 0.0) -> None:
        if version.state not in (state, DESTROYED):
            self.truth.move(version, state, ahead=ahead)

    def _from_a_bad_clock(self) -> None:
        """A server's clock is a year ahead; what is done a minute later must count nevertheless."""
        version = self._some_version()
        state = ENABLED if version.state == DISABLED else DISABLED
        self._move(version, state, ahead=365 * 86400.0)
        self.steady_from = SCHEDULER.now + 61.0

    def _alias(self) -> None:
        self.truth.alias({"live": self._some_version().number})

    def _delete(self) -> None:
        self.truth.delete()
        if self.rng.random() < 0.7:
            SCHEDULER.run(SCHEDULER.now + self.rng.choice([0.0, 1.0]))
            self._create()

    def _create(self) -> None:
        self.truth.create(said=self.rng.random() < 0.8)
        for _ in range(self.rng.choice([1, 1, 2])):
            self.truth.add()
        if "alias" in self.settings.entries:
            self._alias()

    def _request(self) -> None:
        worker = self._some_worker()
        if worker is not None and worker.ready:
            worker.run(lambda: self.checks.request(worker), name="request")

    # Faults.

    def _kill(self, worker: Worker) -> None:
        self._soon(worker, lambda: self._killed(worker))

    def _killed(self, worker: Worker) -> None:
        self.world.say(worker, "is killed")
        self.world.end_of(worker, after=0.1)

    def _stop(self, worker: Worker) -> None:
        def stopped() -> None:
            self.world.say(worker, "is stopped")
            worker.stop()

        self._soon(worker, stopped)
        SCHEDULER.at(SCHEDULER.now + self.rng.choice([0.5, 2.0, 20.0]), lambda: self._resume(worker))

    def _resume(self, worker: Worker) -> None:
        worker.fuse = 0
        if worker.stopped and worker.alive:
            self.world.say(worker, "goes on")
            worker.resume()

    def _soon(self, worker: Worker, what: Callable[[], None]) -> None:
        """At once, or in the middle of what it does next."""
        if self.rng.random() < 0.3:
            what()
        else:
            worker.fuse, worker.burnt = self.rng.randrange(1, 200), what

    def _leave(self, worker: Worker) -> None:
        if worker.ready and not worker.leaving:
            instance = worker.instance
            self.world.say(worker, "is asked to leave")
            worker.leaving = True
            worker.run(worker.leave, name="leave")
            instance.start_worker()

    def _restart(self, worker: Worker) -> None:
        self.world.restart(worker.instance, after=self.rng.choice([0.0, 1.0]))

    def _scale(self, worker: Worker) -> None:
        if not self.small and len(self.world.instances) < 3 and self.settings.backstop < 1000:
            self.world.start_instance()

    def _fork(self, worker: Worker) -> None:
        if worker.ready:
            worker.run(lambda: self._forked(worker), name="fork")

    def _forked(self, worker: Worker) -> None:
        child = worker.fork(f"{worker.name}f")
        child.pushed = False
        self.world.say(worker, f"forks {child.name}")

        def live() -> None:
            child.after_fork()
            child.ready = True
            for _ in range(2):
                self.checks.request(child)
                SCHEDULER.block(0.3)

        child.run(live, name="main")

    # The end.

    def _quiet(self) -> None:
        """Let everything be told, and then everybody must be right within the bound."""
        settings, truth = self.settings, self.truth
        if truth.deleted:
            self._create()
        if not truth.enabled() or not truth.enabled()[-1].good:
            truth.add()
        if "alias" in settings.entries:
            truth.alias({"live": truth.enabled()[-1].number})
        self.world.say("----", "from here on things are quiet")
        settings.lag = settings.failing = settings.slow = settings.doubled = 0.0
        settings.callbacks_fail = 0.0
        for worker in self.world.workers():
            self._resume(worker)
        if self.checks.troubled:
            SCHEDULER.run(SCHEDULER.now + 10.0)  # until the slowest access under way has ended
        self._until(lambda: all(m.acked is not None for m in self.world.messages), 1000.0, "a message is never acked")
        self._converge()
        for worker in self.world.workers():
            if worker.ready:
                worker.run(lambda worker=worker: self._last_request(worker), name="request")
        SCHEDULER.run(SCHEDULER.now + 7.0)

    def _until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        end = SCHEDULER.now + seconds
        while not done():
            if SCHEDULER.now >= end:
                raise Broken(f"after {seconds:g} s of quiet {what}")
            SCHEDULER.run(min(end, SCHEDULER.now + 2.0))

    def _converge(self) -> None:
        """Awake workers that were told: two seconds. Those that a push passed over: the safety read."""
        SCHEDULER.run(SCHEDULER.now + 2.0)
        bound = 1.5 * self.settings.backstop + 2 * self.settings.tick + 40 if self._passed_over() else 0.0
        workers = self.world.workers()
        retried = max((self.checks.retried_by(worker) for worker in workers), default=0.0) - SCHEDULER.now
        if self.checks.flaky or not all(worker.ready for worker in workers):
            retried = RETRIED + 10
        if retried > 0:
            bound = max(bound, retried + 2 * self.settings.tick)
        end = SCHEDULER.now + bound
        while (behind := self._behind()) and SCHEDULER.now < end:
            SCHEDULER.run(min(end, SCHEDULER.now + 10.0))
        if behind:
            raise Broken(f"{bound:g} s after everything was told, {'; '.join(behind)}")

    def _behind(self) -> list[str]:
        """Who is behind, of those that have CPU without a request; the others are asked by a request."""
        for worker in self.world.workers():
            if worker.ready and (worker.instance.billed or not self.settings.eager):
                worker.run(lambda worker=worker: self._long_request(worker), name="request")
        if self.settings.platform == "requests":
            SCHEDULER.run(SCHEDULER.now + 6.0)
        return self.checks.behind()

    def _long_request(self, worker: Worker) -> None:
        worker.heap.cache.fence()
        SCHEDULER.block(4.0)  # less than a tick, so that what begins at one is not cut off at once

    def _passed_over(self) -> bool:
        """Whether an instance neither heard of an event nor could read it at its start."""
        events = [message.event for message in self.world.messages]
        return any(
            event not in instance.heard and (self.checks.lagged or event.stamp > instance.started)
            for instance in self.world.instances
            for event in events
        )

    def _last_request(self, worker: Worker) -> None:
        self.checks.request(worker)
        for label in worker.heap.handles:
            wanted, now = self.checks.wanted(label), served(worker, label)
            if wanted is not None and now != wanted and not self.checks.cannot_know(worker, label):
                raise Broken(f"{worker.name} gives a request {now} for {label} after all is quiet, not {wanted}")


_CHANGES: list[Callable[[Schedule], None]] = [
    *[Schedule._rotate] * 6,
    *[Schedule._add] * 4,
    *[Schedule._disable] * 4,
    *[Schedule._enable] * 4,
    Schedule._destroy,
    Schedule._from_a_bad_clock,
    *[Schedule._alias] * 2,
    Schedule._delete,
]

_FAULTS: list[Callable[[Schedule, Worker], None]] = [
    *[Schedule._kill] * 3,
    *[Schedule._stop] * 3,
    *[Schedule._leave] * 2,
    Schedule._restart,
    Schedule._scale,
    *[Schedule._fork] * 2,
]


def run(copy: Copy, seed: int, *, small: bool = False) -> None:
    """Run one schedule; one that fails is run again to tell its story.

    Args:
        copy: the package.
        seed: which schedule.
        small: whether it is one of one instance, with few things that happen.

    Raises:
        Failure: a promise was broken.
    """
    try:
        Schedule(copy, seed, small=small).run()
    except (Exception, Broken) as exc:
        raise Failure(told(copy, seed, small=small)) from exc


def told(copy: Copy, seed: int, *, small: bool = False) -> str:
    """Run a schedule and tell its story."""
    story: list[str] = []
    schedule = Schedule(copy, seed, small=small, story=story)
    end = "all promises are kept"
    try:
        schedule.run()
    except (Exception, Broken) as exc:  # noqa: BLE001  # whatever it is, it ends the story
        end = f"{type(exc).__name__}: {exc}"
    kind = ", ".join(f"{name}={value!r}" for name, value in vars(schedule.settings).items())
    return "\n".join([f"seed {seed}{' small' if small else ''}: {kind}", *story, f"=> {end}"])
