"""What each step of a rotation does. Each may be done again after a crash, and ends the same.

What was done is found again: a candidate has a number above the one that was noted before, and a promoted value is
compared with the versions above the base.
"""

import contextlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from .bounded import Bounded
from .plan import Plan
from .retirement import LOOK_AGAIN, Retirement
from .rotator import Job, Rotator, RotatorError
from .state import Doomed, State, Step
from .steps import Action, Wait
from .vault import Absent, Unusable, Vault, VaultError, current, highest


#: Seconds that a rotator may take for one step.
STEP_TIMEOUT: Final = 30.0


class Actions:
    """Does the steps of one secret's rotation. Thread-safe where its parts are.

    Args:
        plan: how it is rotated.
        rotator: what makes its credentials; None where people do.
        vault: Secret Manager.
        retirement: ends old versions.
        read: the newest value of another secret, for rotators.
        wall: seconds since the epoch.
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
    ) -> None:
        self._plan = plan
        self._rotator = None if rotator is None else Bounded(rotator)
        self._vault = vault
        self._retirement = retirement
        self._read = read
        self._wall = wall

    def do(self, action: Action, state: State) -> State | Wait:
        """Do one step, and return the state after it; or what it waits for, with nothing done.

        Raises:
            VaultError: Secret Manager did not do its part.
            RotatorError: the rotator did not do its part.
        """
        match action:
            case Action.BEGIN:
                return self._begin(state)
            case Action.CREATE:
                return state.did(Step.CREATED, candidate=self._create(state))
            case Action.APPLY:
                self._sure().apply(self.job(state), self._candidate(state))
                return state.did(Step.APPLIED)
            case Action.TEST:
                self._sure().test(self.job(state), self._candidate(state))
                return state.did(Step.TESTED)
            case Action.PROMOTE:
                return self._note(
                    state, self.promoted(state) or self._vault.add(self._plan.secret, self._candidate(state))
                )
            case Action.RETIRE:
                return self.retire(state, force=False)
            case Action.DESTROY:
                return replace(state, doomed=self._retirement.destroy_due(self._plan, state.doomed, now=self._wall()))

    def retire(self, state: State, *, force: bool) -> State | Wait:
        """End the versions before the promoted one; see `do`.

        Args:
            state: whose version is promoted.
            force: end them whoever holds them.
        """
        self.drop_candidate(state)
        secret = self._plan.secret
        served = current(self._vault, secret, at_most=highest(self._vault, secret))
        if served is None or served[0] < state.promoted:
            why = f"version {state.promoted} is not usable, so none before it is ended: enable it, or take keyturn "
            return Wait(f"{why}rollback {secret.secret}", self._wall() + LOOK_AGAIN)
        ended = self._retirement.retire(
            self._plan,
            self._rotator,
            self.job(state),
            newest=state.promoted,
            added_at=state.promoted_at,
            now=self._wall(),
            force=force,
        )
        return ended if isinstance(ended, Wait) else self._doomed(state, ended).did(Step.IDLE)

    def end_old(self, state: State, *, force: bool) -> State | Wait:
        """End every enabled version below the newest usable one, whoever made it; see `Retirement.retire`.

        Raises:
            VaultError: no version is usable, or Secret Manager did not do its part.
            RotatorError: the rotator did not do its part.
        """
        secret, now = self._plan.secret, self._wall()
        served = current(self._vault, secret, at_most=highest(self._vault, secret))
        if served is None:
            raise VaultError(f"{secret} has no usable version: nothing is old")
        number, value = served
        added = next((one.created for one in self._vault.versions(secret) if one.number == number), now)
        job = Job(secret, f"{secret.secret}-{number}", STEP_TIMEOUT, value, self._read)
        ended = self._retirement.retire(
            self._plan, self._rotator, job, newest=number, added_at=added, now=now, force=force
        )
        return ended if isinstance(ended, Wait) else self._doomed(state, ended)

    def took_the_place(self, state: State) -> bool:
        """Whether the new credential may have ended the old one, and is not served yet."""
        alone = self._rotator is not None and self._rotator.overlap == "none"
        return alone and state.step in {Step.CREATED, Step.APPLIED, Step.TESTED}

    def undo(self, state: State) -> State:
        """Give the old credential its place back, and return where it then stands; or note the version, if it is there.

        Raises:
            VaultError: Secret Manager did not do its part.
            RotatorError: the rotator did not do its part.
        """
        if number := self.promoted(state):
            return self._note(state, number)
        job = self.job(state)
        if job.current is not None:
            self._sure().apply(job, job.current)
        return replace(state, step=Step.BEGUN)

    def drop_candidate(self, state: State) -> None:
        """Destroy the candidate, whose value stands in the secret itself; what fails here is tried again."""
        with contextlib.suppress(VaultError):
            if state.candidate:
                self._vault.destroy(self._plan.companion, state.candidate)

    def job(self, state: State) -> Job:
        """What the rotator is told."""
        # Somebody may have added one by hand since it began, and what that one holds must stay valid.
        served = current(self._vault, self._plan.secret, at_most=highest(self._vault, self._plan.secret))
        return Job(
            secret=self._plan.secret,
            key=f"{self._plan.secret.secret}-{state.base}-{state.before + 1}",
            timeout=STEP_TIMEOUT,
            current=None if served is None else served[1],
            read=self._read,
        )

    def _doomed(self, state: State, ended: list[Doomed]) -> State:
        """The same, with what is to be destroyed, and when: from its last end, where it ended more than once."""
        doomed = {one.number: one for one in (*state.doomed, *ended)}
        if self._plan.destroy_after is not None and state.step is Step.PROMOTED and state.base not in doomed:
            # A process may have died between the end of the version before and the note of it.
            for version in self._vault.versions(self._plan.secret):
                if version.number == state.base and not version.enabled and not version.destroyed:
                    doomed[state.base] = Doomed(state.base, self._wall() + self._plan.destroy_after)
        return replace(state, doomed=tuple(doomed.values()))

    def _begin(self, state: State) -> State | Wait:
        newest = highest(self._vault, self._plan.secret)
        served = current(self._vault, self._plan.secret, at_most=newest)
        before = highest(self._vault, self._plan.companion)
        base = 0 if served is None else served[0]
        if base and self._sure().one_at_a_time and not state.copy_of:
            # What people added has no note here, and may be the one that would be overwritten.
            ended = self._clear(state, base)
            if isinstance(ended, Wait):
                return ended
            state = ended
        return state.did(Step.BEGUN, base=base, before=before, candidate=0, promoted=0, promoted_at=0.0)

    def _clear(self, state: State, base: int) -> State | Wait:
        if self._plan.retire:
            return self.end_old(state, force=False)
        old = [one for one in self._vault.versions(self._plan.secret) if one.enabled and one.number < base]
        return Wait("the version before must be ended first: keyturn retire") if old else state

    def _create(self, state: State) -> int:
        made = state.before + 1
        with contextlib.suppress(Absent, Unusable):  # the latter where somebody ended it by hand
            self._vault.access(self._plan.companion, made)
            return made
        if state.copy_of:
            _, value = self._vault.access(self._plan.secret, state.copy_of)
        else:
            value = self._sure().create(self.job(state))
        return self._vault.add(self._plan.companion, value)

    def promoted(self, state: State) -> int:
        """The number that the tested candidate has in the secret, where it was added and not noted; 0 where not.

        Raises:
            VaultError: it cannot be told.
        """
        if state.step is not Step.TESTED:
            return 0
        value = self._candidate(state)
        for number in range(state.base + 1, highest(self._vault, self._plan.secret) + 1):
            with contextlib.suppress(Absent, Unusable):
                _, other = self._vault.access(self._plan.secret, number)
                if hmac.compare_digest(other, value):
                    return number
        return 0

    def _note(self, state: State, number: int) -> State:
        return state.did(Step.PROMOTED, promoted=number, promoted_at=self._wall(), satisfied=state.asked, copy_of=0)

    def _candidate(self, state: State) -> bytes:
        _, value = self._vault.access(self._plan.companion, state.candidate)
        return value

    def _sure(self) -> Rotator:
        if self._rotator is None:
            raise RotatorError("no rotator is declared for this secret in the manifest")
        return self._rotator
