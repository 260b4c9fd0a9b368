"""Instances and their processes: what runs the package, and what happens to it.

A worker holds a real `SecretCache` and a real `PushHandler`. Around it: its descriptors, sockets and locks, which the
kernel takes back when it dies; the instance's files; and the platform's CPU.
"""

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

from .checks import served
from .files import Files
from .forking import Forking
from .scheduler import SCHEDULER, Process, Task
from .secret_manager import PROJECT
from .threads import monotonic, sleep


if TYPE_CHECKING:
    from .world import World


class Heap:
    """What a worker's program holds: copied by a fork."""

    def __init__(self) -> None:
        self.cache: Any = None
        self.handler: Any = None
        self.handles: dict[str, Any] = {}
        self.told: dict[str, Any] = {}  # what the callback of an entry was last called with
        self.forkables: list[Any] = []


class Worker(Process):
    """One process of an instance."""

    _pids = count(100).__next__

    def __init__(self, world: "World", instance: "Instance", name: str) -> None:
        super().__init__(name)
        self.world = world
        self.instance = instance
        self.pid = Worker._pids()
        self.files = instance.files
        self.descriptors: dict[int, Any] = {}
        self.last_descriptor = 2
        self.sockets: dict[Any, None] = {}
        self.book = world.copy.locks._Book()
        self.heap = Heap()
        self.stopped = False
        self.freezes = 0
        self.ready = False  # it serves requests
        self.pushed = True  # it gets pushes
        self.joined = False  # it has met its siblings
        self.leaving = False
        self.master = False
        self.started = SCHEDULER.now
        self.trouble_at = -1e9  # when an access failed, or lied
        self.troubles = 0
        self.waited_until = -1e9  # how long what a request waited for in vain may take yet
        self.pushes: dict[Any, None] = {}
        self.holding = 0  # how many requests and the like of it give its instance CPU
        self.served: dict[str, tuple[int, int]] = {}  # (life, number) per entry, as it was last seen
        self.moved: dict[str, bool] = {}  # the entries that changed since they were first loaded: forwards?
        self.flying = 0
        self.lost = instance.lost
        self.frozen = instance.frozen
        instance.workers[self] = None

    @property
    def loaded(self) -> bool:
        """Whether every entry has a value."""
        return all(served(self, label) for label in self.heap.handles)

    @property
    def alive(self) -> bool:
        return not self.dead

    def run(self, work: Callable[[], object], *, name: str) -> Task:
        """Start a thread for which the platform gives CPU until it ends."""
        self.holding += 1
        self.instance.begin()

        def held() -> None:
            try:
                work()
            finally:
                if not self.dead and not SCHEDULER.over:
                    self.holding -= 1
                    self.instance.end()

        return SCHEDULER.spawn(self, held, name=name)

    def build(self) -> None:
        """What a service's module does when it is imported."""
        world, heap = self.world, self.heap
        settings = world.settings
        heap.cache = world.copy.cache.SecretCache(
            PROJECT,
            service="shop",
            source=world.source,
            run_dir="/run",
            backstop=settings.backstop,
            environ={},
            clock=monotonic,
            wall=world.wall,
            jitter=world.jitter,
            pause=sleep,
        )
        heap.handler = world.copy.handler.PushHandler(heap.cache, world.auth, clock=monotonic, wall=world.wall)
        for label, declared in settings.entries.items():
            handle = heap.cache.secret("KEY", **declared)
            heap.handles[label] = handle
            handle.on_change(_callback(heap, label, world))

    def trouble(self, after: float = 0.0) -> None:
        """Secret Manager does not give this worker what it asks for, now or a little later."""
        self.trouble_at = max(self.trouble_at, SCHEDULER.now + after)
        self.troubles += 1

    def boot(self) -> None:
        """Start as a worker that loads before it serves."""
        try:
            self.build()
            if self.world.settings.eager:
                self.heap.cache.load(timeout=10.0)
                self.joined = True
            self.ready = True
            self.world.say(self, "serves")
        except self.world.copy.errors.KeyturnError as exc:
            self.world.say(self, f"could not start: {exc}")
            self.world.failed_to_start(self)

    def leave(self) -> None:
        """End in good order: no new requests, close, exit."""
        self.leaving, self.ready = True, False
        for _ in range(100):
            if self.holding <= 1:  # this thread's
                break
            sleep(0.1)
        self.heap.cache.close()
        self.world.say(self, "has left")
        if not any(path.startswith("/run/") for path in self.files.found):
            # The last to leave takes the board along, and whoever starts here next knows of nothing.
            self.instance.came.clear()
            self.instance.heard.clear()
            self.instance.done.clear()
        self.die()

    def die(self) -> None:
        """End at once, wherever it is; the kernel takes back what was its."""
        if self.dead:
            return
        self.dead, self.ready = True, False
        del self.instance.workers[self]
        for sock in list(self.sockets):
            if sock.end is not None:
                sock.end.released()
        for opened in self.descriptors.values():
            if opened.inode.locked_by is self:
                opened.inode.locked_by = None
            opened.released()
        for push in list(self.pushes):
            push.broken()
        self.instance.active -= self.holding
        if not self.instance.dead:
            self.instance.settle()

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True
        self.settle()

    def resume(self) -> None:
        """SIGCONT."""
        self.stopped = False
        self.settle()

    def settle(self) -> None:
        """Be frozen or not, as the signals and the platform say."""
        frozen = self.stopped or self.instance.frozen
        if frozen and not self.frozen:
            self.frozen, self.freezes = True, self.freezes + 1
        elif self.frozen and not frozen:
            SCHEDULER.thaw(self)

    def fork(self, name: str) -> "Worker":
        """Copy this process, as one of its threads calls for it; the child does nothing yet."""
        child = Worker(self.world, self.instance, name)
        child.lost = self.lost
        for number, opened in self.descriptors.items():
            opened.references += 1
            child.descriptors[number] = opened
        child.last_descriptor = self.last_descriptor
        current = SCHEDULER.current
        SCHEDULER.current = Task(child, "fork")
        copied = Forking()
        child.heap = copied(self.heap)
        child.book = copied(self.book)
        SCHEDULER.current = current
        child.served = dict(self.served)
        return child

    def after_fork(self) -> None:
        """What the interpreter calls in the child."""
        self.book.forget()
        for what in self.heap.forkables:
            what.after_fork()


def _callback(heap: Heap, label: str, world: "World") -> Callable[[Any], None]:
    def told(held: Any) -> None:
        world.called_back(held)
        heap.told[label] = held.value

    return told


class Instance:
    """One container: its files, its workers, its CPU."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.files = Files()
        self.workers: dict[Worker, None] = {}
        self.dead = False
        self.started = SCHEDULER.now
        self.billed = world.settings.platform == "requests"  # CPU only while a request runs
        self.active = 0
        self.frozen = self.billed
        self.frozen_at = SCHEDULER.now
        self.lost = 0.0
        #: The seconds by which its wall clock is wrong.
        self.skew = world.skew()
        #: Events that a push was answered 204 for: (event, when its handling began, when it was answered).
        self.done: list[tuple[Any, float, float]] = []
        self.came: dict[Any, None] = {}  # the events that were pushed here, whatever came of it
        self.heard: dict[Any, float] = {}  # the events that were acknowledged here, whatever came of it, and when
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
        elif self.world.settings.monotonic_stops:
            self.lost += SCHEDULER.now - self.frozen_at
        for worker in list(self.workers):
            worker.lost = self.lost
            worker.settle()

    def start_worker(self) -> Worker:
        worker = Worker(self.world, self, f"{self.name}/w{self._numbers()}")
        worker.run(worker.boot, name="main")
        return worker

    def crash(self) -> None:
        """All of it at once; its files are gone with it."""
        self.dead = True
        for worker in list(self.workers):
            worker.die()
