"""What a secret was at each moment, and what a read that lags finds of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ..errors import VersionMissing, VersionRefused


class State(Enum):
    """What may be done with a version."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Version:
    """A version's value, and its state."""

    data: bytes = field(repr=False)
    state: State = State.ENABLED


@dataclass(frozen=True, slots=True)
class Moment:
    """A secret at one moment; version N stands at N - 1."""

    versions: tuple[Version, ...] = ()
    aliases: Mapping[str, int] = field(default_factory=dict)

    def number(self, version: str) -> int:
        """The number that `version` says; 0 where it says none that exists."""
        if version == "latest":
            return len(self.versions)
        number = int(version) if version.isdecimal() else self.aliases.get(version, 0)
        return number if number <= len(self.versions) else 0


@dataclass(slots=True)
class Lag:
    """How far behind reads are.

    Args:
        change: the place in the history at which they stand.
        numbers: access by number lags too, but for what was added.
    """

    change: int
    numbers: bool


def accessible(history: Sequence[Moment], lag: Lag | None, version: str, *, what: str) -> int:
    """The number of the version that an access answers with.

    Args:
        history: the secret's, oldest first.
        lag: where reads lag.
        version: as it is asked for.
        what: its name, for errors.

    Raises:
        VersionMissing: there is no such version.
        VersionRefused: it is disabled or destroyed.
    """
    now = history[-1]
    seen = history[lag.change] if lag is not None else now
    number = (now if version.isdecimal() else seen).number(version)
    if not number:
        raise VersionMissing(f"{what} does not exist")
    state = now.versions[number - 1].state
    lags = lag is not None and (lag.numbers or not version.isdecimal()) and number <= len(seen.versions)
    if lags and state is not State.DESTROYED:
        state = seen.versions[number - 1].state
    if state is not State.ENABLED:
        raise VersionRefused(f"{what} is {state.value}", destroyed=state is State.DESTROYED)
    return number
