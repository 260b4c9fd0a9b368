"""The container's knowledge: what any worker has learnt, for all others to see before their next request.

One small file per secret (its name and its knowledge, never a value) is replaced whole under a lock; then a
*generation* number in shared memory moves. Whoever finds the generation where it last saw it has missed nothing that
was published before it looked, and finding that out is one read of memory.

Beside the generation stand 256 *serials*, one per first byte of a file's name, which move with their files. They, not
the files' inode and times, say what to read again: within one tick of the kernel's clock a file can be replaced twice
and get its old inode number, time and size back.
"""

import logging
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from .errors import BoardError
from .knowledge import Knowledge
from .locks import RecordLock
from .names import SecretName
from .rundir import RunDir
from .telemetry import entry
from .wire import decode, encode


#: How long the lock is waited for, seconds, and how long after a wait that was in vain: a worker that was stopped
#: while it held the lock costs one push a second, and later ones next to nothing, until it goes on or dies.
PATIENCE: Final = 1.0
IMPATIENCE: Final = 0.05

_SERIALS: Final = 256
_WORD: Final = 8
_SIZE: Final = _WORD * (1 + _SERIALS)

_LOCK: Final = "lock"
_GENERATION: Final = "generation"
#: One name serves all writers, since they exclude each other: a writer that was killed leaves at most this one file.
_DRAFT: Final = "draft"
_PREFIX: Final = "e-"
_SUFFIX: Final = ".json"
_CLAIM: Final = "claim-"

#: The last member to leave may remove the directory under one that is just opening it.
_TRIES: Final = 20


class Published(NamedTuple):
    """What the container knows of a secret once something was published, and the generation that this began."""

    knowledge: Knowledge
    generation: int


class Board:
    """Read and write the container's knowledge. Thread-safe, but see `changes`.

    Args:
        run_dir: the directory that the container's workers share.
        clock: the time, seconds; decides how long the lock is waited for.

    Raises:
        BoardError: its files cannot be opened.
    """

    def __init__(self, run_dir: RunDir, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.run_dir = run_dir
        self._clock = clock
        self._patience = PATIENCE
        self._opening = threading.Lock()
        self._lock: RecordLock | None = None
        self._outlived: list[RecordLock] = []
        self._closed = False
        self._seen: list[int | None] = [None] * _SERIALS
        with _as_board_error("open the board"):
            self._open()

    def generation(self) -> int:
        """Where the board stands. Compare for equality only; costs one read of shared memory."""
        return self.memory[0]

    def publish(self, name: SecretName, knowledge: Knowledge) -> Published:
        """Merge `knowledge` into what the container knows of `name`; returns all that it knows, and the generation.

        Once this has returned, every reader that looks at the generation finds it moved, even where the file held
        all of it before: the writer that put it there may have died before it moved the generation.

        Raises:
            BoardError: it could not be written; the file holds what it held.
        """
        with _as_board_error(f"write what is known of {name}"), self._settled():
            merged, unreadable = self._merge(name, knowledge)
            self.memory[1 + _serial(_file_name(name))] += 1
            self.memory[0] += 1
            generation = self.memory[0]
        if unreadable:
            _say_unreadable(_file_name(name))
        return Published(merged, generation)

    def _merge(self, name: SecretName, knowledge: Knowledge) -> tuple[Knowledge, bool]:
        path = self.run_dir.path / _file_name(name)
        unreadable = False
        try:
            held = decode(path.read_bytes())[1]
        except FileNotFoundError:
            held = None
        except ValueError:
            held, unreadable = None, True
        merged = knowledge if held is None else held.merge(knowledge)
        if merged is not held:
            self._replace(path, encode(name, merged))
        return merged, unreadable

    def _replace(self, path: Path, content: bytes) -> None:
        draft = self.run_dir.path / _DRAFT
        try:
            _write(draft, content, os.O_TRUNC)
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise

    def changes(self) -> tuple[int, list[tuple[SecretName, Knowledge]]]:
        """Read what may have changed since this object's last call: the generation before it, and the entries.

        Whoever has merged the entries and only then takes that generation for the one it has seen, misses nothing.
        One thread at a time: another one that calls meanwhile gets what is newer, not what the first has yet to
        merge. An entry that cannot be read is said (`board_unreadable`), left out, and tried again.

        Raises:
            BoardError: the directory cannot be read.
        """
        with _as_board_error("read the board"):
            for _ in range(_TRIES):
                # In this order, the reverse of that in which they are set: old memory is never taken for the new.
                identity, memory = self._memory_identity, self.memory
                generation, serials = memory[0], memory[1:].tolist()
                if self._is_in_place(identity):
                    return generation, self._read(serials)
                self._reopen()
        raise BoardError("the run directory vanishes as soon as it is made")

    def _read(self, serials: list[int]) -> list[tuple[SecretName, Knowledge]]:
        found, again = [], set()
        for path in self.run_dir.path.glob(f"{_PREFIX}*{_SUFFIX}"):
            if self._is_seen(path.name, serials):
                continue
            try:
                found.append(decode(path.read_bytes()))
            except (ValueError, OSError):
                again.add(_serial(path.name))
                _say_unreadable(path.name)
        self._seen = [None if place in again else serial for place, serial in enumerate(serials)]
        return found

    def _is_seen(self, name: str, serials: list[int]) -> bool:
        place = _serial(name)
        return self._seen[place] == serials[place]

    def claim(self, what: str, *, now: float, every: float) -> float:
        """Claim what one of the container's processes may do in so many seconds.

        Args:
            what: its name; the letters a to z, digits and hyphens.
            now: the machine's monotonic seconds.
            every: seconds between two grants.

        Returns:
            How many seconds to wait; 0 where it was granted.

        Raises:
            BoardError: it could not be written; nothing was granted.
        """
        path = self.run_dir.path / f"{_CLAIM}{what}"
        with _as_board_error(f"claim {what}"), self._settled():
            granted = _granted(path)
            # A later time than now is from before the machine's last start.
            if granted is not None and granted <= now < granted + every:
                return granted + every - now
            self._replace(path, repr(now).encode())
        return 0.0

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
        with _as_board_error("open the board"):
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

    def after_fork(self) -> None:
        """In a forked child: locks are new. The memory is shared with the parent, as it should be."""
        self._opening = threading.Lock()
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
    def _settled(self) -> Iterator[None]:
        """Hold the lock of the files that others find."""
        for _ in range(_TRIES):
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
            self._open()

    def _open(self) -> None:
        if self._closed:
            raise BoardError("this worker has left")
        for attempt in range(_TRIES):
            try:
                self.run_dir.ensure()
                self._lock = RecordLock(self.run_dir.path / _LOCK)
                #: The generation, then the serials. Whoever has to be quick compares the first of them by itself.
                self.memory, self._memory_identity = _map(self.run_dir.path / _GENERATION)
            except FileNotFoundError:
                if attempt == _TRIES - 1:
                    raise
            else:
                self._seen = [None] * _SERIALS
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
            _write(draft, start.to_bytes(_WORD, "little") * (1 + _SERIALS), os.O_EXCL)
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


def _write(path: Path, content: bytes, flag: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | flag, 0o600)
    with open(fd, "wb", closefd=True) as file:  # noqa: PTH123  # a descriptor, not a path
        file.write(content)


def _granted(path: Path) -> float | None:
    try:
        return float(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _file_name(name: SecretName) -> str:
    import hashlib

    return f"{_PREFIX}{hashlib.sha256(name.path.encode()).hexdigest()[:16]}{_SUFFIX}"


def _serial(file_name: str) -> int:
    """Which serial moves with a file; 0 for one that this version did not name."""
    try:
        return int(file_name[len(_PREFIX) : len(_PREFIX) + 2], 16)
    except ValueError:
        return 0


def _say_unreadable(file_name: str) -> None:
    entry(logging.ERROR, "board_unreadable", "an entry of the board cannot be read and was left out", file=file_name)


@contextmanager
def _as_board_error(what: str) -> Iterator[None]:
    try:
        yield
    except BoardError:
        raise
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise BoardError(f"cannot {what}: {reason}") from exc
