"""What a worker says of its own life, so that whoever reads the log knows whom to expect to hear from.

A worker says when it starts and when it ends, and at each of its safety reads (about once an hour) that it lives and
what it serves. So the entries of two hours name everybody who was awake, at the price of one entry per worker and hour.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from .live import LiveEntry
from .telemetry import Event, Voice


class Roster:
    """Write a worker's signs of life. Thread-safe.

    Args:
        voice: writes the log.
        member: this worker's name in its container.
        members: the names of all workers there.
        entries: what this worker may serve.
    """

    def __init__(
        self,
        voice: Voice,
        *,
        member: Callable[[], str],
        members: Callable[[], Sequence[str]],
        entries: Callable[[], Iterable[LiveEntry]],
    ) -> None:
        self._voice = voice
        self._member = member
        self._members = members
        self._entries = entries

    def started(self) -> None:
        """This worker has joined its container."""
        event: Event = "instance_started" if not self._others() else "worker_started"
        self._voice(logging.INFO, event, "a worker has started", roll=True)

    def alive(self) -> None:
        """This worker lives: what it serves of what follows, and of what is fixed."""
        serving: list[str] = []
        fixed: list[str] = []
        for entry in self._entries():
            if entry.version is not None:
                kept = fixed if entry.fixed or entry.declaration.as_fields() else serving
                kept.append(f"{entry.declaration.name}/versions/{entry.version}")
        text = f"a worker serves {len(serving) + len(fixed)} secrets"
        self._voice(logging.INFO, "alive", text, roll=True, serving=serving or None, fixed=fixed or None)

    def stopping(self) -> None:
        """This worker is about to leave its container; nothing where it is no member."""
        if self._member():
            others = self._others()
            event: Event = "worker_stopped" if others else "instance_stopped"
            self._voice(logging.INFO, event, "a worker ends", members=others)

    def _others(self) -> list[str]:
        mine = self._member()
        return [name for name in self._members() if name != mine]
