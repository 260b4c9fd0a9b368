"""What the manifest says of one secret's rotation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from receiver import SecretName

from .windows import Window


#: A rotator's candidates are born in a secret of this name, without topics, that only the rotator may read.
COMPANION: Final = "-candidate"


@dataclass(frozen=True, slots=True)
class Plan:
    """How one secret is rotated.

    Args:
        secret: the secret.
        rotator: the name of the rotator; None where people make the versions, so that only retirement is done here.
        settings: of the rotator.
        uses: the secrets that the rotator reads.
        locations: where those are, by their ids; "" for global.
        windows: when a rotation may begin; empty for always.
        grace: seconds that the old version stays enabled after the new one was added, at least.
        destroy_after: seconds from its end to its destruction; None for never.
        retire: whether old versions are ended without being asked.
        period: of the schedule in seconds; 0 where there is none.
        services: who uses it.
    """

    secret: SecretName
    rotator: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    uses: tuple[str, ...] = ()
    locations: Mapping[str, str] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    grace: float = 3600.0
    destroy_after: float | None = None
    retire: bool = True
    period: float = 0.0
    services: tuple[str, ...] = ()

    @property
    def companion(self) -> SecretName:
        """Where candidates are born, and where the state of the rotation is kept."""
        return SecretName(self.secret.project, f"{self.secret.secret}{COMPANION}", self.secret.location)

    def open_at(self, now: float) -> bool:
        """Whether a rotation may begin; `now` in seconds since the epoch."""
        return not self.windows or any(window.open_at(now) for window in self.windows)


class Plans:
    """All plans of a project, found by whatever an event or a person calls a secret. Immutable.

    Args:
        plans: one for each secret.
        number: of the project, where it is known; another number is then another project.
    """

    def __init__(self, plans: Mapping[str, Plan], *, number: int | None = None) -> None:
        self._plans = dict(plans)
        self._number = number

    def __iter__(self) -> Any:
        return iter(self._plans.values())

    def __len__(self) -> int:
        return len(self._plans)

    def called(self, name: str) -> Plan | None:
        """The plan of a secret's id."""
        return self._plans.get(name)

    def of(self, secret: SecretName) -> Plan | None:
        """The plan of the secret that an event names, by project number as a rule.

        One project's topic brings one project's events, so where the number is not known any is taken; another
        project's id is another project's secret.
        """
        plan = self._plans.get(secret.secret)
        if plan is None or plan.secret.location != secret.location:
            return None
        ours = self._number is None or secret.project == str(self._number)
        return plan if secret.project == plan.secret.project or (secret.by_number and ours) else None


def safe(text: str) -> str:
    """What may be said of a text that somebody else wrote: its letters, on one line, at most 300."""
    return re.sub(r"[^ -~]+", " ", text)[:300]
