"""Ending old versions: only when nobody holds them any more, or when somebody insists."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from .plan import Plan
from .rotator import Job, Rotator
from .state import Doomed
from .steps import Wait
from .telemetry import entry as log
from .vault import Unusable, Vault


#: Seconds until somebody who held an old version is looked for again.
LOOK_AGAIN: Final = 300.0


@dataclass(frozen=True, slots=True)
class Holding:
    """Whether anybody may still hold a version older than one.

    Args:
        nobody: every live instance is known, and serves that version or a newer one.
        why: for people: who holds an old one, or why it is not known.
    """

    nobody: bool
    why: str


class Standing(Protocol):
    """What the logs say of who serves what. Every call ends in time, and says so where it could not look."""

    def of(self, plan: Plan, version: int) -> Holding:
        """Whether anybody may still hold a version older than `version`."""
        ...


class Retirement:
    """Ends old versions. Thread-safe where its parts are.

    Args:
        vault: Secret Manager.
        standing: who serves what.
    """

    def __init__(self, vault: Vault, standing: Standing) -> None:
        self._vault = vault
        self._standing = standing

    def retire(
        self,
        plan: Plan,
        rotator: Rotator | None,
        job: Job,
        *,
        newest: int,
        added_at: float,
        now: float,
        force: bool = False,
    ) -> list[Doomed] | Wait:
        """Revoke and disable every enabled version below the newest, if nobody holds one of them.

        Args:
            plan: of the secret.
            rotator: what revokes the values; None where nothing does.
            job: whose current value is the newest version's.
            newest: the version that everybody is to serve.
            added_at: when it was added, in seconds since the epoch.
            now: likewise.
            force: end them whoever holds them, and log it.

        Returns:
            The versions that were ended and are to be destroyed later; or what held it up, with nothing done.

        Raises:
            VaultError: a version could not be read or disabled.
            RotatorError: a value could not be revoked; that version is still enabled.
        """
        old = [version.number for version in self._vault.versions(plan.secret) if version.enabled]
        old = sorted(number for number in old if number < newest)
        if not old:
            return []
        if force:
            log(
                logging.WARNING,
                "retirement_forced",
                f"{plan.secret}: {_listed(old)} ended by force",
                secret=plan.secret.path,
            )
        else:
            held_up = self._held_up(plan, newest=newest, added_at=added_at, now=now)
            if held_up is not None:
                return held_up
        for number in old:
            self._end(plan, rotator, job, number)
        later = plan.destroy_after
        return [] if later is None else [Doomed(number, now + later) for number in old]

    def destroy_due(self, plan: Plan, doomed: Iterable[Doomed], *, now: float) -> tuple[Doomed, ...]:
        """Destroy what is due, and return what is not.

        Raises:
            VaultError: a version could not be destroyed.
        """
        left = []
        for one in doomed:
            if one.at > now:
                left.append(one)
                continue
            if self._enabled_again(plan, one.number):
                continue
            self._vault.destroy(plan.secret, one.number)
            log(
                logging.INFO,
                "version_destroyed",
                f"{plan.secret}: version {one.number} is destroyed",
                secret=plan.secret.path,
                version=one.number,
            )
        return tuple(left)

    def _enabled_again(self, plan: Plan, number: int) -> bool:
        """Whether somebody made it usable again since, who must need it: what is destroyed is lost."""
        try:
            self._vault.access(plan.secret, number)
        except Unusable:
            return False
        log(
            logging.WARNING,
            "retirement_held_up",
            f"{plan.secret}: version {number} was enabled again, so it is not destroyed",
            secret=plan.secret.path,
            version=number,
        )
        return True

    def _held_up(self, plan: Plan, *, newest: int, added_at: float, now: float) -> Wait | None:
        due = added_at + plan.grace
        if due > now:
            return Wait(f"version {newest} was added less than {plan.grace:.0f} s ago", due)
        holding = self._standing.of(plan, newest)
        if holding.nobody:
            return None
        log(
            logging.WARNING,
            "retirement_held_up",
            f"{plan.secret}: {holding.why}",
            secret=plan.secret.path,
            version=newest,
        )
        return Wait(holding.why, now + LOOK_AGAIN)

    def _end(self, plan: Plan, rotator: Rotator | None, job: Job, number: int) -> None:
        if rotator is not None:
            try:
                _, value = self._vault.access(plan.secret, number)
            except Unusable:
                return  # somebody else ended it meanwhile
            if value != job.current:  # after a rollback two versions have one value, and it is in use
                rotator.revoke(job, value)
        self._vault.disable(plan.secret, number)
        log(
            logging.INFO,
            "version_retired",
            f"{plan.secret}: version {number} is disabled",
            secret=plan.secret.path,
            version=number,
        )


def _listed(numbers: list[int]) -> str:
    named = ", ".join(str(number) for number in numbers)
    return f"version {named}" if len(numbers) == 1 else f"versions {named}"
