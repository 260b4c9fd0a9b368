"""Where rotations stand and what to do, for people and as JSON; names, numbers and times only."""

from datetime import UTC, datetime
from typing import Any, Final

from .machine import Machine
from .rotations import Rotations
from .state import State, Step
from .vault import VaultError


_NEXT: Final = {
    Step.IDLE: "nothing; keyturn rotate {name} begins one",
    Step.BEGUN: "a candidate is to be made; keyturn rotate {name} goes on at once",
    Step.CREATED: "the candidate is to be applied; keyturn rotate {name} goes on at once",
    Step.APPLIED: "the candidate is to be tested; keyturn rotate {name} goes on at once, keyturn rotation abandon "
    "{name} gives it up",
    Step.TESTED: "the candidate is to be added; keyturn rotate {name} goes on at once",
    Step.PROMOTED: "the old version is to be ended; keyturn retire {name} says who holds it",
}


def report(machine: Machine) -> dict[str, Any]:
    """Where one rotation stands; what could not be read is said."""
    name = machine.plan.secret.secret
    try:
        state, paused = machine.standing()
    except VaultError as exc:
        return {"secret": name, "rotator": machine.plan.rotator, "trouble": str(exc)}
    told: dict[str, Any] = {
        "secret": name,
        "rotator": machine.plan.rotator,
        "step": state.step.value,
        "version": state.promoted or state.base or None,
        "next": _next(state, name, paused),
    }
    if paused is not None:
        told["paused"] = paused
    if state.why:
        told |= {"why": state.why, "failures": state.failures, "tried_again_at": _time(state.retry_at)}
    if state.promoted_at:
        told["added_at"] = _time(state.promoted_at)
    if state.doomed:
        told["to_be_destroyed"] = {str(doomed.number): _time(doomed.at) for doomed in state.doomed}
    return told


def all_reports(rotations: Rotations) -> list[dict[str, Any]]:
    """Where every rotation stands."""
    return [report(machine) for machine in rotations]


def line(told: dict[str, Any]) -> str:
    """A report for people, in a few lines."""
    name = told["secret"]
    if "trouble" in told:
        return f"{name}: {told['trouble']}"
    head = f"{name} ({told['rotator'] or 'rotated by people'}): {told['step']}"
    head += f", version {told['version']}" if told["version"] else ""
    lines = [head]
    if "why" in told:
        lines.append(f"  stopped: {told['why']}; tried again at {told['tried_again_at']}")
    lines.append(f"  next: {told['next']}")
    lines += [f"  version {number} is destroyed at {at}" for number, at in told.get("to_be_destroyed", {}).items()]
    return "\n".join(lines)


def _next(state: State, name: str, paused: str | None) -> str:
    if paused is not None:
        return f"paused ({paused}); keyturn rotation resume {name} lets it go on"
    if state.step is Step.IDLE and state.wanted:
        return "it begins in its window; keyturn rotate begins it at once"
    told = _NEXT[state.step].format(name=name)
    if state.failures and state.under_way and "abandon" not in told:
        told += f", keyturn rotation abandon {name} gives it up"
    if state.failures and state.step is Step.PROMOTED:
        told += f"; what is ended already is passed over: gcloud secrets versions disable N --secret {name}"
    return told


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
