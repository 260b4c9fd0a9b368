"""What happens to workers, instances and streams."""

import random
from collections.abc import Callable, Sequence

from google.api_core import exceptions

from .machines import Worker
from .scheduler import SCHEDULER
from .world import World


class Faults:
    """Let something happen by chance.

    Args:
        kinds: what, by name; None for all that there is.
    """

    def __init__(self, world: World, rng: random.Random, *, small: bool, kinds: Sequence[str] | None = None) -> None:
        self.world = world
        self.rng = rng
        self.small = small
        usual = _PULLING if world.settings.pulls else _FAULTS
        self._kinds = usual if kinds is None else [getattr(Faults, f"_{kind}") for kind in kinds]

    def happen(self) -> None:
        workers = self.world.workers()
        if workers and self._kinds:
            self.rng.choice(self._kinds)(self, self.rng.choice(workers))

    def _break(self, worker: Worker) -> None:
        """Its stream breaks, or somebody deletes the subscription."""
        found = self.rng.choice(self.world.topic.of(worker.instance) or [None])
        if found is None:
            return
        if self.rng.random() < 0.5:
            self.world.say("Pub/Sub", "breaks the stream")
            for stream in list(found.streams):
                stream.end(exceptions.InternalServerError("it broke"))
        else:
            self.world.say("somebody", "deletes the subscription")
            del self.world.topic.subscriptions[found.path]
            found.delete()
            if self.rng.random() < 0.5 and not self.world.truth.deleted:
                self.world.truth.add()  # while nobody hears

    def _kill_the_leader(self, worker: Worker) -> None:
        """Or stop it."""
        leaders = self.world.hearing.leaders(worker.instance)
        (self._kill if self.rng.random() < 0.7 else self._stop)(leaders[0] if leaders else worker)

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
        SCHEDULER.at(SCHEDULER.now + self.rng.choice([0.5, 2.0, 20.0]), lambda: self.resume(worker))

    def resume(self, worker: Worker) -> None:
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
        """Told to by a reload, which starts another one first; or after so many requests, and another one follows."""
        if not worker.ready or worker.leaving:
            return
        instance, ordered = worker.instance, self.rng.random() < 0.6
        self.world.say(worker, "is asked to leave" if ordered else "has had its share of requests")
        worker.leaving = True
        if ordered:
            instance.start_worker()

        def leave() -> None:
            worker.leave(ordered=ordered)
            self.world.replenish(instance)

        worker.run(leave, name="leave")

    def _scale_in(self, worker: Worker) -> None:
        if worker.ready and not worker.instance.ending:
            self.world.scale_in(worker.instance)

    def _restart(self, worker: Worker) -> None:
        self.world.restart(worker.instance, after=self.rng.choice([0.0, 1.0]))

    def _scale(self, worker: Worker) -> None:
        if not self.small and len(self.world.instances) < 3 and self.world.settings.backstop < 1000:
            self.world.start_instance()

    def _fork(self, worker: Worker) -> None:
        if worker.ready:
            self._soon(worker, lambda: self._forked(worker))

    def _forked(self, worker: Worker) -> None:
        """One of its threads forks, wherever the others are."""
        if not worker.ready:
            return
        child = worker.fork(f"{worker.name}f")
        child.pushed = False
        self.world.say(worker, f"forks {child.name}")

        def live() -> None:
            child.after_fork()
            child.ready = True
            for _ in range(2):
                self.world.checks.request(child)
                SCHEDULER.block(0.3)

        child.run(live, name="main")


_FAULTS: list[Callable[[Faults, Worker], None]] = [
    *[Faults._kill] * 3,
    *[Faults._stop] * 3,
    *[Faults._leave] * 2,
    Faults._restart,
    Faults._scale_in,
    Faults._scale,
    *[Faults._fork] * 2,
]

#: Where instances hear for themselves.
_PULLING = [*_FAULTS, *[Faults._break] * 3, *[Faults._kill_the_leader] * 3]
