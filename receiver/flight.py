"""A refresh under way, and the waiting for its end."""

import threading

from .entry import Rest


class Flight:
    """One refresh: whoever carries it out lands it, all others wait. Thread-safe.

    Args:
        deadline: the monotonic second until which whoever carries it out has time.
    """

    __slots__ = ("_landed", "deadline", "rest")

    def __init__(self, deadline: float) -> None:
        self._landed = threading.Event()
        self.deadline = deadline
        self.rest: Rest | None = None

    def land(self, rest: Rest | None) -> None:
        """End it, with where it came to rest; None where whoever flew was torn down."""
        self.rest = rest
        self._landed.set()

    def wait(self, seconds: float) -> bool:
        """Wait for its end for so long; say whether it has ended."""
        return self._landed.wait(max(0.0, seconds))
