"""What a worker compares before each request: whether its container has news, and whether it slept."""

from collections.abc import Sequence
from typing import Final


#: What is seen by whoever has seen nothing: no generation, which is never negative.
NOTHING: Final = -1


class Watch:
    """Hold what each request compares, in one place, since each pays for finding it: `current` says all of it.

    Written to by those who know: `memory` by the board, `seen` by the container, the span by the wake check.
    """

    __slots__ = ("asleep_at_ns", "memory", "seen", "ticked_ns")

    def __init__(self) -> None:
        #: The container's generation is the first number of this shared memory.
        self.memory: Sequence[int] = (0,)
        #: The generation up to which this worker has applied all.
        self.seen = NOTHING
        #: From when until when by the wall clock, in nanoseconds, this worker counts as having been awake.
        self.ticked_ns = self.asleep_at_ns = 0

    def current(self, wall: int) -> bool:
        """Whether this worker has heard all and was awake, at this many nanoseconds since the epoch."""
        return self.seen == self.memory[0] and self.ticked_ns <= wall < self.asleep_at_ns
