"""Ending old versions when a person asks, also of secrets whose versions people make."""

from dataclasses import replace

from .ledger import Page, changed
from .machine import Advance, Machine, Outcome
from .state import Step
from .steps import Wait
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
    except Absent:
        page = None
    if page is not None and page.state.under_way:
        return Advance(Outcome.WAITING, f"a rotation is under way ({page.state.step}); let it end first")
    if page is not None and page.state.step is Step.PROMOTED:
        done = machine.advance(urgent=True, force_retirement=force)
        return done if done.state.step is not Step.IDLE else Advance(Outcome.DONE, done.why, done.steps, done.state)
    newest = highest(vault, machine.plan.secret)
    served = current(vault, machine.plan.secret, at_most=newest)
    if served is None:
        raise VaultError(f"{machine.plan.secret} has no usable version: nothing is old")
    added = next((one.created for one in vault.versions(machine.plan.secret) if one.number == served[0]), now)
    ended = machine.end_old(served, added_at=added, now=now, force=force)
    if isinstance(ended, Wait):
        return Advance(Outcome.WAITING, ended.why)
    if page is not None and ended:
        changed(vault, machine.plan, lambda kept: kept.save(replace(kept.state, doomed=(*kept.state.doomed, *ended))))
    return Advance(Outcome.DONE, f"version {served[0]} is the only one that is enabled")


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
