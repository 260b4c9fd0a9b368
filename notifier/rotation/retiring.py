"""Ending old versions when a person asks, also of secrets whose versions people make."""

from .ledger import Page
from .machine import Advance, Machine, NotNow, Outcome
from .rotator import RotatorError
from .state import State, Step
from .steps import Action, Wait
from .vault import Absent, Vault, VaultError, current, highest


def retire_now(machine: Machine, vault: Vault, *, force: bool) -> Advance:
    """End the old versions of a secret, if nobody holds them.

    Args:
        machine: of the secret.
        vault: Secret Manager.
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
        end = machine.actions.retire if state.step is Step.PROMOTED else machine.actions.end_old
        return end(state, force=force)

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
