"""Ending old versions when a person asks, also of secrets whose versions people make."""

from dataclasses import replace

from .ledger import Page
from .machine import Advance, Machine, NotNow, Outcome
from .rotator import RotatorError
from .state import Doomed, State, Step
from .steps import Action, Wait
from .vault import Absent, Vault, VaultError, current, highest


def retire_now(machine: Machine, vault: Vault, *, now: float, force: bool) -> Advance:
    """End the old versions of a secret, if nobody holds them.

    Args:
        machine: of the secret.
        vault: Secret Manager.
        now: seconds since the epoch.
        force: end them whoever holds them.

    Raises:
        VaultError: Secret Manager did not do its part.
    """
    try:
        page = Page(vault, machine.plan)
    except Absent:  # people make its versions
        page = None
    if page is not None and page.paused is not None:
        return Advance(Outcome.WAITING, f"paused: {page.paused}", (), page.state)
    if page is not None and page.state.under_way:
        return Advance(
            Outcome.WAITING, f"a rotation is under way ({page.state.step}); let it end first", (), page.state
        )

    def work(state: State) -> State | Wait:
        if state.step is Step.PROMOTED:
            return machine.actions.retire(state, force=force)
        ended = _end_old(machine, vault, now=now, force=force)
        return ended if isinstance(ended, Wait) else replace(state, doomed=(*state.doomed, *ended))

    before = State() if page is None else page.state
    try:
        done = work(before) if page is None else machine.alone(page, work)
    except NotNow as exc:
        return Advance(Outcome.BUSY, str(exc), (), before)
    except RotatorError as exc:
        return Advance(Outcome.FAILED, str(exc), (), before)
    if isinstance(done, Wait):
        return Advance(Outcome.WAITING, done.why, (), before)
    return Advance(Outcome.DONE, "the old versions are ended", (Action.RETIRE,), done)


def _end_old(machine: Machine, vault: Vault, *, now: float, force: bool) -> list[Doomed] | Wait:
    secret = machine.plan.secret
    served = current(vault, secret, at_most=highest(vault, secret))
    if served is None:
        raise VaultError(f"{secret} has no usable version: nothing is old")
    added = next((one.created for one in vault.versions(secret) if one.number == served[0]), now)
    return machine.actions.end_old(served, added_at=added, now=now, force=force)


def version_before(machine: Machine, vault: Vault) -> int:
    """The newest version below the current one whose value is still there.

    Raises:
        VaultError: there is none.
    """
    newest = highest(vault, machine.plan.secret)
    served = current(vault, machine.plan.secret, at_most=newest)
    at_most = newest if served is None else served[0] - 1
    for version in vault.versions(machine.plan.secret):
        if version.number <= at_most and not version.destroyed:
            return version.number
    raise VaultError(f"{machine.plan.secret} has no version before whose value is still there")
