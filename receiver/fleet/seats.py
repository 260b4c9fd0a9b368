"""Who of a container's workers hears for all of it: the holder of the first seat, or who sits next to a stopped one.

A seat is a record lock, which ends with its process, whatever ends it. A process that is merely stopped keeps its
lock, so holders also give a sign each time they are asked for; who sees none for `SILENT` seconds takes the next seat.
Who did not run for a while itself starts to count anew: a container without CPU stops everybody in it.
Two leaders at once do no harm: each hears for everybody.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from ..knowledge import SECOND
from ..locks import RecordLock
from .rules import SEATS, SILENT


_PREFIX: Final = "seat-"
#: Seconds between two looks of a process after which it did not run: they are a quarter of a second apart.
_STOPPED: Final = SILENT / 2


class Seats:
    """Take a seat and give signs. Used by one thread.

    Args:
        directory: the container's.
        clock: monotonic seconds, of the machine.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._held: tuple[int, ExitStack] | None = None
        # When this process first saw the sign that each holder gave last.
        self._signs: dict[int, tuple[int, float]] = {}
        self._looked = clock()
        #: Whether nobody had held a seat before this process took one.
        self.newborn = not self._path(0).exists()

    def _path(self, seat: int) -> Path:
        return self._directory / f"{_PREFIX}{seat}"

    def claim(self) -> int | None:
        """Take the lowest seat whose lower neighbours are all silent, give a sign, and say which it is.

        None where somebody else leads.

        Raises:
            OSError: the directory cannot be used.
        """
        before, self._looked = self._looked, self._clock()
        if self._looked - before > _STOPPED:
            self._signs.clear()
        for seat in range(SEATS):
            if self._held is not None and self._held[0] == seat:
                break
            if self._take(seat):
                break
            self.newborn = False  # two that start at once find none, and one of them is the first
            if not self._is_silent(seat):
                self.release()
                break
        if self._held is None:
            return None
        self._sign(self._held[0])
        return self._held[0]

    def _take(self, seat: int) -> bool:
        with ExitStack() as taking:
            lock = RecordLock(self._path(seat))
            taking.callback(lock.close)
            try:
                taking.enter_context(lock.held(0, clock=self._clock))
            except TimeoutError:
                return False
            self.release()
            self._held = seat, taking.pop_all()
        return True

    def _sign(self, seat: int) -> None:
        stamp = int(self._clock() * SECOND)
        os.utime(self._path(seat), ns=(stamp, stamp))

    def _is_silent(self, seat: int) -> bool:
        try:
            sign = self._path(seat).stat().st_mtime_ns
        except FileNotFoundError:
            return False
        now = self._clock()
        last, since = self._signs.setdefault(seat, (sign, now))
        if sign != last:
            self._signs[seat] = sign, now
            return False
        return now - since > SILENT

    def taken(self) -> list[int]:
        """Which seats have ever been taken, as far as the directory tells."""
        return [seat for seat in range(SEATS) if self._path(seat).exists()]

    def release(self) -> None:
        """Give up the seat that this process holds."""
        held, self._held = self._held, None
        if held is not None:
            with suppress(OSError):
                held[1].close()
