"""The lock and the shared memory of a run directory: opened, found to be removed, and opened anew.

The last worker to leave removes the directory, perhaps under one that is just coming, and somebody else's clean-up may
do so at any time. Whoever has to rely on what others see asks first whether the files that it holds are still those
that others find, and opens them anew where they are not.
"""

import mmap
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .errors import BoardError
from .locks import RecordLock
from .rundir import RunDir
from .watch import NOTHING, Watch


#: How long the lock is waited for, seconds, and how long after a wait that was in vain: a worker that was stopped
#: while it held the lock costs one push a second, and later ones next to nothing, until it goes on or dies.
PATIENCE: Final = 1.0
IMPATIENCE: Final = 0.05

#: The memory is a number that moves with every change, the generation, and beside it so many more.
SERIALS: Final = 256
_WORD: Final = 8
_SIZE: Final = _WORD * (1 + SERIALS)

_LOCK: Final = "lock"
_GENERATION: Final = "generation"

#: The last member to leave may remove the directory under one that is just opening it.
TRIES: Final = 20


class Premises:
    """The lock and the memory. Thread-safe.

    Args:
        run_dir: the directory that the container's workers share.
        clock: the time, seconds; decides how long the lock is waited for.
        watch: is shown the memory, whenever it is opened.

    Raises:
        BoardError: its files cannot be opened.
    """

    def __init__(self, run_dir: RunDir, *, clock: Callable[[], float], watch: Watch) -> None:
        self.run_dir = run_dir
        self.watch = watch
        self._clock = clock
        self._patience = PATIENCE
        self._opening = threading.RLock()  # see `Membership`
        self._lock: RecordLock | None = None
        self._outlived: list[RecordLock] = []
        self._closed = False
        with as_board_error("open the board"):
            self._open()

    def in_place(self) -> bool:
        """Whether the files that are open are those that others find, as far as can be told without the lock."""
        lock = self._lock
        with suppress(OSError):
            return (lock is None or lock.in_place()) and self._is_in_place(self._memory_identity)
        return False

    def confirm(self) -> bool:
        """Whether the files that are open are those that others find; opens them anew where they are not.

        A member asks once its sign of life is shown: from then on nobody removes them.

        Raises:
            BoardError: nobody can tell, because a stopped process holds the lock.
        """
        with as_board_error("open the board"):
            with self._held() as intact:
                if intact:
                    return True
            self._reopen()
        return False

    def remove_unless(self, inhabited: Callable[[], bool]) -> None:
        """Remove the directory and all in it, unless `inhabited` says, under the lock, that somebody lives there.

        Best effort: where the lock cannot be had or something cannot be removed, the next to leave does it.
        """
        directory = self.run_dir.path
        with suppress(OSError), self._held() as intact:
            if not intact or inhabited():
                return
            # These two last: one that is starting tells by them whether it opened what was then removed.
            for path in sorted(directory.iterdir(), key=lambda path: path.name in {_GENERATION, _LOCK}):
                path.unlink(missing_ok=True)
            directory.rmdir()

    def unwatched(self) -> None:
        """Let go of the watch, which from now on shows that nothing was seen: whoever comes late changes nothing.

        Nor does it make the directory again, where that is gone.
        """
        with self._opening:
            self.watch.seen, self.watch = NOTHING, Watch()
            self._closed = True

    def after_fork(self) -> None:
        """In a forked child: locks are new, and nobody watches. The memory is shared with the parent."""
        self._opening = threading.RLock()
        self.watch.seen, self.watch = NOTHING, Watch()
        self._lock, self._outlived = None, []
        self._patience = PATIENCE

    def close(self) -> None:
        """Close the lock file once those who write have done so; the memory goes with the object. Idempotent.

        Who writes afterwards is refused.
        """
        with self._opening:
            locks = [*self._outlived, self._lock]
            self._lock, self._outlived, self._closed = None, [], True
        for lock in locks:
            if lock is not None:
                lock.close()

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Hold the lock of the files that others find.

        Raises:
            BoardError: they vanish as soon as they are made, or this worker has left.
            TimeoutError: others held the lock all the while.
        """
        for _ in range(TRIES):
            with self._held() as intact:
                if intact:
                    yield
                    return
            self._reopen()
        raise BoardError("the run directory vanishes as soon as it is made")

    @contextmanager
    def _held(self) -> Iterator[bool]:
        """Hold the lock; gives whether the files that are open are those that others find."""
        with self._opening:
            if self._lock is None:
                self._open()
            lock = self._lock
        assert lock is not None  # noqa: S101  # `_open` sets it
        try:
            with lock.held(self._patience, clock=self._clock):
                self._patience = PATIENCE
                yield lock.in_place() and self._is_in_place(self._memory_identity)
        except TimeoutError:
            self._patience = IMPATIENCE
            raise

    def _is_in_place(self, identity: tuple[int, int]) -> bool:
        try:
            found = (self.run_dir.path / _GENERATION).stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == identity

    def _reopen(self) -> None:
        with self._opening:
            if self._lock is not None:
                self._outlived.append(self._lock)  # another thread may be holding it
            self.memory[0] += 1  # whoever still looks at this one looks for the new one
            self._open()

    def _open(self) -> None:
        if self._closed:
            raise BoardError("this worker has left")
        for attempt in range(TRIES):
            try:
                self.run_dir.ensure()
                self._lock = RecordLock(self.run_dir.path / _LOCK)
                #: The generation, then the serials.
                self.memory, self._memory_identity = _map(self.run_dir.path / _GENERATION)
                self.watch.memory = self.memory
            except FileNotFoundError:
                if attempt == TRIES - 1:
                    raise
            else:
                return


def _map(path: Path) -> tuple["memoryview[int]", tuple[int, int]]:
    """Map the generation and the serials, made whole in one step by whoever comes first."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        draft = path.with_name(f"{_GENERATION}-{os.urandom(8).hex()}")
        # Not from 0: a directory that was removed and made again must not repeat a generation that somebody has seen.
        start = int.from_bytes(os.urandom(6), "little") << 8
        try:
            write_private(draft, start.to_bytes(_WORD, "little") * (1 + SERIALS), os.O_EXCL)
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(fd)
        if found.st_size != _SIZE:
            raise BoardError(f"{path} is not of this version of keyturn ({_SIZE} bytes wanted)")
        memory = memoryview(mmap.mmap(fd, _SIZE)).cast("Q")
    finally:
        os.close(fd)
    return memory, (found.st_dev, found.st_ino)


def write_private(path: Path, content: bytes, flag: int) -> None:
    """Write a file that only its owner may read; `flag` is O_TRUNC or O_EXCL.

    Raises:
        OSError: it could not be written.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | flag, 0o600)
    with open(fd, "wb", closefd=True) as file:  # noqa: PTH123  # a descriptor, not a path
        file.write(content)


@contextmanager
def as_board_error(what: str) -> Iterator[None]:
    """Make a `BoardError` of what the system says while `what` is done."""
    try:
        yield
    except BoardError:
        raise
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise BoardError(f"cannot {what}: {reason}") from exc
