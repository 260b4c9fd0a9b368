"""A worker's part in the fleet: standing for election, hearing for its container when elected, and leaving."""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigurationError, HearingFailed
from ..knowledge import SECOND
from ..telemetry import Voice
from . import rules
from .inbox import Inbox
from .seats import Seats
from .subscriptions import Subscriptions
from .term import Term, Whose


#: Seconds between two looks at who leads: well inside the second in which a dead leader is to be replaced.
BEAT: Final = 0.25
#: Seconds within which a worker that starts waits to be heard for; see `Fleet.wait`.
READY: Final = 3.0
#: Seconds after which the sign that somebody hears is too old.
_FRESH: Final = 2.0
_LOOK: Final = 0.02
#: Seconds that leaving waits for each of its parts.
_FAREWELL: Final = 2.0

#: Its time of change is the monotonic second at which the leader last heard.
_HEARING: Final = "hearing"
#: Is there where some worker read while nobody heard.
_UNHEARD: Final = "unheard"


class Fleet:
    """Be a member of the fleet. Thread-safe; touches nothing before `start`.

    Args:
        subscriptions: Pub/Sub.
        inbox: takes messages in.
        whose: the instance.
        voice: writes the log.
        alone: whether no push reaches this service, so that one which cannot pull must not start.
        call: calls all workers of the container to a wake check.
        clock: monotonic seconds, of the machine.
        wall: nanoseconds since the epoch.
        jitter: a number between 0 and 1 at each call.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        inbox: Inbox,
        *,
        whose: Whose,
        voice: Voice,
        alone: bool,
        call: Callable[[float], None],
        clock: Callable[[], float],
        wall: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        self._subscriptions = subscriptions
        self._inbox = inbox
        self._whose = whose
        self._voice = voice
        self._alone = alone
        self._call = call
        self._clock = clock
        self._wall = wall
        self._jitter = jitter
        # A parent's term: kept, so that nobody touches a stream that is not this process's.
        self._inherited: list[Term | None] = []
        self._term: Term | None = None
        self._forget()

    def _forget(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._seats: Seats | None = None
        self._seat: int | None = None
        self._taken: list[int] = []
        self._directory: Path | None = None
        self._waited = False
        self._trouble = ""

    def start(self, directory: Path) -> None:
        """Stand for election.

        Args:
            directory: the one that the container's workers share.
        """
        self._directory = directory
        self._seats = Seats(directory, clock=self._clock)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._seats, self._over), name="keyturn-fleet")
        self._thread.daemon = True
        self._thread.start()

    def _run(self, seats: Seats, over: threading.Event) -> None:
        while True:
            self._stand(seats)
            self._inbox.tick()
            if over.wait(BEAT):
                return

    def _stand(self, seats: Seats) -> None:
        try:
            seat = seats.claim()
            if self._term is not None and self._term.hearing:
                self._sign()
            self._trouble = ""
        except OSError as exc:
            seats.release()
            seat = None
            if self._trouble != str(exc):
                self._trouble = str(exc)
                self._voice(
                    logging.ERROR, "board_unwritable", f"the workers cannot elect a leader: {exc.strerror or exc}"
                )
        if seat != self._seat:
            self._change(seat, newborn=seats.newborn)

    def _change(self, seat: int | None, *, newborn: bool) -> None:
        before, self._term = self._term, None
        stood_in, self._seat = self._seat, seat
        if before is not None:
            threading.Thread(target=self._resign, args=(before, stood_in), name="keyturn-resign", daemon=True).start()
        if seat is not None:
            self._term = Term(
                self._subscriptions,
                self._inbox,
                whose=self._whose,
                voice=self._voice,
                seat=seat,
                newborn=newborn and before is None and seat == 0,
                outrun=self._read_unheard,
                call=self._call,
                clock=self._clock,
                wall=self._wall,
                jitter=self._jitter,
            )
            self._term.begin()

    def _resign(self, term: Term, seat: int | None) -> None:
        term.end(_FAREWELL)
        if seat:
            self._delete(term.subscription)

    def _sign(self) -> None:
        stamp = int(self._clock() * SECOND)
        os.utime(self._touch(_HEARING), ns=(stamp, stamp))

    def _touch(self, sign: str) -> Path:
        assert self._directory is not None  # noqa: S101  # since `start`
        path = self._directory / sign
        path.touch(mode=0o600)
        return path

    @property
    def hearing(self) -> bool:
        """Whether some worker of the container hears for it."""
        term = self._term
        if term is not None and term.hearing:
            return True
        if self._directory is None:
            return False
        try:
            sign = (self._directory / _HEARING).stat().st_mtime_ns / SECOND
        except OSError:
            return False
        return 0 <= self._clock() - sign < _FRESH

    def wait(self, seconds: float, *, strict: bool) -> None:
        """Wait until the container is heard for: what is read from then on cannot be outrun.

        Once somebody's wait has ended, later ones of this process end at once, as all do before `start`.

        Args:
            seconds: at most so long, and `READY` at most. Whoever waits in vain reads, and leaves a sign of it: then
                all look again once the container is heard for.
            strict: whether to raise.

        Raises:
            ConfigurationError: nothing reaches this service, because it may not pull and no push is expected.
        """
        if self._waited or self._directory is None:
            return
        until = self._clock() + min(seconds, READY)
        while not self.hearing:
            hopeless = self._hopeless()
            if hopeless and self._alone and strict:
                raise ConfigurationError(hopeless)
            if hopeless or self._clock() >= until or self._over.wait(_LOOK):
                with suppress(OSError):  # no space: a safety read finds what this one misses
                    self._touch(_UNHEARD)
                break
        self._waited = True

    def _hopeless(self) -> str | None:
        """Why no message will come until somebody mends it; None where one may."""
        term = self._term
        trouble = term.trouble if term is not None else None
        if term is None or trouble is None or not (trouble.denied or trouble.missing):
            return None
        return term.explain(trouble)

    def _read_unheard(self) -> bool:
        assert self._directory is not None  # noqa: S101  # since `start`
        return (self._directory / _UNHEARD).exists()

    def status(self) -> dict[str, Any]:
        """Say whether this instance hears, and by whom."""
        term = self._term
        trouble = term.trouble if term is not None else None
        said = {
            "hearing": self.hearing,
            "leads": term is not None,
            "subscription": term.subscription if term is not None else None,
            "why": str(trouble) if trouble is not None else None,
        }
        return {key: value for key, value in said.items() if value is not None}

    def leave(self) -> None:
        """Stand no more, and pull no more. Bounded; the subscription stays, for the workers that do."""
        self._over.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_FAREWELL)
        term, self._term = self._term, None
        if term is not None:
            term.end(_FAREWELL)
            if self._seat:
                self._delete(term.subscription)
        self._seat = None
        if self._seats is not None:
            self._taken = self._seats.taken()
            self._seats.release()

    def delete(self) -> bool:
        """Delete what this instance has made: it leaves with its last worker. Say whether nothing of it is left."""
        whose = self._whose
        if not whose.id:
            return True  # then no other worker of the container knows it either, and none has made any
        names = [rules.subscription_id(whose.service, whose.id, whose.token, seat=seat) for seat in self._taken]
        left = [name for name in names if not self._delete(name)]
        return not left

    def _delete(self, subscription: str) -> bool:
        try:
            self._subscriptions.delete(subscription)
        except (HearingFailed, ConfigurationError) as exc:
            self._voice(logging.WARNING, "fleet_trouble", str(exc), subscription=subscription)
            return False
        return True

    def close(self) -> None:
        """Close what was opened."""
        self._subscriptions.close()

    def after_fork(self) -> None:
        """In a forked child: let go of what is the parent's, without touching it. Memory only."""
        self._inherited.append(self._term)
        self._term = None
        self._forget()
        self._inbox.after_fork()
        self._subscriptions.after_fork()
