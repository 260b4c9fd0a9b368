"""A refresh under way, and the waiting for its end."""

import threading

from .entry import Rest


class Flight:
    """One refresh: whoever carries it out lands it, all others wait. Thread-safe."""

    __slots__ = ("_landed", "rest")

    def __init__(self) -> None:
        self._landed = threading.Event()
        self.rest: Rest | None = None

    def land(self, rest: Rest | None) -> None:
        """End it, with where it came to rest; None where whoever flew was torn down."""
        self.rest = rest
        self._landed.set()

    def wait(self, seconds: float) -> bool:
        """Wait for its end for so long; say whether it has ended."""
        return self._landed.wait(max(0.0, seconds))
