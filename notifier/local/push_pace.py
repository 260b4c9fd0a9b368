"""How fast pushes go out: the window that grows and shrinks, and the pause of one that is refused too often."""

import math
from collections import deque
from collections.abc import Callable


# Pushes under way at once. The window begins with a single digit and grows by each success, which doubles it each time
# around; it shrinks by each failure, and what takes a second does not let it grow [documented]. Where it begins, that a
# failure halves it, and that it never falls below its beginning, is [assumed]. It ends at what one process can carry;
# production's goes to thousands.
FIRST, MOST = 5, 32
_SLOW = 1.0

# Push backoff: an endpoint that refuses too often is left alone for 100 ms to a minute, whatever the message
# [documented]. Of the curve two points are [documented]: a refusal a second pauses for about half a second, five for
# half a minute to a whole one; that it triples in between, over what happened in ten seconds, and begins with one
# refusal a second, is [assumed].
_SECONDS = 10.0
_LONGEST = 60.0
_AT_ONE, _FACTOR = 0.5, 3.0


class Pace:
    """The pace of one subscription's pushes. Not thread-safe: it is used under the backlog's lock.

    Args:
        clock: monotonic seconds.
        longest_pause: seconds; production's is a minute, and a test would rather not wait for that.
    """

    def __init__(self, *, clock: Callable[[], float], longest_pause: float = _LONGEST) -> None:
        self._clock = clock
        self._longest = min(longest_pause, _LONGEST)
        self._refusals: deque[float] = deque()
        self._until = -math.inf
        self.window = FIRST

    def acknowledged(self, seconds: float) -> None:
        """A push succeeded, after so long."""
        if seconds < _SLOW:
            self.window = min(MOST, self.window + 1)

    def refused(self) -> None:
        """A push failed."""
        self.window = max(FIRST, self.window // 2)
        now = self._clock()
        self._refusals.append(now)
        while self._refusals[0] <= now - _SECONDS:
            self._refusals.popleft()
        rate = len(self._refusals) / _SECONDS
        if rate >= 1.0:
            # Beyond five a second the curve has long reached its end.
            pause = _AT_ONE * _FACTOR ** (min(rate, 10.0) - 1.0)
            self._until = max(self._until, now + min(pause, self._longest))

    def pause(self) -> float:
        """Seconds until the next push may go out."""
        return max(0.0, self._until - self._clock())
