"""Whether rotations can work as they are declared: schedules, topics, companions. Names and times only."""

from collections.abc import Iterator

from .plan import Plan
from .rotations import Rotations
from .vault import Absent, Described, Vault, VaultError


#: Seconds that an event may be late: Secret Manager's came 19 s after its time, global ones up to three minutes.
_LATE = 600.0


def check(rotations: Rotations, vault: Vault, *, now: float) -> list[str]:
    """Say what is wrong, a line for each fault; empty where all is well.

    Args:
        rotations: of the manifest.
        vault: Secret Manager.
        now: seconds since the epoch.
    """
    return [
        f"{machine.plan.secret.secret}: {fault}" for machine in rotations for fault in _of(machine.plan, vault, now)
    ]


def _of(plan: Plan, vault: Vault, now: float) -> Iterator[str]:
    try:
        secret = vault.describe(plan.secret)
    except VaultError as exc:
        yield str(exc)
        return
    if secret.managed:
        if plan.rotator:
            yield f"Google rotates it itself, so the rotator {plan.rotator} leaves it alone; take one of the two away"
        return
    yield from _schedule(plan, secret, now)
    if plan.rotator:
        yield from _companion(plan, vault)
    yield from _age(plan, vault, now)


def _schedule(plan: Plan, secret: Described, now: float) -> Iterator[str]:
    if plan.period and not secret.topics:
        yield "it has a period but no topic, so nobody is told when it is time"
    if plan.period and secret.next_rotation is None:
        yield "the manifest gives it a period, but Secret Manager has no schedule for it; apply the Terraform"
    if secret.next_rotation is not None and secret.next_rotation < now - _LATE:
        yield "its next rotation is in the past, so Secret Manager has stopped its schedule; set a new time"


def _companion(plan: Plan, vault: Vault) -> Iterator[str]:
    try:
        companion = vault.describe(plan.companion)
    except Absent:
        yield f"{plan.companion.secret} is missing, where candidates are born; apply the Terraform"
        return
    except VaultError as exc:
        yield str(exc)
        return
    if companion.topics:
        yield f"{plan.companion.secret} has topics, so candidates are announced before they work; take them off"


def _age(plan: Plan, vault: Vault, now: float) -> Iterator[str]:
    if not plan.period:
        return
    try:
        versions = vault.versions(plan.secret)
    except VaultError as exc:
        yield str(exc)
        return
    newest = max((version.created for version in versions), default=None)
    if newest is not None and now - newest > plan.period + _LATE:
        days = (now - newest) / 86400
        yield f"its newest version is {days:.1f} days old, more than its period of {plan.period / 86400:.1f} days"
