"""What the interpreter is asked to call at a fork and at its exit.

Neither hook can be taken back, so both hold what they call weakly: a cache that nobody uses any more is collected.
"""

import atexit
import os
import weakref
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
    """Call `close` when the interpreter ends."""
    living = weakref.ref(what)

    def leave() -> None:
        found = living()
        if found is not None:
            found.close()

    atexit.register(leave)
