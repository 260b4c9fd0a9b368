"""The messages of one subscription: waiting, leased or gone. At least once, in no promised order."""

import heapq
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One published message."""

    id: str
    at: float
    data: bytes
    attributes: Mapping[str, str]


@dataclass(slots=True, eq=False)
class _Entry:
    message: Message
    # How often it has been handed out; a lease is called by it.
    attempt: int = 0
    # Names the one item in the heap that counts: an entry moves by being pushed again.
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """A message handed out until its deadline; it comes again unless it is acknowledged before."""

    id: str
    message: Message
    attempt: int


class Backlog:
    """Hand out messages under leases.

    Thread-safe.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.changed = threading.Condition()
        self.closed = False
        self._clock = clock
        self._entries: dict[int, _Entry] = {}
        self._due: list[tuple[float, int, int]] = []
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        """How many messages are not acknowledged."""
        return len(self._entries)

    def close(self) -> None:
        """Tell whoever waits for messages that there will be none."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def put(self, message: Message, *, delay: float = 0.0) -> None:
        """Take in a message, to be handed out after `delay` seconds."""
        with self.changed:
            number = next(self._numbers)
            self._entries[number] = _Entry(message)
            self._move(number, self._clock() + delay)
            self.changed.notify()

    def take(self, most: int, lease: float) -> list[Lease]:
        """Lease up to `most` messages for `lease` seconds; none where none is due."""
        taken: list[Lease] = []
        with self.changed:
            now = self._clock()
            while len(taken) < most and self.due_in(now) == 0.0:
                _, number, _ = heapq.heappop(self._due)
                entry = self._entries[number]
                entry.attempt += 1
                self._move(number, now + lease)
                taken.append(Lease(f"{number}-{entry.attempt}", entry.message, entry.attempt))
        return taken

    def due_in(self, now: float | None = None) -> float | None:
        """Seconds until a message is due, 0.0 where one is, None where there is none. Call it under `changed`."""
        while self._due:
            due, number, turn = self._due[0]
            entry = self._entries.get(number)
            if entry is not None and entry.turn == turn:
                return max(0.0, due - (self._clock() if now is None else now))
            heapq.heappop(self._due)
        return None

    def acknowledge(self, lease: str) -> bool:
        """Forget a message, also where the lease has run out meanwhile [documented]; False where it has gone."""
        number, _ = _parts(lease)
        with self.changed:
            return self._entries.pop(number, None) is not None

    def extend(self, lease: str, seconds: float) -> bool:
        """Let a lease end `seconds` from now; False where it has ended already."""
        number, attempt = _parts(lease)
        with self.changed:
            entry = self._entries.get(number)
            if entry is None or entry.attempt != attempt:
                return False
            self._move(number, self._clock() + seconds)
            self.changed.notify()
            return True

    def _move(self, number: int, due: float) -> None:
        entry = self._entries[number]
        entry.turn += 1
        heapq.heappush(self._due, (due, number, entry.turn))


def _parts(lease: str) -> tuple[int, int]:
    number, _, attempt = lease.partition("-")
    if not (number.isdecimal() and attempt.isdecimal()):
        return 0, 0  # no entry has that number
    return int(number), int(attempt)
