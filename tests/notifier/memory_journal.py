"""A journal in memory: what was flushed survives `crash`, the rest does not."""

import threading

from notifier.local.journal import Change


class MemoryJournal:
    def __init__(self, records=()):
        self.durable = {(kind, key): value for kind, key, value in records}
        self.pending = []
        self.lock = threading.Lock()

    def write(self, *changes):
        with self.lock:
            self.pending.extend(changes)

    def flush(self):
        with self.lock:
            for kind, key, value in self.pending:
                if value is None:
                    self.durable.pop((kind, key), None)
                else:
                    self.durable[kind, key] = value
            self.pending.clear()

    def records(self, *kinds):
        return [Change(kind, key, value) for (kind, key), value in self.durable.items() if kind in kinds]

    def crash(self):
        """The journal of the next life."""
        with self.lock:
            return MemoryJournal([(*place, value) for place, value in self.durable.items()])
