"""Record locks: exclusion and signs of life that the kernel ends with the process, whatever ends it.

POSIX record locks (`fcntl.lockf`) are not inherited by `fork`, so a worker's children never keep a dead worker's lock
alive, as they would with `flock` or open-file-description locks. The price: they belong to the *process*, and closing
any descriptor of a file drops the process's lock on it. So this module keeps the one book, per process, of the files
that are locked, and nothing else opens them. That book is the package's only module state, because what it describes
belongs to the process too.
"""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self


#: What a member of the run directory leaves beside its sign of life: its socket, the same before it listens, and the
#: mark that it lags.
SOCKET: Final = ".sock"
UNBORN: Final = ".new"
LAG: Final = ".lag"
LIFE: Final = ".life"

#: How often a contended lock is tried, seconds. It is held for a tenth of a millisecond at a time.
_FIRST_PAUSE: Final = 0.0002
_LONGEST_PAUSE: Final = 0.01

#: A sweeper can mistake a sign of life for a dead one only between two system calls, so three in a row are a fault.
_TRIES: Final = 20


@dataclass(slots=True)
class _Handle:
    """One open lock file, shared by all that use it in this process."""

    fd: int
    threads: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


class _Book:
    """What this process has open to lock: lock files by inode, signs of life by name."""

    def __init__(self) -> None:
        self.guard = threading.RLock()  # see `Membership`
        self.handles: dict[tuple[int, int], _Handle] = {}
        self.lives: dict[str, int] = {}

    def forget(self) -> None:
        """In a forked child: close the inherited descriptors, whose locks stay with the parent."""
        inherited = [handle.fd for handle in self.handles.values()] + list(self.lives.values())
        self.guard = threading.RLock()
        self.handles, self.lives = {}, {}
        for fd in inherited:
            with suppress(OSError):
                os.close(fd)


_BOOK: Final = _Book()
os.register_at_fork(after_in_child=_BOOK.forget)


class RecordLock:
    """Exclude other processes and other threads by a lock file, for a bounded wait.

    In a forked child it must be made anew.

    Args:
        path: the file; made where it is missing.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closed = False
        with _BOOK.guard:
            self._identity, self._handle = self._open(path)
            self._handle.users += 1

    @staticmethod
    def _open(path: Path) -> tuple[tuple[int, int], _Handle]:
        with suppress(FileNotFoundError):
            found = path.stat()
            known = _BOOK.handles.get((found.st_dev, found.st_ino))
            if known is not None:
                return (found.st_dev, found.st_ino), known
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        opened = os.fstat(fd)
        identity = opened.st_dev, opened.st_ino
        return identity, _BOOK.handles.setdefault(identity, _Handle(fd))

    def in_place(self) -> bool:
        """Whether the path still leads to the file that this lock is on."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    @contextmanager
    def held(self, patience: float, *, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
        """Hold the lock.

        Tries without blocking, so that a holder that was stopped (SIGSTOP) cannot hold others for ever.

        Args:
            patience: how long to wait for it, seconds.
            clock: the time, seconds.

        Raises:
            TimeoutError: others held it all the while.
            OSError: it was closed.
        """
        deadline = clock() + patience
        with self._used():
            if not self._handle.threads.acquire(timeout=patience):
                raise TimeoutError("another thread of this process keeps the lock")
            try:
                self._lock_file(deadline, clock)
                try:
                    yield
                finally:
                    fcntl.lockf(self._handle.fd, fcntl.LOCK_UN)
            finally:
                self._handle.threads.release()

    @contextmanager
    def _used(self) -> Iterator[None]:
        # Who holds it, or waits for it, keeps the file open: its number would soon be another file's.
        with _BOOK.guard:
            if self._closed:
                raise OSError(errno.EBADF, "the lock was closed")
            self._handle.users += 1
        try:
            yield
        finally:
            self._let_go()

    def _lock_file(self, deadline: float, clock: Callable[[], float]) -> None:
        pause = _FIRST_PAUSE
        while not _try_lock(self._handle.fd):
            if clock() >= deadline:
                raise TimeoutError("another process keeps the lock")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """Close the file once nobody in this process uses it; only the process that opened it may call this."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        with _BOOK.guard:
            self._handle.users -= 1
            if self._handle.users == 0 and _BOOK.handles.get(self._identity) is self._handle:
                del _BOOK.handles[self._identity]
                os.close(self._handle.fd)


class SignOfLife:
    """A file that is locked for as long as its process lives and has not ended it.

    Args:
        directory: where it stands.
        name: the member's name: random, never the pid, which another process may get.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name

    @classmethod
    def begin(cls, directory: Path) -> Self:
        """Show a new sign of life.

        Raises:
            OSError: the file cannot be made or locked.
        """
        for _ in range(_TRIES):
            name = f"w-{os.urandom(8).hex()}"
            with _BOOK.guard:
                fd = os.open(directory / f"{name}{LIFE}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                # A sweeper that found it before it was locked has taken it for dead: begin again under another name.
                if _try_lock(fd) and os.fstat(fd).st_nlink:
                    _BOOK.lives[name] = fd
                    return cls(directory, name)
                os.close(fd)
        raise OSError("signs of life vanish as soon as they are made")

    def in_place(self) -> bool:
        """Whether others can see it."""
        return (self.directory / f"{self.name}{LIFE}").exists()

    def end(self) -> None:
        """Remove the member's files, its sign of life last; nothing in a child that was forked since."""
        with _BOOK.guard:
            fd = _BOOK.lives.pop(self.name, None)
            if fd is None:
                return
            try:
                _remove(self.directory, self.name)
            finally:
                os.close(fd)


def bury(directory: Path, name: str) -> bool:
    """Remove the files of the member `name` if its process is dead; returns whether it is.

    A member shows its sign of life before any other file and takes it away last, so one without a sign is dead.
    """
    with _BOOK.guard:
        if name in _BOOK.lives:  # opening and closing it would drop our own lock
            return False
        try:
            fd = os.open(directory / f"{name}{LIFE}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            _remove(directory, name)
            return True
        try:
            if not _try_lock(fd):
                return False
            _remove(directory, name)
        finally:
            os.close(fd)
    return True


def _remove(directory: Path, name: str) -> None:
    for kind in (SOCKET, UNBORN, LAG, LIFE):
        (directory / f"{name}{kind}").unlink(missing_ok=True)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: POSIX leaves the choice to the system
        return False
    return True
