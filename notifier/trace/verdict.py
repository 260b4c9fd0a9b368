"""Whether all have followed, or what stands against saying so. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .acts import Act
from .answer import Counted, InstanceState, State, Verdict
from .times import iso


_ENDED: Final = {"DisableSecretVersion": "disabled", "DestroySecretVersion": "destroyed"}

_ORDER: Final = {State.BEHIND: 0, State.UNCLEAR: 1, State.CONVERGED: 2}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a verdict is made of.

    Args:
        version: the version that all should serve; None where no entry shows one.
        added_at: when it was added, in nanoseconds; None where no entry shows it.
        ended: what made it unusable since; None where nothing did.
        states: the instances that run, as far as their entries say.
        ran: how many of each service are known to have run when the version was added.
        counted: how many were counted; None where nobody counted.
        complete: whether the count of those that ran then agrees with `ran`.
    """

    version: int | None
    added_at: int | None
    ended: Act | None
    states: Sequence[InstanceState]
    ran: Mapping[str, int]
    counted: Counted | None
    complete: bool


def judge(judged: Judged) -> tuple[Verdict, list[str]]:
    """The verdict, and why it is not CONVERGED."""
    version, ended = judged.version, judged.ended
    if version is None:
        return Verdict.UNKNOWN, ["no entry shows a version of that secret: look back further with --since"]
    if ended is not None:
        said = f"version {version} was {_ENDED[ended.method]} at {iso(ended.at)}, so nothing should serve it"
        return Verdict.UNKNOWN, [said]
    behind = [one for one in judged.states if one.state is State.BEHIND]
    unclear = [f"{one.name} is unclear: {one.cause}" for one in judged.states if one.state is State.UNCLEAR]
    if behind:
        return Verdict.BEHIND, [f"{one.name} is not on version {version}: {one.cause}" for one in behind] + unclear
    # What is said of all comes before what is said of each.
    reasons = _doubts(judged) + unclear
    return (Verdict.UNKNOWN, reasons) if reasons else (Verdict.CONVERGED, [])


def by_service(found: Mapping[str, int], like: Mapping[str, int]) -> dict[str, int]:
    """Sum up as a count does: by service, or all together."""
    if set(like) == {""}:
        return {"": sum(found.values())}
    return {
        service: found.get(service, 0) for service in found.keys() | like.keys() if service in like or found[service]
    }


def worst_first(state: InstanceState) -> tuple[Any, ...]:
    """What sorts instances: those that are behind, then the slowest."""
    return (
        _ORDER[state.state],
        -(state.propagation_ms or 0.0),
        state.service,
        state.name,
        state.last_sign,
        state.versions,
    )


def _doubts(judged: Judged) -> list[str]:
    counted, version = judged.counted, judged.version
    if counted is None:
        return ["nobody has counted the instances, so one that said nothing would be missed: give --instances"]
    if judged.added_at is None:
        return [f"no entry shows when version {version} was added: look back further with --since"]
    doubts = []
    if not any(one.state is State.CONVERGED for one in judged.states):
        # Also where none was counted: a count that failed is a nought too.
        doubts.append(f"no instance is known to serve version {version}")
    if not judged.complete:
        known = by_service(judged.ran, counted.at_add)
        doubts += [
            f"{_several(number, service)} known to have run when version {version} was added, and "
            f"{counted.at_add.get(service, 0)} counted ({counted.by})"
            for service, number in sorted(known.items())
            if number != counted.at_add.get(service, 0)
        ]
    serving: dict[str, int] = {}
    for one in judged.states:
        serving[one.service] = serving.get(one.service, 0) + (one.state is State.CONVERGED)
    known = by_service(serving, counted.now)
    doubts += [
        f"{_several(known[service], service)} known to serve version {version}, and {number} counted now ({counted.by})"
        for service, number in sorted(counted.now.items())
        if known[service] < number
    ]
    return doubts


def _several(number: int, service: str) -> str:
    plural = "" if number == 1 else "s"
    return f"{number} instance{plural}{f' of {service}' if service else ''} {'are' if plural else 'is'}"
