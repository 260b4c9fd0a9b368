"""This process's membership of its container: the board that all workers read, and the siblings that it tells."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .board import Board
from .errors import BoardError
from .knowledge import SECOND, Knowledge
from .names import SecretName
from .rundir import open_run_dir
from .siblings import Confirmations, Siblings, SiblingStats
from .telemetry import entry as log
from .watch import Watch


#: Its time of change is the monotonic second at which a wake check was called for.
_CALL: Final = "call"

Apply = Callable[[SecretName, Knowledge], bool]


@dataclass(frozen=True, slots=True)
class Told:
    """What came of telling the container.

    Args:
        settled: every worker serves what was announced, or reads the board before its next request.
    """

    settled: bool


class Container:
    """Join, tell and follow the other workers. Thread-safe.

    Args:
        key: what workers that belong together have in common.
        run_dir: the parent of the run directory; None for the usual places.
        apply: brings this worker in line with what a sibling or the board says; True where it is.
        tick: called about each second, on the listener's thread; must be cheap.
        watch: shows where the board stands and what of it was seen, for as long as this process is a member.
        clock: monotonic seconds, of the machine: the workers compare theirs.
    """

    def __init__(
        self,
        key: str,
        *,
        run_dir: str | None,
        apply: Apply,
        merge: Callable[[SecretName, Knowledge], None],
        tick: Callable[[], None],
        watch: Watch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._merge = merge
        self._clock = clock
        self._lock = threading.RLock()  # see `Membership`
        self._left = False
        shared = open_run_dir(key, parent=run_dir)
        #: Private, and shared by the workers of the container.
        self.directory = shared.path
        # Listen first, then the board: news is on one of the two at any moment.
        self._board = Board(shared, watch=watch)
        self._siblings = Siblings(self._board)
        self._siblings.attend(apply, tick=tick)

    @property
    def behind(self) -> bool:
        """Whether the board stands elsewhere than where this worker has followed it."""
        return self._board.watch.seen != self._board.generation()

    def merge_board(self) -> int:
        """Merge what the board says since the last time; returns the generation that is thereby known."""
        with self._lock:
            generation, changes = self._board.changes()
            for name, knowledge in changes:
                self._merge(name, knowledge)
        return generation

    def follow(self, generation: int) -> None:
        """Everything up to `generation` has been applied here."""
        with self._lock:
            self._board.watch.seen = generation
        self._siblings.caught_up()

    def tell(self, name: SecretName, news: Knowledge, *, deadline: float, meanwhile: Callable[[], None]) -> Told:
        """Write the board, tell every sibling, do `meanwhile`, and wait for the siblings until `deadline`."""
        published = self._publish(name, news)
        relay = self._siblings.relay(name, news)
        meanwhile()
        if published is not None:
            self._passed(published)
        confirmed: Confirmations = relay.wait(deadline)
        # Who is silent is fenced by the board; without the board nothing is known of it.
        return Told(settled=not confirmed.failed and (published is not None or not confirmed.lagging))

    def _publish(self, name: SecretName, news: Knowledge) -> int | None:
        try:
            return self._board.publish(name, news).generation
        except BoardError as exc:
            if not self._left:  # a thread that comes late has nobody to tell
                log(logging.ERROR, "board_unwritable", str(exc), secret=str(name))
            return None

    def _passed(self, generation: int) -> None:
        # One's own news need not be read back; where others published meanwhile the next request reads theirs.
        with self._lock:
            if self._board.watch.seen == generation - 1:
                self._board.watch.seen = generation

    def claim(self, what: str, *, every: float) -> float:
        """Claim what one worker of the container may do in so many seconds; returns how long to wait, 0 if granted.

        Who has left is granted nothing.

        Raises:
            BoardError: the directory cannot be written.
        """
        try:
            return self._board.claim(what, now=self._clock(), every=every)
        except BoardError:
            if self._left:
                return every
            raise

    def claim_since(self, what: str, since: float) -> bool:
        """Claim what one worker of the container has to do since a monotonic second; say whether it was granted.

        Where the directory cannot be written to, everybody is granted.
        """
        now = self._clock()
        try:
            return self._board.claim(what, now=now, every=now - since) == 0
        except BoardError:
            return True

    def call(self, now: float) -> None:
        """Call upon every worker of the container for a wake check.

        Args:
            now: the monotonic second since which news may have been missed.
        """
        path, stamp = self.directory / _CALL, int(now * SECOND)
        try:
            path.touch(mode=0o600)
            os.utime(path, ns=(stamp, stamp))
        except OSError as exc:
            log(logging.ERROR, "board_unwritable", f"cannot call for a wake check: {exc.strerror or exc}")

    def called(self) -> float:
        """When a wake check was last called for, in monotonic seconds; 0 where none was. One system call."""
        try:
            return (self.directory / _CALL).stat().st_mtime_ns / SECOND
        except OSError:
            return 0.0

    @property
    def member(self) -> str:
        """This worker's name among its siblings."""
        return self._siblings.member

    def members(self) -> list[str]:
        """The names of all workers that were seen, this one included."""
        return self._siblings.members()

    def stats(self) -> SiblingStats:
        """How this worker stands with the others."""
        return self._siblings.stats()

    def leave(self, *, stays: Callable[[Callable[[], bool]], bool] | None = None) -> None:
        """Stop listening and remove what is this worker's; the last one removes all. See `Siblings.leave`."""
        self._left = True
        with self._lock:
            self._board.unwatched()
        try:
            self._siblings.leave(stays=stays)
        finally:
            self._board.close()

    def after_fork(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self._siblings.after_fork()
        self._board.after_fork()
