"""The standard library's `threading` and `time`, as far as the package uses them, on simulated threads and time."""

from types import SimpleNamespace
from typing import Any

from .scheduler import SCHEDULER, Task


#: 2026-10-02, where all schedules begin.
EPOCH = 1_791_000_000 * 1_000_000_000


def forget(waiting: list[Task]) -> None:
    """After a wait in vain; whoever was woken at the same moment is not there any more."""
    if SCHEDULER.current in waiting:
        waiting.remove(SCHEDULER.current)


class Lock:
    """`threading.Lock`."""

    __slots__ = ("_held", "_waiting")

    def __init__(self) -> None:
        self._held = False
        self._waiting: list[Task] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        SCHEDULER.step()
        if self._held:
            if not blocking:
                return False
            deadline = None if timeout < 0 else SCHEDULER.now + timeout
            while self._held:
                self._waiting.append(SCHEDULER.current)
                if not SCHEDULER.block(None if deadline is None else deadline - SCHEDULER.now):
                    forget(self._waiting)
                    return False
        self._held = True
        return True

    def release(self) -> None:
        if not self._held:
            if SCHEDULER.over:  # a thread that was waiting for a condition is being ended
                return
            raise RuntimeError("release unlocked lock")
        self._held = False
        SCHEDULER.wake_one(self._waiting)

    def locked(self) -> bool:
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
        SCHEDULER.step()

    def forked(self, _copied: Any) -> "Lock":
        """As in a forked child: held by a thread that is not there, where it was held."""
        child = Lock()
        child._held = self._held
        return child


class RLock(Lock):
    """`threading.RLock`."""

    __slots__ = ("_depth", "_owner")

    def __init__(self) -> None:
        super().__init__()
        self._depth, self._owner = 0, None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._held and self._owner is SCHEDULER.current:
            self._depth += 1
            return True
        got = super().acquire(blocking, timeout)
        if got:
            self._owner, self._depth = SCHEDULER.current, 1
        return got

    def release(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            super().release()


class Condition:
    """`threading.Condition` with a lock of its own."""

    __slots__ = ("_lock", "_waiting")

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[Task] = []

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        self._waiting.append(SCHEDULER.current)
        self._lock.release()
        told = SCHEDULER.block(timeout)
        if not told:
            forget(self._waiting)
        self._lock.acquire()
        return told

    def wait_for(self, predicate: Any, timeout: float | None = None) -> bool:
        end = None if timeout is None else SCHEDULER.now + timeout
        while not (found := predicate()):
            if end is not None and SCHEDULER.now >= end:
                break
            self.wait(None if end is None else end - SCHEDULER.now)
        return found

    def notify(self, n: int = 1) -> None:
        for _ in range(n):
            SCHEDULER.wake_one(self._waiting)

    def notify_all(self) -> None:
        self.notify(len(self._waiting))

    def forked(self, copied: Any) -> "Condition":
        child = Condition()
        child._lock = copied(self._lock)
        return child


class Event:
    """`threading.Event`."""

    __slots__ = ("_set", "_waiting")

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[Task] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            SCHEDULER.wake(task)
        SCHEDULER.step()

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        SCHEDULER.step()
        if not self._set:
            self._waiting.append(SCHEDULER.current)
            if not SCHEDULER.block(timeout):
                forget(self._waiting)
        return self._set

    def forked(self, _copied: Any) -> "Event":
        child = Event()
        child._set = self._set
        return child


class Semaphore:
    """`threading.Semaphore`."""

    __slots__ = ("_count", "_waiting")

    def __init__(self, value: int = 1) -> None:
        self._count = value
        self._waiting: list[Task] = []

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        deadline = None if timeout is None else SCHEDULER.now + timeout
        while self._count == 0:
            if not blocking:
                return False
            self._waiting.append(SCHEDULER.current)
            if not SCHEDULER.block(None if deadline is None else deadline - SCHEDULER.now):
                forget(self._waiting)
                return False
        self._count -= 1
        return True

    def release(self, n: int = 1) -> None:
        self._count += n
        for _ in range(n):
            SCHEDULER.wake_one(self._waiting)

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()

    def forked(self, _copied: Any) -> "Semaphore":
        return Semaphore(self._count)


class Thread:
    """`threading.Thread`."""

    def __init__(
        self, target: Any = None, args: tuple[Any, ...] = (), kwargs: Any = None, name: str = "", daemon: bool = True
    ) -> None:
        self._work = lambda: target(*args, **(kwargs or {}))
        self.name = name
        self.daemon = daemon
        self._task: Task | None = None

    def start(self) -> None:
        self._task = SCHEDULER.spawn(SCHEDULER.process, self._work, name=self.name)
        self._task.thread = self
        SCHEDULER.step()

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.ended

    def join(self, timeout: float | None = None) -> None:
        if self.is_alive():
            self._task.joiners.append(SCHEDULER.current)
            SCHEDULER.block(timeout)

    def forked(self, _copied: Any) -> "Thread":
        """As in a forked child, where it does not run."""
        return Thread(name=self.name)


def current_thread() -> object:
    """The running thread: the one that was made here, else the scheduler's task."""
    return SCHEDULER.current.thread or SCHEDULER.current


threading = SimpleNamespace(
    Lock=Lock,
    RLock=RLock,
    Condition=Condition,
    Event=Event,
    Semaphore=Semaphore,
    BoundedSemaphore=Semaphore,
    Thread=Thread,
    current_thread=current_thread,
    main_thread=lambda: SCHEDULER.process.main,
    active_count=lambda: 1,
    get_ident=lambda: id(SCHEDULER.current),
)


def monotonic() -> float:
    """Seconds that only move forward, as the running process sees them."""
    return SCHEDULER.now - SCHEDULER.process.lost


def time_ns() -> int:
    """Wall time, the same everywhere."""
    return EPOCH + int(SCHEDULER.now * 1e9)


def sleep(seconds: float) -> None:
    """Give way for a time."""
    SCHEDULER.block(seconds)


time = SimpleNamespace(
    monotonic=monotonic, time_ns=time_ns, sleep=sleep, time=lambda: time_ns() / 1e9, perf_counter=monotonic
)
