"""The other workers of the container: being one of them, and telling them.

A worker becomes a member in this order: sign of life, socket under a temporary name, listen, rename. So whoever finds
a socket can connect to it unless its owner is dead, and whoever finds a dead sign of life may remove what is left of
its owner. It must read the board *after* it has become a member: a worker that learns something writes it to the
board before it lists the members, so that one of the two sees the other.
"""

import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from .board import Board
from .errors import BoardError, ConfigurationError
from .jobs import Apply
from .knowledge import Knowledge
from .listener import Listener
from .locks import LAG, LIFE, SOCKET, UNBORN, SignOfLife, bury
from .names import SecretName
from .relay import Confirmations, Relay
from .telemetry import entry
from .wire import encode


__all__ = ["Confirmations", "Relay", "SiblingStats", "Siblings"]

#: How many relays a stopped worker's socket takes before connecting to it fails; it needs none of them, since the
#: board tells it more.
_BACKLOG: Final = 128
#: How long leaving waits for the listening thread, seconds.
_FAREWELL: Final = 1.0
#: The last member to leave may remove the directory under one that is just joining.
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class SiblingStats:
    """How this worker stands with the others.

    Args:
        attending: whether this worker is a member.
        members: how many members were seen, this one included.
        lagging: how many of them are marked as lagging.
    """

    attending: bool
    members: int
    lagging: int


@dataclass(frozen=True, slots=True)
class _Membership:
    life: SignOfLife
    listener: Listener
    apply: Apply
    tick: Callable[[], None] | None


class Siblings:
    """Be a worker among those that share a board. Thread-safe.

    Args:
        board: the container's board; its directory is where they meet.
        clock: the time, seconds.
    """

    def __init__(self, board: Board, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._run_dir = board.run_dir
        self._clock = clock
        self._lock = threading.Lock()
        self._membership: _Membership | None = None
        self._relays: weakref.WeakSet[Relay] = weakref.WeakSet()

    @property
    def attending(self) -> bool:
        """Whether this worker is a member."""
        return self._membership is not None

    def attend(self, apply: Apply, *, tick: Callable[[], None] | None = None) -> None:
        """Become a member; nothing where this worker is one. Read the board once this has returned.

        Args:
            apply: merges what a sibling told and does what follows from it; True when this worker now serves it,
                False when it could not. Runs in a daemon thread, once at a time for each secret.
            tick: called about each second in the listening thread, so it must be quick.

        Raises:
            BoardError: the directory cannot be used.
        """
        with self._lock:
            if self._membership is None:
                self._membership = self._join(apply, tick)

    def _join(self, apply: Apply, tick: Callable[[], None] | None) -> _Membership:
        try:
            life = self._begin()
            self._sweep()
            return self._listen(life, apply, tick)
        except BoardError:
            raise
        except OSError as exc:
            raise BoardError(f"cannot join the sibling workers: {exc.strerror or exc}") from exc

    def _begin(self) -> SignOfLife:
        for _ in range(_TRIES):
            try:
                life = SignOfLife.begin(self._run_dir.path)
            except FileNotFoundError:
                self._board.confirm()
                continue
            try:
                if self._board.confirm():
                    return life
            except BaseException:
                life.end()
                raise
            life.end()
        raise BoardError("the run directory vanishes as soon as it is made")

    def _listen(self, life: SignOfLife, apply: Apply, tick: Callable[[], None] | None) -> _Membership:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with self._run_dir.address(f"{life.name}{UNBORN}") as address:
                listening.bind(address)
            listening.listen(_BACKLOG)
            listener = Listener(
                listening, apply=apply, idle=self.caught_up, tick=lambda: self._tick(tick), clock=self._clock
            )
            listener.start()
            unborn = self._run_dir.path / f"{life.name}{UNBORN}"
            unborn.rename(unborn.with_suffix(SOCKET))
        except BaseException:
            listening.close()
            life.end()
            raise
        return _Membership(life, listener, apply, tick)

    def _tick(self, tick: Callable[[], None] | None) -> None:
        membership = self._membership
        if membership is not None and not (self._board.in_place() and membership.life.in_place()):
            # Not in the listening thread, which this one ends.
            threading.Thread(target=self._rejoin, args=(membership,), name="keyturn-rejoin", daemon=True).start()
        if tick is not None:
            tick()

    def _rejoin(self, lost: _Membership) -> None:
        """Join anew after somebody else, such as a cleaner of temporary files, removed ours."""
        with self._lock:
            if self._membership is not lost:
                return
            entry(logging.ERROR, "run_dir_vanished", "the workers' directory was removed; this worker joins anew")
            try:
                self._board.confirm()
                joined = self._join(lost.apply, lost.tick)
            except (BoardError, ConfigurationError) as exc:
                entry(logging.ERROR, "siblings_unreachable", str(exc))
                return  # the next tick tries again
            self._membership = joined
            with suppress(OSError):
                lost.life.end()
            lost.listener.stop(_FAREWELL)

    def relay(self, name: SecretName, knowledge: Knowledge, *, timeout: float = 1.0) -> Relay:
        """Tell every other worker at once; `wait` on the answer for what came of it.

        Publish on the board first. Nothing here waits or raises: who cannot be told is dead, or lags.

        Args:
            name: the secret.
            knowledge: what to tell of it.
            timeout: after how long a silence a sibling counts as lagging, seconds.
        """
        relay = Relay(
            self._run_dir, self._others(), encode(name, knowledge) + b"\n", timeout=timeout, clock=self._clock
        )
        self._relays.add(relay)
        return relay

    def _others(self) -> list[str]:
        return [name for name in self._named(SOCKET) if name != self.member]

    def _named(self, kind: str) -> list[str]:
        try:
            return [name.removesuffix(kind) for name in os.listdir(self._run_dir.path) if name.endswith(kind)]  # noqa: PTH208  # a third of the time of `iterdir`, in every push
        except FileNotFoundError:
            return []

    def caught_up(self) -> None:
        """Take away this worker's mark of lagging: call when the board has been merged; costs one system call."""
        membership = self._membership
        if membership is not None:
            with suppress(OSError):
                (self._run_dir.path / f"{membership.life.name}{LAG}").unlink(missing_ok=True)

    @property
    def member(self) -> str:
        """This worker's name among them; "" while it is none."""
        return self._membership.life.name if self._membership is not None else ""

    def members(self) -> list[str]:
        """The names of all that were seen, this one included."""
        return self._named(SOCKET)

    def stats(self) -> SiblingStats:
        """Count the members, for the status. A member that died since the last push may still be counted."""
        members = self._named(SOCKET)
        return SiblingStats(self.attending, len(members), len(set(members) & set(self._named(LAG))))

    def leave(self, *, stays: Callable[[Callable[[], bool]], bool] | None = None) -> None:
        """Stop being a member and leave nothing behind; the last to leave removes the directory. Bounded.

        Args:
            stays: whether the container stays all the same, asked where no other member is seen; it is given what says
                whether one is.
        """
        with self._lock:
            membership, self._membership = self._membership, None
            if membership is not None:
                # First the files: whoever sees the connection end then knows that this worker has left.
                with suppress(OSError):
                    membership.life.end()
                membership.listener.stop(_FAREWELL)
        if stays is None or self._sweep() or not stays(self._sweep):
            self._board.remove_unless(self._sweep)

    def _sweep(self) -> bool:
        """Remove what dead members left; returns whether a living one was found, this worker included."""
        living = False
        for name in sorted({name for kind in (LIFE, SOCKET, UNBORN, LAG) for name in self._named(kind)}):
            try:
                living = not bury(self._run_dir.path, name) or living
            except OSError:
                living = True
        return living

    def after_fork(self) -> None:
        """In a forked child: forget the parent's membership without touching it. The child is no member."""
        self._lock = threading.Lock()
        membership, self._membership = self._membership, None
        if membership is not None:
            membership.listener.abandon()
        for relay in list(self._relays):
            relay.close()
        self._relays = weakref.WeakSet()
