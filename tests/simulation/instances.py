"""Instances: containers with their files, their workers and their CPU."""

from itertools import count
from typing import TYPE_CHECKING, Any

from .files import Files
from .machines import GRACE, Worker
from .scheduler import SCHEDULER


if TYPE_CHECKING:
    from .world import World


class Instance:
    """One container: its files, its workers, its CPU."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.files = Files()
        self.workers: dict[Worker, None] = {}
        self.master: Worker | None = None
        self.ending = False  # in good order
        self.orderly = True  # nothing has kept it from that
        self.dead = False
        self.started = SCHEDULER.now
        self.billed = world.settings.platform == "requests"  # CPU only while a request runs
        self.active = 0
        self.frozen = self.billed
        self.frozen_at = SCHEDULER.now
        self.woke_at = -1e9  # when it got CPU again
        self.lost = 0.0
        #: The seconds by which its wall clock is wrong.
        self.skew = world.skew()
        #: Events that a push was answered 204 for: (event, when its handling began, when it was answered).
        self.done: list[tuple[Any, float, float]] = []
        self.came: dict[Any, float] = {}  # the events that were pushed here, whatever came of it, and when first
        self.heard: dict[Any, float] = {}  # the events that were acknowledged here, whatever came of it, and when
        self.unheard_at = -1e9  # when Pub/Sub last failed its fleet
        self.left_at = -1e9  # when a worker last left in good order
        self._numbers = count(1).__next__

    def begin(self) -> None:
        """A request begins, or something else that has CPU."""
        self.active += 1
        self.settle()

    def end(self) -> None:
        self.active -= 1
        self.settle()

    def settle(self) -> None:
        frozen = self.billed and self.active <= 0
        if frozen == self.frozen:
            return
        self.frozen = frozen
        if frozen:
            self.frozen_at = SCHEDULER.now
        else:
            self.woke_at = SCHEDULER.now
            if self.world.settings.monotonic_stops:
                self.lost += SCHEDULER.now - self.frozen_at
        for worker in [*self.workers, *([self.master] if self.master is not None else [])]:
            worker.lost = self.lost
            worker.settle()

    def start(self) -> None:
        """Start as the server does."""
        if self.world.settings.preload:
            self.master = Worker(self.world, self, f"{self.name}/m", master=True)
            self.master.run(self.master.preload, name="main")
        else:
            self.start_workers()

    def start_workers(self) -> None:
        for _ in range(self.world.settings.workers):
            self.start_worker()

    def start_worker(self) -> None:
        name = f"{self.name}/w{self._numbers()}"
        if self.master is not None:
            child = self.master.fork(name)
            child.run(child.inherit, name="main")
        else:
            worker = Worker(self.world, self, name)
            worker.run(worker.boot, name="main")

    def awake(self) -> dict[Worker, int]:
        """The workers that serve, have CPU and are not lagging, and how often each was frozen before."""
        lagging = [path.rpartition("/")[2].removesuffix(".lag") for path in self.files.found if path.endswith(".lag")]
        serving = [w for w in self.workers if w.joined and not w.frozen and w.loaded]
        return {w: w.freezes for w in serving if w.member not in lagging}

    def end_in_order(self) -> None:
        """As a platform does that needs it no more: every worker is told to end."""
        self.ending = True
        for worker in list(self.workers):
            if worker.leaving:
                worker.order()  # a server's master tells all that it has
            else:
                worker.run(worker.leave, name="leave")
        SCHEDULER.at(SCHEDULER.now + 3 * GRACE, self.crash)

    def crash(self) -> None:
        """All of it at once; its files are gone with it."""
        if self.dead:
            return
        self.dead = True
        self.orderly = self.orderly and not self.workers
        for worker in [*self.workers, *([self.master] if self.master is not None else [])]:
            worker.die()
