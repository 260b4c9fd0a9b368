"""The audit log of the local Secret Manager: entries as Cloud Logging shows them, never with a value."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from .audit_entry import ACTIVITY, DATA_ACCESS, Called, entry
from .ports import Wall
from .secret_rpcs import Log


# Enough for a long test; the oldest go first.
_KEPT = 10_000

Entry = Mapping[str, Any]


def nowhere(_entry: Entry) -> None:
    """Keep nothing elsewhere."""


class AuditLog:
    """Every call, in the order of the answers. Thread-safe.

    Admin Activity is always on; Data Access (reads, and accesses of values) is off until it is switched on
    [documented].

    Args:
        wall: wall time.
        project: id of the project that entries show in place of its number.
        sink: given each entry that is kept; Cloud Logging, say.
    """

    def __init__(self, *, wall: Wall, project: str = "", sink: Callable[[Entry], None] = nowhere) -> None:
        self._wall = wall
        self._project = project
        self._sink = sink
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._number = 0
        self._on = {Log.ADMIN_WRITE}

    def switch_on(self, *logs: Log) -> None:
        """Keep Data Access entries too: those of `ADMIN_READ`, of `DATA_READ`, or of both where nothing is said."""
        self._on |= set(logs or Log)

    def switch_off(self) -> None:
        """Keep Admin Activity only."""
        self._on = {Log.ADMIN_WRITE}

    def wants(self, log: Log) -> bool:
        """Whether calls of this kind are kept."""
        return log in self._on

    def note(self, called: Called) -> None:
        """Keep a call."""
        with self._lock:
            self._number += 1
            kept = entry(called, number=self._number, at=self._wall(), project=self._project)
            self._entries.append(kept)
        self._sink(kept)

    def entries(self, *, method: str = "") -> list[Entry]:
        """The entries, oldest first; of one method by its short name where it is given."""
        with self._lock:
            kept = list(self._entries)
        return [one for one in kept if not method or one["protoPayload"]["methodName"].endswith(f".{method}")]

    def activity(self) -> list[Entry]:
        """The entries of Admin Activity."""
        return [one for one in self.entries() if one["logName"].endswith(ACTIVITY)]

    def data_access(self) -> list[Entry]:
        """The entries of Data Access."""
        return [one for one in self.entries() if one["logName"].endswith(DATA_ACCESS)]

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self._entries.clear()
