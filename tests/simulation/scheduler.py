"""Who runs next: threads of simulated processes as greenlets, and a clock that moves only when nobody can run.

There is one scheduler for the process that simulates (`SCHEDULER`), reset before each schedule. Everything that a
thread could block in, and every call of the operating system, comes through here, and a seeded generator decides.
"""

import gc
import heapq
import random
from collections.abc import Callable
from itertools import count
from typing import Any

import greenlet


class Broken(BaseException):
    """A promise was broken; the text says which, where and when.

    No `Exception`, and remembered by the scheduler, so that nothing in the code under test can swallow it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        if SCHEDULER.broken is None:
            SCHEDULER.broken = self


class Process:
    """One simulated process: what the operating system keeps for it. Subclasses hold its heap.

    A process that is frozen (stopped, or without CPU) keeps its threads where they are. One that is dead never runs
    again.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen = False
        self.parked: list[Task] = []
        #: After so many more of its steps `burnt` is called: a crash or a stop in the middle of anything.
        self.fuse = 0
        self.burnt: Callable[[], None] | None = None
        #: Seconds by which its monotonic clock has stood still (some sandboxes stop it while they are frozen).
        self.lost = 0.0


class Task:
    """One thread."""

    __slots__ = ("ended", "greenlet", "joiners", "name", "process", "thread", "timed_out", "token")

    def __init__(self, process: Process, name: str) -> None:
        self.process = process
        self.name = name
        self.token = 0  # what it waits for; 0 while it does not
        self.timed_out = False
        self.ended = False
        self.joiners: list[Task] = []
        self.thread: Any = None  # the package's object, where it has one


class Scheduler:
    """Run tasks one at a time. A task gives way where it blocks and, by chance, at each step."""

    def __init__(self) -> None:
        self.hub = greenlet.getcurrent()
        self.kernel = Process("kernel")
        self.entered: Callable[[Process], None] = lambda process: None
        self.over = True
        self.reset(0, jumpy=0.0)
        gc.enable()

    def reset(self, seed: int, *, jumpy: float) -> None:
        """Begin a schedule, before its world is made; `jumpy` is the chance to give way at a step."""
        # What is left of the one before (a lock that is released when it is collected, say) must not play in this
        # one, whose own is collected after its end: otherwise a seed would not replay exactly. What is older than this
        # is not looked at again, which would take longer than a schedule. Whoever runs schedules switches the collector
        # on again.
        gc.disable()
        gc.collect(1)
        self.random = random.Random(seed).random
        self.jumpy = jumpy
        self.now = 0.0
        self.steps = 0
        # What is refused comes again for ten minutes, in which a dozen workers look around four times a second.
        self.most = 500_000
        self.ready: list[Task] = []
        self.timers: list[tuple[float, int, Any]] = []
        self.broken: Broken | None = None
        self.current: Task | None = None
        self.tasks: dict[Task, None] = {}
        self._running: Process | None = None
        self._counter = count(1).__next__
        self.hub = greenlet.getcurrent()
        self.over = False

    @property
    def process(self) -> Process:
        """Whose thread is running."""
        return self.current.process if self.current is not None else self.kernel

    def spawn(self, process: Process, work: Callable[[], object], *, name: str) -> Task:
        """Start a thread."""
        task = Task(process, name)

        def body() -> None:
            try:
                work()
            finally:
                task.ended = True
                self.tasks.pop(task, None)
            for joiner in task.joiners:
                self.wake(joiner)

        task.greenlet = greenlet.greenlet(body, self.hub)
        self.tasks[task] = None
        self.ready.append(task)
        return task

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Call `call`, which must not block, at a time."""
        heapq.heappush(self.timers, (max(when, self.now), self._counter(), call))

    def block(self, timeout: float | None = None) -> bool:
        """Wait until another task wakes this one; False where `timeout` seconds passed first."""
        if self.over:
            raise greenlet.GreenletExit
        task = self.current
        task.token = token = self._counter()
        task.timed_out = False
        if timeout is not None:
            # A little later than asked for, as everywhere: a wait that rounds to nothing would never end.
            heapq.heappush(self.timers, (self.now + max(0.0, timeout) + 1e-9, token, task))
        self.hub.switch()
        return not task.timed_out

    def wake(self, task: Task) -> bool:
        """Let a blocked task go on; False where it is not blocked (any more)."""
        if not task.token:
            return False
        task.token = 0
        self.ready.append(task)
        return True

    def wake_one(self, waiting: list[Task]) -> None:
        """Let the first of those go on that still wait."""
        while waiting and not self.wake(waiting.pop(0)):
            pass

    def step(self) -> None:
        """Mark a place where a thread may be interrupted, or its process stop or die."""
        if self.over:
            return
        self.steps += 1
        if self.steps > self.most:
            raise Broken(f"more than {self.most} steps: something runs in circles")
        task = self.current
        if task is None:
            return
        if task.process.fuse:
            self._burn(task)
        if self.ready and self.random() < self.jumpy:
            self.ready.append(task)
            self.hub.switch()

    def _burn(self, task: Task) -> None:
        process = task.process
        process.fuse -= 1
        if process.fuse == 0 and process.burnt is not None:
            process.burnt()
            if process.dead:
                self.hub.switch()  # and never back
            elif process.frozen:
                self.ready.append(task)
                self.hub.switch()

    def thaw(self, process: Process) -> None:
        """Let a process's threads run again."""
        process.frozen = False
        self.ready += process.parked
        process.parked = []

    def run(self, until: float) -> None:
        """Run everything that is due up to a time."""
        timers = self.timers
        while True:
            while self.ready:
                self._switch()
            if not timers or timers[0][0] > until:
                self.now = max(self.now, until)
                return
            self.now, token, due = heapq.heappop(timers)
            if not isinstance(due, Task):
                due()
            elif due.token == token:
                due.token, due.timed_out = 0, True
                self.ready.append(due)

    def _switch(self) -> None:
        ready = self.ready
        place = int(self.random() * len(ready))
        task, last = ready[place], ready.pop()
        if place < len(ready):
            ready[place] = last
        process = task.process
        if process.dead:
            return
        if process.frozen:
            process.parked.append(task)
            return
        if process is not self._running:
            self._running = process
            self.entered(process)
        self.current = task
        task.greenlet.switch()
        self.current = None
        if self.broken is not None:
            raise self.broken

    def end(self) -> None:
        """End the schedule: nothing that is left runs any further."""
        self.over = True
        for task in list(self.tasks):
            if task.greenlet:  # started and not ended
                self.current = task
                task.greenlet.throw()
        self.current = self._running = None
        self.tasks.clear()
        self.timers.clear()
        self.ready.clear()
        self.entered = lambda process: None


SCHEDULER = Scheduler()
