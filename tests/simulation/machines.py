"""The processes of an instance: what runs the package, and what happens to it.

A worker holds a real `SecretCache` and a real `PushHandler`. Around it: its descriptors, sockets and locks, which the
kernel takes back when it dies. A *master* loads the service, serves nothing, and forks the workers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .forking import Forking
from .kernel import signal
from .scheduler import SCHEDULER, Broken, Process, Task
from .secret_manager import PROJECT
from .serving import served
from .threads import monotonic, sleep


if TYPE_CHECKING:
    from .client import StreamingPull
    from .instances import Instance
    from .world import World

#: Seconds within which Cloud Run's containers have to end.
GRACE = 10.0


class Heap:
    """What a worker's program holds: copied by a fork."""

    def __init__(self) -> None:
        self.cache: Any = None
        self.handler: Any = None
        self.enter: Any = None  # what each request begins with
        self.handles: dict[str, Any] = {}
        self.told: dict[str, Any] = {}  # what the callback of an entry was last called with
        self.forkables: list[Any] = []


class Worker(Process):
    """One process of an instance."""

    def __init__(
        self, world: "World", instance: "Instance", name: str, *, master: bool = False, forker: "Worker | None" = None
    ) -> None:
        super().__init__(name)
        self.world = world
        self.instance = instance
        self.pid = world.pids()
        self.files = instance.files
        self.descriptors: dict[int, Any] = {}
        self.sockets: dict[Any, None] = {}
        self.book = world.copy.locks._Book()
        self.heap = Heap()
        self.stopped = False
        self.freezes = 0
        self.ready = False  # it serves requests
        self.pushed = True  # it gets pushes
        self.joined = False  # it has met its siblings
        self.leaving = self.has_left = False
        self.master = master
        self.forker = forker  # whose child it is; a server's master where nobody else's
        self.main: Task | None = None
        self.handlers: dict[int, Any] = {}  # of signals
        self.streams: list[StreamingPull] = []
        self.answers: dict[str, list[tuple[float, str]]] = {}  # what it said of the messages that it pulled
        self.started = SCHEDULER.now
        self.trouble_at = -1e9  # when an access failed, or lied
        self.troubles = 0
        self.asked: dict[str, list[float]] = {}  # what it asked for, and when
        self.waited_until = -1e9  # how long what a request waited for in vain may take yet
        self.pushes: dict[Any, None] = {}
        self.holding = 0  # how many requests and the like of it give its instance CPU
        self.served: dict[str, tuple[int, int]] = {}  # (life, number) per entry, as it was last seen
        self.moved: dict[str, bool] = {}  # the entries that changed since they were first loaded: forwards?
        self.flying = 0
        self.lost = instance.lost
        self.frozen = instance.frozen
        if not master:
            instance.workers[self] = None

    @property
    def loaded(self) -> bool:
        """Whether every entry has a value."""
        return all(served(self, label) for label in self.heap.handles)

    @property
    def member(self) -> str:
        """Its name among its siblings."""
        return self.heap.cache._worker.membership.member

    @property
    def alive(self) -> bool:
        return not self.dead

    @property
    def parent(self) -> int:
        """The process id of its parent; 1, which is the server's master, where that is no simulated process."""
        return 1 if self.forker is None or self.forker.dead else self.forker.pid

    @property
    def has_younger_siblings(self) -> bool:
        """Whether its parent has forked another process since."""
        return any(w.parent == self.parent and w.pid > self.pid for w in self.instance.workers)

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

        task = SCHEDULER.spawn(self, held, name=name)
        self.main = self.main or task
        return task

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
            events=settings.events,
            topic="secret-events",
            spread=settings.spread,
            environ={"K_SERVICE": "shop"} if settings.pulls and settings.platform == "requests" else {},
            clock=monotonic,
            wall=world.wall,
            jitter=world.jitter,
            pause=sleep,
        )
        heap.enter = heap.cache.fenced(lambda environ, start: [])
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
        if self._load():
            self.joined = self.world.settings.eager
            self.ready = True
            self.world.say(self, "serves")
            self.world.steady.has_started(self)

    def preload(self) -> None:
        """Start as a master that loads, and forks the workers."""
        if self._load():
            self.instance.start_workers()

    def _load(self) -> bool:
        try:
            self.build()
            if self.world.settings.eager:
                self.heap.cache.load(timeout=10.0)
        except self.world.copy.errors.KeyturnError as exc:
            self.world.say(self, f"could not start: {exc}")
            self.world.failed_to_start(self, exc)
            return False
        return True

    def inherit(self) -> None:
        """Start as a worker that a master forked."""
        self.after_fork()
        self.ready = True
        self.world.say(self, "serves what it inherited")

    def leave(self, *, ordered: bool = True) -> None:
        """End in good order: no new requests, close, exit.

        Args:
            ordered: whether it was told to by a signal; else it has had its share of requests.
        """
        self.leaving, self.ready = True, False
        if ordered:
            self.order()
        for _ in range(100):
            if self.holding <= 1:  # this thread's
                break
            sleep(0.1)
        began, freezes = SCHEDULER.now, self.freezes
        followed = self._is_followed(ordered=ordered)
        board = any(path.startswith("/run/") for path in self.files.found)
        self.heap.cache.close()
        if SCHEDULER.now - began > GRACE and self.freezes == freezes:
            raise Broken(f"{self.name} took {SCHEDULER.now - began:.2f} s to leave")
        self.world.say(self, "has left")
        if not any(path.startswith("/run/") for path in self.files.found):
            if board and followed and self._is_followed(ordered=ordered) and self.freezes == freezes:
                raise Broken(f"{self.name} takes along what its container knows, although another worker follows")
            # The last to leave takes the board along, and whoever starts here next knows of nothing.
            self.instance.came.clear()
            self.instance.heard.clear()
            self.instance.done.clear()
        self.has_left, self.instance.left_at = True, SCHEDULER.now
        self.die()

    def order(self) -> None:
        """SIGTERM."""
        handler = self.handlers.get(signal.SIGTERM)
        if handler is not None:
            handler(signal.SIGTERM, None)

    def _is_followed(self, *, ordered: bool) -> bool:
        """Whether gunicorn shows that another worker comes after this one."""
        settings = self.world.settings
        if not settings.gunicorn or self.instance.ending or self.forker not in (None, self.instance.master):
            return False
        seen = settings.eager and not settings.preload  # it has joined on its main thread, which can watch for orders
        return self.has_younger_siblings or (seen and not ordered)

    def die(self) -> None:
        """End at once, wherever it is; the kernel takes back what was its."""
        if self.dead:
            return
        self.dead, self.ready = True, False
        self.instance.orderly = self.instance.orderly and (self.has_left or self.master)
        self.world.hearing.ends(self)
        self.instance.workers.pop(self, None)
        for sock in list(self.sockets):
            if sock.end is not None:
                sock.end.released()
        for opened in self.descriptors.values():
            if opened.inode.locked_by is self:
                opened.inode.locked_by = None
            opened.released()
        for push in list(self.pushes):
            push.broken()
        for stream in list(self.streams):
            stream.lost()
        self.instance.active -= self.holding
        if not self.instance.dead:
            self.instance.settle()

    def stop(self) -> None:
        """SIGSTOP."""
        self.world.hearing.ends(self, within=4.0)
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
            self.instance.orderly = self.instance.orderly and not (self.stopped and self.instance.ending)
        elif self.frozen and not frozen:
            SCHEDULER.thaw(self)

    def fork(self, name: str) -> "Worker":
        """Copy this process, as one of its threads calls for it; the child does nothing yet."""
        child = Worker(self.world, self.instance, name, forker=self)
        child.lost = self.lost
        for number, opened in self.descriptors.items():
            opened.references += 1
            child.descriptors[number] = opened
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
