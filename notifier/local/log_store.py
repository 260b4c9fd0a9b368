"""The log entries that there are: the newest, as many as memory is given for."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from google.cloud.audit import audit_log_pb2  # type: ignore[import-untyped]  # noqa: F401 - what `protoPayload` holds
from google.cloud.logging_v2.types.log_entry import LogEntry
from google.iam.v1.logging import audit_data_pb2  # type: ignore[import-untyped]  # noqa: F401
from google.protobuf import json_format

from .clocks import stamp
from .journal import Change, Forgetful, Journal
from .log_fields import Fields
from .names import project_number
from .ports import Wall


# The oldest go first where there are more than so many, or more bytes than this.
MOST = 20_000
MOST_BYTES = 16 * 1024 * 1024

# Seconds for which entries can be read, and after which they cannot be from the future [documented].
_RETENTION = 30 * 24 * 3600
_FUTURE = 24 * 3600


_KIND = "entry"


class Entry:
    """One entry that is kept.

    Args:
        message: the LogEntry, complete; never changed after.
        number: counts the entries as they come in.
    """

    def __init__(self, message: Any, *, number: int) -> None:
        self.message = message
        self.number = number
        self.project = project_of(message.log_name)
        self.size = message.ByteSize()
        nanoseconds = message.timestamp.seconds * 10**9 + message.timestamp.nanos
        # Entries of one time are ordered by their insertId [documented].
        self.key = (nanoseconds, message.insert_id, message.log_name)

    @property
    def identity(self) -> tuple[str, int, str]:
        """Entries that have the same are one [documented]."""
        return self.project, self.key[0], self.key[1]

    @cached_property
    def fields(self) -> Fields:
        """As JSON has it; made when a filter asks first."""
        try:
            return json_format.MessageToDict(self.message)
        except TypeError:
            # A payload of a type that nobody here knows can be read by who does, and not be searched.
            known = type(self.message)()
            known.CopyFrom(self.message)
            known.ClearField("proto_payload")
            return json_format.MessageToDict(known)


class LogStore:
    """All entries of all projects. Thread-safe.

    Args:
        wall: wall time.
        journal: where entries are kept over a restart, as the kind `entry` under their numbers.
        most: how many are kept.
        most_bytes: of them all.
    """

    def __init__(
        self, *, wall: Wall, journal: Journal | None = None, most: int = MOST, most_bytes: int = MOST_BYTES
    ) -> None:
        self._wall = wall
        self._journal = journal or Forgetful()
        # Nothing is made into records where they would be forgotten.
        self._keeps = not isinstance(self._journal, Forgetful)
        self._most = most
        self._most_bytes = most_bytes
        self.changed = threading.Condition()
        self.closed = False
        self._entries: deque[Entry] = deque()
        self._identities: set[tuple[str, int, str]] = set()
        self._bytes = 0
        kept = {key: value for _, key, value in self._journal.records(_KIND) if value is not None}
        for key in sorted(kept):
            self._admit(Entry(LogEntry.pb().FromString(kept[key]), number=int(key, 16)))
        self._numbers = itertools.count(self.last + 1)

    @property
    def last(self) -> int:
        """The number of the newest entry, 0 before the first."""
        with self.changed:
            return self._entries[-1].number if self._entries else 0

    def add(self, messages: Iterable[Any]) -> None:
        """Keep LogEntries, completed with what they leave out; one that is there already is not kept twice."""
        now = self._wall()
        with self.changed:
            for message in messages:
                self._add(message, now)
            self.changed.notify_all()

    def after(self, number: int) -> list[Entry]:
        """The entries that came in after the one of this number, in the order in which they came."""
        with self.changed:
            newest = itertools.takewhile(lambda entry: entry.number > number, reversed(self._entries))
            return list(newest)[::-1]

    def flush(self) -> None:
        """Return once all that was added before is durable.

        Raises:
            OSError: it cannot be made so.
        """
        self._journal.flush()

    def matching(self, test: Callable[[Entry], bool]) -> list[Entry]:
        """The entries that can be read now and pass the test, by time."""
        now = self._wall()
        oldest, newest = (now - _RETENTION) * 10**9, (now + _FUTURE) * 10**9
        readable = [entry for entry in self.after(0) if oldest <= entry.key[0] <= newest]
        return sorted(filter(test, readable), key=lambda entry: entry.key)

    def close(self) -> None:
        """Let those go that wait for more."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _add(self, message: Any, now: float) -> None:
        number = next(self._numbers)
        stamp(message.receive_timestamp, now)
        if not message.HasField("timestamp"):
            message.timestamp.CopyFrom(message.receive_timestamp)
        # Ids that are made here sort as they came.
        message.insert_id = message.insert_id or _key(number)
        entry = Entry(message, number=number)
        if entry.identity in self._identities:
            return
        if self._keeps:
            self._journal.write(Change(_KIND, _key(number), message.SerializeToString()))
        self._admit(entry)

    def _admit(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._identities.add(entry.identity)
        self._bytes += entry.size
        while len(self._entries) > self._most or self._bytes > self._most_bytes:
            oldest = self._entries.popleft()
            self._identities.discard(oldest.identity)
            self._bytes -= oldest.size
            if self._keeps:
                self._journal.write(Change(_KIND, _key(oldest.number), None))


def _key(number: int) -> str:
    return f"{number:016x}"


def project_of(name: str) -> str:
    """The number of the project in a resource's name, however the name spells it; "" where there is none."""
    kind, _, rest = name.partition("/")
    project = rest.partition("/")[0]
    return project_number(project) if kind == "projects" and project else ""
