"""The container's knowledge: what any worker has learnt, for all others to see before their next request.

One small file per secret (its name and its knowledge, never a value) is replaced whole under a lock; then a
*generation* number in shared memory moves. Whoever finds the generation where it last saw it has missed nothing that
was published before it looked, and finding that out is one read of memory.

Beside the generation stand 256 *serials*, one per first byte of a file's name, which move with their files. They, not
the files' inode and times, say what to read again: within one tick of the kernel's clock a file can be replaced twice
and get its old inode number, time and size back.
"""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from .errors import BoardError
from .knowledge import Knowledge
from .names import SecretName
from .premises import SERIALS, TRIES, Premises, as_board_error, write_private
from .rundir import RunDir
from .telemetry import entry
from .watch import Watch
from .wire import decode, encode


_PREFIX: Final = "e-"
_SUFFIX: Final = ".json"
_CLAIM: Final = "claim-"
#: One name serves all writers, since they exclude each other: a writer that was killed leaves at most this one file.
_DRAFT: Final = "draft"


class Published(NamedTuple):
    """What the container knows of a secret once something was published, and the generation that this began."""

    knowledge: Knowledge
    generation: int


class Board(Premises):
    """Read and write the container's knowledge. Thread-safe, but see `changes`.

    Args:
        run_dir: the directory that the container's workers share.
        clock: the time, seconds; decides how long the lock is waited for.
        watch: is shown the memory that the generation is in.

    Raises:
        BoardError: its files cannot be opened.
    """

    def __init__(
        self, run_dir: RunDir, *, clock: Callable[[], float] = time.monotonic, watch: Watch | None = None
    ) -> None:
        self._seen: list[int | None] = []
        super().__init__(run_dir, clock=clock, watch=watch or Watch())

    def _open(self) -> None:
        super()._open()
        self._seen = [None] * SERIALS

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
        with as_board_error(f"write what is known of {name}"), self.settled():
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
            write_private(draft, content, os.O_TRUNC)
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
        with as_board_error("read the board"):
            for _ in range(TRIES):
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
        with as_board_error(f"claim {what}"), self.settled():
            granted = _granted(path)
            # A later time than now is from before the machine's last start.
            if granted is not None and granted <= now < granted + every:
                return granted + every - now
            self._replace(path, repr(now).encode())
        return 0.0


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
