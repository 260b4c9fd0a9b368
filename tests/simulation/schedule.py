"""Schedules by chance: what kind of world, what happens in it, and the quiet at its end."""

import random
from collections.abc import Callable

from .changes import Changes
from .checks import RETRIED, Checks
from .faults import Faults
from .machines import Worker
from .package import Copy
from .scheduler import SCHEDULER, Broken
from .serving import is_cold, served
from .settings import settings_by
from .where import ANYWHERE, Where
from .world import World


class Failure(AssertionError):
    """A schedule broke a promise; the text has the seed and the story."""


class Schedule:
    """One schedule, from its seed."""

    def __init__(
        self,
        copy: Copy,
        seed: int,
        *,
        small: bool = False,
        where: Where = ANYWHERE,
        story: list[str] | None = None,
    ) -> None:
        self.seed, self.small, self.where = seed, small, where
        self.rng = random.Random(seed * 2 + 1)
        self.settings = where.narrow(settings_by(self.rng, small=small), self.rng)
        SCHEDULER.reset(seed * 2, jumpy=self.settings.jumpy)
        self.world = World(copy, self.settings, story=story)
        self.checks: Checks = self.world.checks
        self.changes = Changes(self.world.truth, self.settings, self.rng, kinds=where.changes)
        self.faults = Faults(self.world, self.rng, small=small, kinds=where.faults)

    def run(self) -> None:
        """Run all of it.

        Raises:
            Broken: a promise was broken.
        """
        try:
            self._begin()
            for _ in range(self.where.times or self.rng.choice([1, 2, 3] if self.small else [1, 2, 3, 4, 6, 10])):
                self._happen()
                SCHEDULER.run(SCHEDULER.now + self._pause())
            self._quiet()
        finally:
            self.world.end()

    def _begin(self) -> None:
        self.changes.begin(self.settings.lead)
        if self.rng.random() < 0.5:
            SCHEDULER.run(self.rng.choice([1.0, 10.0, 400.0]))
        for _ in range(self.settings.instances):
            self.world.start_instance()
        SCHEDULER.run(SCHEDULER.now + self.rng.choice([0.0, 0.01, 1.0, 3.0]))

    def _pause(self) -> float:
        scale = self.rng.choice(self.where.pauses or [0.0, 0.005, 0.05, 0.5, 5.0])
        return scale * self.rng.random()

    def _happen(self) -> None:
        change, fault = self.rng.random(), self.rng.random()
        if change < 0.75:
            self.changes.happen()
        if fault < 0.5:
            self.faults.happen()
        for _ in range(self.rng.choice([0, 1, 2])):
            self._request()

    def _request(self) -> None:
        workers = self.world.workers()
        worker = self.rng.choice(workers) if workers else None
        if worker is not None and worker.ready:
            worker.run(lambda: self.checks.request(worker), name="request")

    # The end.

    def _quiet(self) -> None:
        """Let everything be told, and then everybody must be right within the bound."""
        settings, world = self.settings, self.world
        self.changes.end()
        world.say("----", "from here on things are quiet")
        troubled = bool(settings.pubsub_failing or settings.denied)
        settings.lag = settings.failing = settings.slow = settings.doubled = settings.dropped = 0.0
        settings.callbacks_fail = settings.pubsub_failing = 0.0
        settings.denied = False
        for worker in world.workers():
            self.faults.resume(worker)
        if self.checks.troubled:
            SCHEDULER.run(SCHEDULER.now + 10.0)  # until the slowest access under way has ended
        self._until(lambda: all(m.over for m in world.messages), 1000.0, "a message is never acked")
        if settings.pulls:
            # Opening a subscription takes five ways, and one that has just been deleted is opened once more; who has
            # CPU in requests only gets some every two seconds.
            awake = 3.0 if settings.platform == "always" else 5.0
            self._hear(RETRIED + 10 if troubled else 10 * settings.pubsub_latency + awake)
        self._converge()
        for worker in world.workers():
            if worker.ready:
                worker.run(lambda worker=worker: self._last_request(worker), name="request")
        SCHEDULER.run(SCHEDULER.now + 15.0)
        self._until(lambda: not any(w.alive for w in self.checks.under_way), 60.0, "a request has not ended")
        left = world.hearing.left_behind()
        if left:
            raise Broken(left)

    def _hear(self, seconds: float) -> None:
        """Every instance hears, and is told of all that there is."""
        hearing = self.world.hearing
        workers = self.world.workers()
        starting = 0.0 if workers and all(w.joined and not w.leaving for w in workers) else 15.0
        self._until(lambda: not hearing.deaf(), seconds + starting, "an instance does not hear")
        self._until(hearing.all_acknowledged, 1000.0, "what was pulled is never acknowledged")
        untold = hearing.untold()
        if untold:
            raise Broken(untold)

    def _until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        end = SCHEDULER.now + seconds
        while not done():
            if SCHEDULER.now >= end:
                raise Broken(f"after {seconds:g} s of quiet {what}")
            self._give_cpu()
            SCHEDULER.run(min(end, SCHEDULER.now + 2.0))

    def _give_cpu(self) -> None:
        """Who pulls in requests only, because it has no CPU otherwise or has not joined the others, gets some."""
        for worker in self.world.workers() if self.settings.pulls else []:
            if worker.ready and not worker.holding and (worker.instance.billed or not worker.joined):
                worker.run(lambda worker=worker: self._long_request(worker), name="request")

    def _converge(self) -> None:
        """Awake workers that were told: two seconds. Those that a push passed over: the safety read."""
        self._give_cpu()
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
            if late := self.world.steady.still_behind():
                raise Broken(f"although it has looked since the last change, {'; '.join(late)}")
            self.world.hurry(1.5)  # less often than in truth, since nothing more happens to leaders
            SCHEDULER.run(min(end, SCHEDULER.now + 10.0))
        if behind:
            raise Broken(f"{bound:g} s after everything was told, {'; '.join(behind)}")

    def _behind(self) -> list[str]:
        """Who is behind, of those that have CPU without a request; the others are asked by a request."""
        lazy = self.settings.preload or not self.settings.eager
        for worker in self.world.workers():
            if worker.ready and (worker.instance.billed or lazy):
                worker.run(lambda worker=worker: self._long_request(worker), name="request")
        if self.settings.platform == "requests":
            SCHEDULER.run(SCHEDULER.now + 6.0)
        return self.world.steady.behind()

    def _long_request(self, worker: Worker) -> None:
        self.checks.fence(worker)
        SCHEDULER.block(4.0)  # less than a tick, so that what begins at one is not cut off at once

    def _passed_over(self) -> bool:
        """Whether an instance neither heard of an event nor could read it at its start."""
        passed_over = self.world.hearing.passed_over
        return any(passed_over(instance, event) for instance in self.world.instances for event in self.world.events)

    def _last_request(self, worker: Worker) -> None:
        began, cold = SCHEDULER.now, {label for label in worker.heap.handles if is_cold(worker, label)}
        for _ in range(3):  # a first read has four seconds, and may have a long way to step back
            self.checks.request(worker)
            if worker.loaded:
                break
        if worker.trouble_at < began:
            cold.clear()  # else each access takes so long that a first read may end with what was there before a fork
        steady, untrue = self.world.steady, self.world.hearing.untrue(worker)
        if untrue:
            raise Broken(untrue)
        for label in worker.heap.handles:
            wanted, now = steady.wanted(label), served(worker, label)
            excused = label in cold or steady.cannot_know(worker, label)
            if wanted is not None and now != wanted and not excused:
                raise Broken(f"{worker.name} gives a request {now} for {label} after all is quiet, not {wanted}")


def run(copy: Copy, seed: int, *, small: bool = False, where: Where = ANYWHERE) -> None:
    """Run one schedule; one that fails is run again to tell its story.

    Args:
        copy: the package.
        seed: which schedule.
        small: whether it is one of one instance, with few things that happen.
        where: the kind of world that it plays in.

    Raises:
        Failure: a promise was broken.
    """
    try:
        Schedule(copy, seed, small=small, where=where).run()
    except (Exception, Broken) as exc:
        raise Failure(told(copy, seed, small=small, where=where)) from exc


def told(copy: Copy, seed: int, *, small: bool = False, where: Where = ANYWHERE) -> str:
    """Run a schedule and tell its story."""
    story: list[str] = []
    schedule = Schedule(copy, seed, small=small, where=where, story=story)
    # As they are drawn: the quiet at the end takes the trouble out of them.
    kind = ", ".join(f"{name}={value!r}" for name, value in vars(schedule.settings).items())
    end = "all promises are kept"
    try:
        schedule.run()
    except (Exception, Broken) as exc:  # noqa: BLE001  # whatever it is, it ends the story
        end = f"{type(exc).__name__}: {exc}"
    return "\n".join([f"seed {seed}{' small' if small else ''}: {kind}", *story, f"=> {end}"])
