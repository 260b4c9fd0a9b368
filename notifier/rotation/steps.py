"""What comes next in a rotation. Pure: from its state, its plan and the time to an action.

| done | next | what is outside when that is done |
|---|---|---|
| idle | begin | nothing; what is current, and what the highest candidate is, are noted |
| begun | create | the candidate is saved, and nothing uses it |
| created | apply | the candidate is valid where it is used |
| applied | test | it was used |
| tested | promote | it is the secret's newest version, and receivers follow |
| promoted | retire | the version before is ended where nobody holds it |

A crash between an action and its note repeats the action: each finds what it did, or ends the same.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .plan import Plan
from .state import State, Step


class Action(StrEnum):
    """What to do."""

    BEGIN = "begin"
    CREATE = "create"
    APPLY = "apply"
    TEST = "test"
    PROMOTE = "promote"
    RETIRE = "retire"
    DESTROY = "destroy"


_AFTER: Final = {
    Step.BEGUN: Action.CREATE,
    Step.CREATED: Action.APPLY,
    Step.APPLIED: Action.TEST,
    Step.TESTED: Action.PROMOTE,
}


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done yet.

    Args:
        why: for people.
        until: seconds since the epoch; None where no time ends it.
    """

    why: str
    until: float | None = None


def next_action(
    state: State, plan: Plan, *, now: float, one_at_a_time: bool, paused: str | None = None, urgent: bool = False
) -> Action | Wait:
    """What comes next.

    Args:
        state: where it stands.
        plan: how the secret is rotated.
        now: seconds since the epoch.
        one_at_a_time: whether the version before must be ended before the next rotation begins.
        paused: why somebody paused it; None where nobody did.
        urgent: whether a person asks, who need not wait for a window or for the time of the next attempt.
    """
    if paused is not None:
        return Wait(f"paused: {paused}")
    if state.retry_at > now and not urgent:
        return Wait(state.why, state.retry_at)
    if state.under_way:
        return _AFTER[state.step]
    if state.wanted:
        return _beginning(state, plan, now=now, one_at_a_time=one_at_a_time, urgent=urgent)
    if state.step is Step.PROMOTED and plan.retire:
        due = state.promoted_at + plan.grace
        return Action.RETIRE if due <= now else Wait("the old version's time of grace is not over", due)
    return _destruction(state, now)


def _beginning(state: State, plan: Plan, *, now: float, one_at_a_time: bool, urgent: bool) -> Action | Wait:
    if state.step is Step.PROMOTED and one_at_a_time:
        # Its slot is taken by the version that is still to be ended.
        if not plan.retire:
            return Wait("the version before must be ended first: keyturn retire")
        due = state.promoted_at + plan.grace
        if due > now:
            return Wait("the rotation before has not ended: the old version's time of grace is not over", due)
        return Action.RETIRE
    if urgent or plan.open_at(now):
        return Action.BEGIN
    return Wait("waits for its window")


def _destruction(state: State, now: float) -> Action | Wait:
    if not state.doomed:
        return Wait("nothing is to be done")
    first = min(doomed.at for doomed in state.doomed)
    return Action.DESTROY if first <= now else Wait("a version waits for its destruction", first)
