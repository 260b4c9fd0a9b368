"""What a fork must not interrupt in Google's client: an import under way, and the end of gRPC's threads.

A child has the locks of the parent's other threads, but not the threads that would release them. What Python locks is
made anew in the child; a module's import lock and gRPC's own locks cannot be, so a fork waits for them instead.
"""

import os
import threading
import time
from pathlib import Path
from typing import Final


#: How long a fork waits for an import under way, in seconds.
_IMPORT: Final = 5.0

#: Since a channel was closed gRPC takes a millisecond to end its threads, as a rule, and a fork waits for it this long.
#: So a process whose other native threads are never fewer than they are now pays once, and not for ever.
_END: Final = 1.0
_LOOK: Final = 0.001

_THREADS: Final = Path("/proc/self/task")


class Imports:
    """Held while Google's client is imported, and while this process forks.

    A module that another thread is in the middle of importing at a fork stays locked in the child for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held = False
        os.register_at_fork(before=self._before, after_in_parent=self._after, after_in_child=self._child)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _before(self) -> None:
        self._held = self._lock.acquire(timeout=_IMPORT)

    def _after(self) -> None:
        if self._held:
            self._lock.release()

    def _child(self) -> None:
        self._lock = threading.RLock()


class Endings:
    """Lets a fork wait until gRPC has ended its threads after a channel was closed.

    With the last channel gRPC ends, on a thread of its own and under a lock. A child that is forked in the middle of
    that (a server's master loads, closes and forks at once) hangs when it makes a channel, and holds the interpreter
    while it does: no timeout of ours would help it.
    """

    def __init__(self) -> None:
        self._until = 0.0
        os.register_at_fork(before=self._before, after_in_child=self._over)

    def begin(self) -> None:
        """Note that a channel was closed just now."""
        self._until = time.monotonic() + _END

    def _over(self) -> None:
        self._until = 0.0

    def _before(self) -> None:
        while time.monotonic() < self._until and _has_native_threads():
            time.sleep(_LOOK)
        self._over()


def _has_native_threads() -> bool:
    """Whether there are threads that Python does not know of; where the system does not say, there may be."""
    try:
        return len(list(_THREADS.iterdir())) > threading.active_count()
    except OSError:
        return True
