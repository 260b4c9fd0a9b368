"""Whether this process is a member of its container: joined once, however many ask, and left; never inherited."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final


# Late: sockets, mappings and files are for those who serve, not for all who import.
if TYPE_CHECKING:
    from .container import Container
    from .siblings import SiblingStats


#: How long one who joins is waited for before it is looked again, in seconds.
_JOINING: Final = 5.0


class Membership:
    """Join and leave. Thread-safe; touches nothing before `join`.

    Args:
        enter: joins, and returns the container.
        joined: called once this one has joined.
    """

    def __init__(self, enter: Callable[[], "Container"], *, joined: Callable[[], None]) -> None:
        self._enter = enter
        self._joined = joined
        # Taken by closing, which a signal's handler may do in the middle of it.
        self._lock = threading.RLock()
        self._joining: threading.Event | None = None
        #: Where this process is a member; None where it is none.
        self.container: Container | None = None

    def join(self) -> "Container":
        """Become a member of the container, where this process is none yet.

        Raises:
            ConfigurationError: the container's workers have nowhere to meet.
        """
        container = self.container
        while container is None:
            # The lock is not held while somebody joins, which takes system calls and a thread's start: under gevent
            # a lock that was made before the patch (by a fork, say) would stop the thread that all greenlets share.
            with self._lock:
                container, joining = self.container, self._joining
                mine = container is None and joining is None
                if mine:
                    joining = self._joining = threading.Event()
            if joining is not None and mine:
                container = self._become_member(joining)
            elif joining is not None:
                joining.wait(_JOINING)
        return container

    def _become_member(self, joining: threading.Event) -> "Container":
        try:
            container = self.container = self._enter()
        finally:
            self._joining = None
            joining.set()
        self._joined()
        return container

    def end(self) -> "Container | None":
        """Be a member no more; returns the container, which is to be left."""
        with self._lock:
            container, self.container = self.container, None
        return container

    def after_fork(self) -> None:
        """In a forked child: it is no member, and the parent's membership stays the parent's. Memory only."""
        self._lock = threading.RLock()
        self._joining = None
        container, self.container = self.container, None
        if container is not None:
            container.after_fork()

    @property
    def member(self) -> str:
        """This worker's name among those of its container; "" while it is no member."""
        container = self.container
        return container.member if container is not None else ""

    def members(self) -> list[str]:
        """The names of the container's workers, this one included."""
        container = self.container
        return container.members() if container is not None else []

    def stats(self) -> "SiblingStats":
        """How this worker stands with the others."""
        from .siblings import SiblingStats

        container = self.container
        return container.stats() if container is not None else SiblingStats(attending=False, members=0, lagging=0)
