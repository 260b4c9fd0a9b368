"""Does somebody go on where this process leaves off? For the last worker of a container, that may be a worker to be.

gunicorn starts new workers before it ends the old ones when it is told to reload (HUP), and after an old one has ended
when that has had its share of requests (`--max-requests`). In neither case does the instance end. What tells: the
arbiter has a younger child, or this worker ended without having been told to.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final


#: Seconds that a new worker gets to show itself, or another one to end: well inside Cloud Run's ten.
PATIENCE: Final = 2.0
_LOOK: Final = 0.02

#: How an arbiter tells a worker to end: TERM gracefully (also on HUP), QUIT and INT at once.
_ORDERS: Final = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)

#: proc(5): the state and the start time stand third and 22nd, counted from after the name's last parenthesis.
_STATE, _START = 0, 19


class Leaving:
    """Watch, in a worker of gunicorn's, for the order to end. One per process; made anew in a forked child."""

    def __init__(self) -> None:
        self._arbiter: int | None = None
        self._watched = False
        self._ordered = False

    def watch(self) -> None:
        """Begin; nothing outside of gunicorn. Where this is not the main thread, orders cannot be seen."""
        if "gunicorn.arbiter" not in sys.modules or self._arbiter is not None:
            return
        self._arbiter = os.getppid()
        if threading.current_thread() is not threading.main_thread():
            return
        for order in _ORDERS:
            handler = signal.getsignal(order)
            if callable(handler):
                signal.signal(order, self._noting(handler))
                self._watched = True
        # As gunicorn has it: the order lets a system call that is under way go on. `signal.signal` undoes that.
        signal.siginterrupt(signal.SIGTERM, False)

    def _noting(self, handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
        def note(number: int, frame: FrameType | None) -> Any:
            self._ordered = True
            return handler(number, frame)

        return note

    def is_replaced(self, inhabited: Callable[[], bool]) -> bool:
        """Whether another worker of this instance goes on. Waits `PATIENCE` seconds at most.

        Args:
            inhabited: whether another worker shows a sign of life.
        """
        if self._arbiter is None or os.getppid() != self._arbiter:
            return False
        if self._watched and not self._ordered:
            return True
        for _ in range(int(PATIENCE / _LOOK)):
            if inhabited():
                return True
            if not _has_younger_children(self._arbiter):
                return False
            threading.Event().wait(_LOOK)
        return True


def _has_younger_children(parent: int) -> bool:
    """Whether a process has living children that began after this one; no where the system does not say."""
    me = _stat(os.getpid())
    with suppress(OSError):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in children:
            found = _stat(int(child))
            if found and me and found[_STATE] != "Z" and int(found[_START]) > int(me[_START]):
                return True
    return False


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
