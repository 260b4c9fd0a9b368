"""This process among the others of its service: what begins when it joins its container, and ends when it leaves."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .hearing import Events, Hearing
from .instance import Instance
from .intake import Follower
from .leaving import Leaving
from .registry import Registry
from .roster import Roster
from .telemetry import Field
from .worker import Worker


# Late: the fleet needs an extra.
if TYPE_CHECKING:
    from .fleet.member import Fleet


class Presence:
    """Be one process of an instance, and say so. Thread-safe.

    Args:
        cache: follows the events that the instance pulls.
        instance: which one this is.
        hearing: how it hears of changes.
        registry: the entries that events are about.
        worker: this process's side of its container.
        clock: monotonic seconds.
        wall: nanoseconds since the epoch.
        jitter: a number between 0 and 1 at each call.
    """

    def __init__(
        self,
        cache: Follower,
        *,
        instance: Instance,
        hearing: Hearing,
        registry: Registry,
        worker: Worker,
        clock: Callable[[], float],
        wall: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        self._instance = instance
        self._hearing = hearing
        self._worker = worker
        self._membership = worker.membership
        self._leaving = Leaving()
        self._end_lock, self._ending = threading.RLock(), False
        self._fleet: Fleet | None = None
        self._make_fleet = partial(
            hearing.fleet,
            cache,
            whose=instance,
            concerns=lambda name: bool(registry.concerned(name)),
            tell=registry.tell,
            call=worker.call,
            clock=clock,
            wall=wall,
            jitter=jitter,
        )
        self._roster = Roster(
            cache.voice,
            member=lambda: self._membership.member,
            members=self._membership.members,
            entries=registry.all,
        )

    def begin(self, directory: Path, *, hears: bool) -> None:
        """Learn what the instance is called, and hear for it, as a process that is about to join its container.

        Args:
            directory: what the container's workers share.
            hears: whether it follows events at all.
        """
        self._instance.find(directory)
        if hears and self._hearing.pulls:
            fleet = self._fleet or self._make_fleet()
            fleet.start(directory)
            self._fleet = fleet  # now: whoever ends meanwhile ends what there was before

    def joined(self) -> None:
        """Say that this process has joined its container."""
        self._leaving.watch()
        self._roster.started()

    @property
    def events(self) -> Events | None:
        """How this process hears of changes."""
        return self._hearing.events

    def alive(self) -> None:
        """Say that this process lives, and what it serves."""
        self._roster.alive()

    def wait(self, seconds: float, *, strict: bool) -> None:
        """Wait until the instance hears, where it pulls, so that what is read then misses nothing; see `Fleet.wait`."""
        if self._fleet is not None:
            self._fleet.wait(seconds, strict=strict)

    def end(self) -> None:
        """Leave the fleet and the container; a signal's handler that interrupts this leaves it to the first call."""
        with self._end_lock:
            if not self._ending:
                self._ending = True
                try:
                    self._end()
                finally:
                    self._ending = False

    def _end(self) -> None:
        self._roster.stopping()
        fleet, self._fleet = self._fleet, None
        if fleet is not None:
            fleet.leave()
        self._worker.leave(stays=partial(self._container_stays, fleet))
        if fleet is not None:
            fleet.close()

    def _container_stays(self, fleet: "Fleet | None", inhabited: Callable[[], bool]) -> bool:
        # Who replaces this worker must know what it knows: a stale read may show it a version whose disabling this one
        # acknowledged. First the subscription, then the directory, whose name for the instance leads to what could not
        # be deleted.
        return self._leaving.is_replaced(inhabited) or (fleet is not None and not fleet.delete())

    def after_fork(self) -> None:
        """In a forked child: it is present nowhere yet. Memory only."""
        if self._fleet is not None:
            self._fleet.after_fork()
        self._leaving = Leaving()
        self._end_lock, self._ending = threading.RLock(), False
        self._worker.after_fork()

    def who(self) -> dict[str, Field]:
        """Name this process, for its log entries."""
        whose = self._instance
        return {
            "service": whose.service or None,
            "revision": whose.revision or None,
            "instance": whose.id or None,
            "container": whose.token or None,
            "member": self._membership.member or None,
        }

    def status(self) -> dict[str, Any]:
        """Say which process this is, how it hears, and how many are beside it."""
        stats = self._membership.stats()
        return {
            "service": self._instance.service,
            "revision": self._instance.revision,
            "instance": self._instance.id,
            "events": {"by": self._hearing.events, **(self._fleet.status() if self._fleet is not None else {})},
            "workers": {"seen": stats.members, "lagging": stats.lagging},
        }
