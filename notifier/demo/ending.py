"""Ending early: a signal sets a flag that every wait of the demo looks at, so nothing is torn down half-built."""

import contextlib
import queue
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOHUP: Final = (signal.SIGHUP, signal.SIG_IGN)

#: Seconds between two looks at what is waited for.
_LOOK: Final = 0.01


class Ended(Exception):  # not an error: somebody asked for it
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class Ending:
    """Whether somebody has asked for the end. For the main thread, which is the one that hears signals."""

    def __init__(self) -> None:
        # Its `put` may interrupt its own `get`; an Event's `set` in a handler could wait for itself.
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._number = 0

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Take the ending signals as requests for the length of a `with`."""
        # Under nohup a hang-up is ignored, and stays so.
        taken = [number for number in _SIGNALS if (number, signal.getsignal(number)) != _NOHUP]
        before = {number: signal.signal(number, self._ask) for number in taken}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, _: FrameType | None) -> None:
        self._asked.put(number)

    def pause(self, seconds: float) -> None:
        """Let so many seconds pass.

        Raises:
            Ended: somebody asked for the end.
        """
        if not self._number:
            with contextlib.suppress(queue.Empty):
                self._number = self._asked.get(timeout=seconds)
        if self._number:
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
