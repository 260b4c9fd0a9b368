"""The messages of one subscription: waiting, leased or gone. At least once; in order within an ordering key only."""

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .messages import Lease, Message, Rules


# What is longer is no lease of ours, and Python would not read it as numbers.
_LONGEST_LEASE = 50


@dataclass(slots=True, eq=False)
class _Entry:
    message: Message
    due: float
    # Its ordering key, where the subscription is ordered.
    line: str = ""
    # How often it has been handed out; a lease is called by it.
    attempt: int = 0
    # Names the one item in the heap that counts: an entry moves by being pushed again.
    turn: int = 0
    # Acknowledged while an earlier one of its key is not: it comes again where that one does [documented].
    settled: bool = False
    # When its lease ends.
    until: float = 0.0


class Keeping:
    """Told of every change that is to outlive the process, in their order, under the backlog's lock; keeps nothing."""

    def waits(self, number: int, message: Message) -> None:
        """The message is there and not acknowledged."""

    def acknowledged(self, number: int, message: Message) -> None:
        """The message is acknowledged, and kept for a seek."""

    def gone(self, number: int, *, acknowledged: bool = False) -> None:
        """The message, waiting or acknowledged, is there no more."""


def _for_ever() -> float:
    return float("-inf")


def _never(_number: int, _message: Message, _attempt: int) -> bool:
    return False


class Backlog:
    """Hand out messages under leases.

    Thread-safe.

    Args:
        clock: monotonic seconds.
        rules: how messages are handed out; it may be set anew.
        oldest: wall time before which published messages are forgotten, acknowledged or not.
        bury: takes a message that has had all its attempts, and says whether it did. It is called under the lock, and
            tells `keeping` itself that the message has gone from here once it is safe elsewhere.
        keeping: told of what is to outlive the process.
        number: numbers messages; each call gives a larger one.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        rules: Rules | None = None,
        oldest: Callable[[], float] = _for_ever,
        bury: Callable[[int, Message, int], bool] = _never,
        keeping: Keeping | None = None,
        number: Callable[[], int] | None = None,
    ) -> None:
        self.changed = threading.Condition()
        self.closed = False
        self.rules = rules or Rules()
        # Whoever pushes waits for answers too, and is woken by this. It is called under the lock.
        self.wake: Callable[[], None] = lambda: None
        self._clock = clock
        self._oldest = oldest
        self._bury = bury
        self._entries: dict[int, _Entry] = {}
        self._acknowledged: dict[int, Message] = {}
        self._due: list[tuple[float, int, int]] = []
        # Ordering key -> its messages; only the first of a line is ever due.
        self._lines: dict[str, deque[int]] = {}
        self._keeping = keeping or Keeping()
        self._number = number or itertools.count(1).__next__

    def __len__(self) -> int:
        """How many messages are not acknowledged."""
        with self.changed:
            self._drop_old()
            return sum(not entry.settled for entry in self._entries.values())

    def close(self) -> None:
        """Tell whoever waits for messages that there will be none."""
        with self.changed:
            self.closed = True
            self.tell()

    def tell(self) -> None:
        """Let whoever waits for messages look again. Call it under `changed`."""
        self.changed.notify_all()
        self.wake()

    def put(self, message: Message, *, delay: float = 0.0) -> None:
        """Take in a message, to be handed out after `delay` seconds."""
        with self.changed:
            number = self._number()
            self._keeping.waits(number, message)
            self._enter(number, message, delay)

    def restore(self, waiting: Mapping[int, Message], acknowledged: Mapping[int, Message]) -> None:
        """Take in what was kept over a restart, by number; nothing of it is leased."""
        with self.changed:
            self._acknowledged.update(acknowledged)
            for number, message in waiting.items():
                self._enter(number, message, 0.0)

    def take(self, most: int, lease: float) -> list[Lease]:
        """Lease up to `most` messages for `lease` seconds; none where none is due."""
        taken: list[Lease] = []
        with self.changed:
            now = self._clock()
            while len(taken) < most and self.due_in(now) == 0.0:
                _, number, _ = heapq.heappop(self._due)
                entry = self._entries[number]
                if self._spent(entry) and self._bury(number, entry.message, entry.attempt):
                    self._forget(number)
                    continue
                taken.append(self._lease(number, now + lease))
                # The later ones of its key come along, also those that were acknowledged [documented].
                for follower in itertools.islice(self._lines.get(entry.line, ()), 1, None):
                    self._entries[follower].settled = False
                    if len(taken) < most:
                        taken.append(self._lease(follower, now + lease))
        return taken

    def due_in(self, now: float | None = None) -> float | None:
        """Seconds until a message is due, 0.0 where one is, None where there is none. Call it under `changed`."""
        self._drop_old()
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
            entry = self._entries.get(number)
            if entry is None or entry.settled:
                return False
            if self._first(number, entry):
                self._forget(number)
                self._settle(number, entry.message)
            else:
                entry.settled = True
            self.changed.notify_all()  # there is room for another
            return True

    def leased(self, lease: str) -> bool:
        """Whether a lease holds: neither acknowledged nor refused nor run out."""
        number, attempt = _parts(lease)
        with self.changed:
            entry = self._entries.get(number)
            if entry is None or entry.attempt != attempt or entry.settled:
                return False
            return entry.until > self._clock()

    def extend(self, lease: str, seconds: float) -> bool:
        """Let a lease end `seconds` from now; False where it has ended already."""
        number, attempt = _parts(lease)
        with self.changed:
            entry = self._entries.get(number)
            if entry is None or entry.attempt != attempt:
                return False
            entry.until = self._clock() + seconds
            self._move(number, entry.until)
            return True

    def refuse(self, lease: str, wait: float | None = None) -> bool:
        """End a lease: its message comes again after `wait` seconds, None as the rules say, or is buried."""
        number, attempt = _parts(lease)
        with self.changed:
            entry = self._entries.get(number)
            if entry is None or entry.attempt != attempt:
                return False
            if self._spent(entry) and self._first(number, entry) and self._bury(number, entry.message, entry.attempt):
                self._forget(number)
                return True
            entry.until = self._clock()
            self._move(number, entry.until + (self.rules.wait(attempt) if wait is None else wait))
            self.changed.notify_all()  # there is room for another
            return True

    def messages(self) -> tuple[list[Message], list[Message]]:
        """Those that are not acknowledged, and those that are and are kept."""
        with self.changed:
            self._drop_old()
            waiting = [entry for entry in self._entries.values() if not entry.settled]
            settled = [entry.message for entry in self._entries.values() if entry.settled]
            return [entry.message for entry in waiting], [*self._acknowledged.values(), *settled]

    def replace(self, waiting: Iterable[Message], acknowledged: Iterable[Message]) -> None:
        """Begin anew with these messages; leases end, and their acknowledgements say nothing any more."""
        with self.changed:
            gone, gone_acknowledged = list(self._entries), list(self._acknowledged)
            for known in (self._entries, self._due, self._lines, self._acknowledged):
                known.clear()
            for message in acknowledged:
                self._settle(self._number(), message)
            for message in waiting:
                self.put(message)
            for number in gone:
                self._keeping.gone(number)
            for number in gone_acknowledged:
                self._keeping.gone(number, acknowledged=True)

    def _enter(self, number: int, message: Message, delay: float) -> None:
        line = message.ordering_key if self.rules.ordered else ""
        self._entries[number] = _Entry(message, self._clock() + delay, line)
        if line:
            self._lines.setdefault(line, deque()).append(number)
        self._move(number, self._entries[number].due)

    def _spent(self, entry: _Entry) -> bool:
        return 0 < self.rules.attempts <= entry.attempt

    def _lease(self, number: int, until: float) -> Lease:
        entry = self._entries[number]
        entry.attempt += 1
        entry.until = until
        # A lease that runs out is a refusal: the message waits as after one [documented].
        self._move(number, until + self.rules.wait(entry.attempt))
        return Lease(f"{number}-{entry.attempt}", entry.message, entry.attempt)

    def _move(self, number: int, due: float) -> None:
        entry = self._entries[number]
        entry.due = due
        entry.turn += 1
        if self._first(number, entry):
            heapq.heappush(self._due, (due, number, entry.turn))
            self.tell()

    def _first(self, number: int, entry: _Entry) -> bool:
        return not entry.line or self._lines[entry.line][0] == number

    def _forget(self, number: int) -> None:
        entry = self._entries.pop(number)
        if not entry.line:
            return
        line = self._lines[entry.line]
        line.remove(number)
        while line and self._entries[line[0]].settled:
            settled = line.popleft()
            self._settle(settled, self._entries.pop(settled).message)
        if line:
            self._move(line[0], self._entries[line[0]].due)
        else:
            del self._lines[entry.line]

    def _settle(self, number: int, message: Message) -> None:
        """An acknowledged message counts no more, or as one to seek to."""
        if self.rules.retained:
            self._acknowledged[number] = message
            self._keeping.acknowledged(number, message)
        else:
            self._keeping.gone(number)

    def _drop_old(self) -> None:
        oldest = self._oldest()
        while self._entries:
            number, entry = next(iter(self._entries.items()))
            if entry.message.at >= oldest:
                break
            self._forget(number)
            self._keeping.gone(number)
        while self._acknowledged:
            number, message = next(iter(self._acknowledged.items()))
            if message.at >= oldest:
                break
            del self._acknowledged[number]
            self._keeping.gone(number, acknowledged=True)


def _parts(lease: str) -> tuple[int, int]:
    number, _, attempt = lease.partition("-")
    if not (number.isdecimal() and attempt.isdecimal() and len(lease) < _LONGEST_LEASE):
        return 0, 0  # no entry has that number
    return int(number), int(attempt)
