"""How often an entry asks upstream because somebody was refused with its value.

One look is under way at a time and all who ask meanwhile share it. One that finds nothing makes the next one due later,
so that a provider which refuses everything costs a few accesses a minute.
"""

import threading
from collections.abc import Callable
from typing import Final


#: Seconds between looks that find nothing: doubling from the first to the cap.
FIRST: Final = 0.1
CAP: Final = 10.0


class Looking:
    """The looks of one entry. Thread-safe; every wait ends at its deadline.

    Args:
        climb: asks upstream once, by the deadline that it is given; says whether something newer is served now.
        clock: monotonic seconds.
    """

    def __init__(self, climb: Callable[[float], bool], clock: Callable[[], float]) -> None:
        self._climb = climb
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: threading.Event | None = None
        self._due = 0.0
        self._pause = FIRST

    def look(self, deadline: float) -> None:
        """Ask upstream, or wait for who does; nothing where the last look in vain was a moment ago."""
        with self._lock:
            others, now = self._under_way, self._clock()
            if others is None:
                if now < self._due:
                    return
                if now > self._due + 2 * CAP:  # a while ago: this is another trouble
                    self._pause = FIRST
                mine = self._under_way = threading.Event()
        if others is not None:
            others.wait(max(0.0, deadline - now))
            return
        found = False
        try:
            found = self._climb(deadline)
        finally:
            with self._lock:
                self._due = self._clock() + (0.0 if found else self._pause)
                self._pause = FIRST if found else min(CAP, self._pause * 2)
                self._under_way = None
            mine.set()

    def after_fork(self) -> None:
        """In a forked child: nothing is under way."""
        self._lock = threading.Lock()
        self._under_way = None
