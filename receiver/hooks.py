"""What is to be called at a fork, and at the end of a process.

No hook can be taken back, so all hold what they call weakly: a cache that nobody uses any more is collected.
"""

import atexit
import os
import sys
import weakref
from collections.abc import Callable
from typing import Protocol


class Forkable(Protocol):
    """What wants to know of forks and of the end."""

    def after_fork(self) -> None:
        """In a forked child, while other threads of the parent may have been anywhere: memory only."""
        ...

    def close(self) -> None:
        """At the end of the process."""
        ...


def at_fork(what: Forkable) -> None:
    """Call `after_fork` in every child that this process forks."""
    living = weakref.ref(what)

    def in_child() -> None:
        found = living()
        if found is not None:
            found.after_fork()

    os.register_at_fork(after_in_child=in_child)


def at_exit(what: Forkable) -> None:
    """Call `close` when this process ends by itself, whether the interpreter ends or a pool ends its process."""
    living = weakref.ref(what)

    def leave(*_: object, **__: object) -> None:
        found = living()
        if found is not None:
            found.close()

    atexit.register(leave)
    _at_end_of_pooled(leave)


def _at_end_of_pooled(leave: Callable[..., None]) -> None:
    # A forked child of `multiprocessing`, or of Celery's fork of it, ends by `os._exit`, past the interpreter's hooks.
    # Whoever made such a child has imported these.
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            util.Finalize(None, leave, exitpriority=0)
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(leave, weak=False)
