"""Ending early: a signal sets a flag that every wait of the demo looks at, so nothing is torn down half-built."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Seconds between two looks at what is waited for.
_LOOK: Final = 0.01


class Ended(Exception):  # not an error: somebody asked for it
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class Ending:
    """Whether somebody has asked for the end. Thread-safe."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._number = 0

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Take the ending signals as requests for the length of a `with`; in the main thread only."""
        before = {number: signal.signal(number, self._ask) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, _: FrameType | None) -> None:
        self._number = self._number or number
        self._asked.set()

    def pause(self, seconds: float) -> None:
        """Let so many seconds pass.

        Raises:
            Ended: somebody asked for the end.
        """
        if self._asked.wait(seconds):
            raise Ended(self._number)

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition holds; False after so many seconds.

        Raises:
            Ended: somebody asked for the end.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= deadline:
                return False
            self.pause(_LOOK)
        return True
