"""Carrying a rotation out: one step after the other, each under a lease and noted when it is done.

The lease and each note are one comparison and swap by the etag of the candidate's secret, so two rotators, or one event
that comes twice, cannot rotate twice.
"""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from .actions import STEP_TIMEOUT, Actions
from .bounded import MARGIN
from .ledger import Page, changed
from .plan import Plan, safe
from .retirement import Retirement
from .rotator import Rotator, RotatorError
from .state import State, Step
from .steps import Action, Wait, next_action
from .telemetry import Event
from .telemetry import entry as log
from .vault import Conflict, Vault, VaultError


#: Seconds that a lease lasts: longer than a step takes. One that takes longer is done twice at worst, with the same
#: candidate, and whoever was slower is told that it lost.
LEASE: Final = 60.0

#: Seconds of a lease that a step needs: a rotator is waited for no longer.
LONGEST: Final = STEP_TIMEOUT + MARGIN

#: Seconds until a failed step is tried again: doubled each time, with jitter over the upper half.
_FIRST_RETRY: Final = 5.0
_LAST_RETRY: Final = 3600.0


class Outcome(StrEnum):
    """How an advance ended."""

    DONE = "done"  # nothing is left that could be done
    WAITING = "waiting"  # something is left, for a later time
    BUSY = "busy"  # somebody else works on it
    FAILED = "failed"  # a step failed, and is noted
    LEFT_ALONE = "left alone"  # Google rotates it, or nobody does


@dataclass(frozen=True, slots=True)
class Advance:
    """What an advance did.

    Args:
        outcome: how it ended.
        why: for people.
        steps: the actions that were carried out.
        state: where it stands, as far as that is known.
    """

    outcome: Outcome
    why: str
    steps: tuple[Action, ...] = ()
    state: State = field(default_factory=State)


class NotNow(Exception):
    """What somebody asked for cannot be done as the rotation stands; the text says why."""


class Machine:
    """Rotates one secret. Thread-safe; several processes may each have one.

    Args:
        plan: how it is rotated.
        rotator: what makes its credentials; None where people do, so that only what is old is ended.
        vault: Secret Manager.
        retirement: ends old versions.
        read: the newest value of another secret, for rotators.
        wall: seconds since the epoch.
        owner: who works, unlike any other process's.
        rng: between 0 and 1; spreads retries.
    """

    def __init__(
        self,
        plan: Plan,
        rotator: Rotator | None,
        vault: Vault,
        *,
        retirement: Retirement,
        read: Callable[[str], bytes],
        wall: Callable[[], float],
        owner: str,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.plan = plan
        self._rotator = rotator
        self._vault = vault
        self.actions = Actions(plan, rotator, vault, retirement=retirement, read=read, wall=wall)
        self._wall = wall
        self._owner = owner
        self._rng = rng
        self._lock = threading.Lock()

    def ask(self, stamp: int, *, insist: bool = False) -> State:
        """Note that a rotation is wanted; when this returns, no crash forgets it.

        Args:
            stamp: nanoseconds of the event; a repeated event has the same, whatever its message id.
            insist: a person asks, whose clock may be late.

        Raises:
            VaultError: it could not be noted.
        """

        def note(page: Page) -> None:
            asked = page.state.insisting(stamp) if insist else page.state.asking(stamp)
            if asked != page.state:
                page.save(asked)
                self._say(logging.INFO, "rotation_asked", "is to be rotated")

        return changed(self._vault, self.plan, note)

    def ask_back(self, stamp: int, version: int) -> State:
        """Note that an earlier version's value is wanted as the newest one; see `ask`.

        Raises:
            NotNow: a rotation is under way.
            VaultError: it could not be noted.
        """

        def note(page: Page) -> None:
            if page.state.under_way:
                raise NotNow(f"a rotation of {self.plan.secret.secret} is under way ({page.state.step}); let it end")
            self._vault.enable(self.plan.secret, version)
            page.save(replace(page.state.insisting(stamp), copy_of=version, step=Step.IDLE))

        return changed(self._vault, self.plan, note)

    def abandon(self) -> State:
        """Give up what is under way: the old version stays, and what was asked for counts as done.

        Raises:
            NotNow: nothing is under way, or somebody works on it.
            VaultError: it could not be given up.
            RotatorError: the old credential could not be given its place back; nothing was given up.
        """

        def note(page: Page) -> None:
            state, now = page.state, self._wall()
            if not state.under_way:
                raise NotNow(f"no rotation of {self.plan.secret.secret} is under way")
            if state.leased(now, to_others_than=self._owner):
                raise NotNow("another rotator works on it at this moment")
            page.save(state.held_by(self._owner, until=now + LEASE))
            if number := self.actions.promoted(state):
                raise NotNow(f"version {number} is there already; keyturn rotate {self.plan.secret.secret} goes on")
            if self.actions.took_the_place(state):
                self.actions.undo(state)
            self.actions.drop_candidate(state)
            page.save(page.state.did(Step.IDLE, candidate=0, copy_of=0, satisfied=state.asked).released())

        with self._lock:
            return changed(self._vault, self.plan, note)

    def standing(self) -> tuple[State, str | None]:
        """Where it stands, and why it is paused (None: it is not).

        Raises:
            VaultError: it cannot be read.
        """
        page = Page(self._vault, self.plan)
        return page.state, page.paused

    def pause(self, because: str | None) -> None:
        """Stop all rotation of this secret, or let it go on again (None).

        Raises:
            VaultError: it could not be noted.
        """
        changed(self._vault, self.plan, lambda page: page.pause(because))

    def advance(self, *, urgent: bool = False) -> Advance:
        """Do what can be done now, until nothing is left or a step fails.

        Args:
            urgent: whether a person asks, who waits for no window and for no time of a next attempt.
        """
        done: list[Action] = []
        with self._lock:
            try:
                return self._advance(done, urgent=urgent)
            except Conflict:
                return Advance(Outcome.BUSY, "another rotator works on it", tuple(done))
            except VaultError as exc:
                return Advance(Outcome.FAILED, str(exc), tuple(done))

    def alone(self, page: Page, work: Callable[[State], State | Wait]) -> State | Wait:
        """Do something else than a next step, while no other rotator works on it; what was done is noted.

        Raises:
            NotNow: somebody works on it.
            VaultError: it could not be done, or could not be noted.
            RotatorError: the rotator did not do its part.
        """
        with self._lock:
            now = self._wall()
            if page.state.leased(now, to_others_than=self._owner):
                raise NotNow("another rotator works on it at this moment")
            page.save(page.state.held_by(self._owner, until=now + LEASE))
            try:
                done = work(page.state)
            except (VaultError, RotatorError):
                page.save(page.state.released())
                raise
            page.save((page.state if isinstance(done, Wait) else done).released())
            return done

    def _advance(self, done: list[Action], *, urgent: bool) -> Advance:
        page = Page(self._vault, self.plan)
        if self._vault.describe(self.plan.secret).managed:
            self._say(logging.INFO, "rotation_left_alone", "is rotated by Google itself")
            return Advance(Outcome.LEFT_ALONE, "Google rotates this secret itself", (), page.state)
        while True:
            now = self._wall()
            if page.state.leased(now, to_others_than=self._owner):
                return Advance(Outcome.BUSY, "another rotator works on it", tuple(done), page.state)
            action = self._next(page, now, urgent=urgent)
            if isinstance(action, Wait):
                return self._rest(page, action, done)
            if action in _NEEDS_ROTATOR and self._rotator is None:
                why = "no rotator is declared for it in the manifest"
                return Advance(Outcome.LEFT_ALONE, why, tuple(done), page.state)
            if page.state.owner != self._owner or page.state.until < now + LONGEST:
                page.save(page.state.held_by(self._owner, until=now + LEASE))
            try:
                moved = self.actions.do(action, page.state)
            except (VaultError, RotatorError) as exc:
                return self._failed(page, action, exc, done)
            if isinstance(moved, Wait):
                return self._rest(page, moved, done)
            page.save(moved.held_by(self._owner, until=self._wall() + LEASE))
            done.append(action)
            self._say(logging.INFO, "rotation_step", f"{action} is done", step=action.value)
            if action is Action.PROMOTE:
                self.actions.drop_candidate(page.state)

    def _next(self, page: Page, now: float, *, urgent: bool) -> Action | Wait:
        return next_action(
            page.state,
            self.plan,
            now=now,
            one_at_a_time=self._rotator is not None and self._rotator.one_at_a_time,
            paused=page.paused,
            urgent=urgent,
        )

    def _rest(self, page: Page, wait: Wait, done: list[Action]) -> Advance:
        if page.paused is not None and self.actions.took_the_place(page.state):
            wait = Wait(f"{wait.why}{self._give_back(page)}")
        if page.state.owner == self._owner:
            rested = page.state.released()
            if wait.until is not None and (rested.wanted or rested.step is Step.PROMOTED):
                # What holds it up is looked up in the logs, whose quota is 60 reads a minute for a project.
                rested = replace(rested, why=safe(wait.why), retry_at=wait.until)
            page.save(rested)
        left = page.state.wanted or page.state.step is Step.PROMOTED
        if left:
            self._say(logging.INFO, "rotation_waits", wait.why)
        return Advance(Outcome.WAITING if left else Outcome.DONE, wait.why, tuple(done), page.state)

    def _failed(self, page: Page, action: Action, exc: Exception, done: list[Action]) -> Advance:
        why = f"{action}: {exc}"
        self._say(logging.ERROR, "rotation_failed", why, step=action.value, failures=page.state.failures + 1)
        if self.actions.took_the_place(page.state):
            why += self._give_back(page)
        pause = min(_LAST_RETRY, _FIRST_RETRY * 2 ** min(page.state.failures, 12)) * (0.5 + self._rng() / 2)
        page.save(page.state.failed(safe(why), retry_at=self._wall() + pause))
        return Advance(Outcome.FAILED, why, tuple(done), page.state)

    def _give_back(self, page: Page) -> str:
        # Whoever slept through its lease must not undo what its heir did.
        page.save(page.state.held_by(self._owner, until=self._wall() + LEASE))
        try:
            undone = self.actions.undo(page.state)
        except (VaultError, RotatorError) as exc:
            why = f"the old credential could not be restored: {exc}"
            self._say(logging.ERROR, "rotation_failed", why, step="restore")
            return f"; {why}"
        if undone.step is Step.BEGUN:
            self._say(logging.WARNING, "rotation_restored", "the old credential works again")
        page.save(undone)
        return ""

    def _say(self, level: int, event: Event, what: str, **fields: str | int) -> None:
        log(level, event, f"{self.plan.secret}: {what}", secret=self.plan.secret.path, **fields)


_NEEDS_ROTATOR: Final = frozenset({Action.BEGIN, Action.CREATE, Action.APPLY, Action.TEST, Action.PROMOTE})
