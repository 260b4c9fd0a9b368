"""When something happens to secrets of itself: a heap of moments."""

import heapq

from .secret_records import Stored


class Timers:
    """The moments at which secrets are to be looked at; whoever calls holds the store's lock.

    A plan that was changed stays in the heap and is passed over when its moment comes.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []

    def plan(self, path: str, stored: Stored) -> None:
        """Look at the secret when something happens to it next."""
        moment = stored.next_moment()
        if moment is not None:
            heapq.heappush(self._heap, (moment, path))

    def first(self) -> float:
        """The first moment of all; infinity where there is none. Needs no lock."""
        try:
            return self._heap[0][0]
        except IndexError:
            return float("inf")

    def pop(self, now: float) -> tuple[float, str] | None:
        """The first moment that has come, and whose it is."""
        return heapq.heappop(self._heap) if self.first() <= now else None
