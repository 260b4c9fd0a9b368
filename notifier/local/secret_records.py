"""What is kept of a secret and of each of its versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.cloud.secretmanager_v1.types import resources

from .clocks import seconds


VersionMessage = resources.SecretVersion.pb()

# The states of a version, as numbers of the enumeration.
State = resources.SecretVersion.State
ENABLED, DISABLED, DESTROYED = int(State.ENABLED), int(State.DISABLED), int(State.DESTROYED)


@dataclass(slots=True)
class Version:
    """One version: the message as answered, the value, and when (by number of change) its state moved."""

    number: int
    message: Any
    data: bytes = field(repr=False)
    crc: int = 0
    states: list[tuple[int, int]] = field(default_factory=list)

    def state(self, change: int) -> int:
        """The state that it had after the secret's change of this number."""
        return [state for at, state in self.states if at <= change][-1]


@dataclass(slots=True)
class Stored:
    """One secret, from its creation to its deletion."""

    message: Any
    versions: list[Version] = field(default_factory=list)
    # When each change happened; a change is called by its place, from 1 on.
    changes: list[float] = field(default_factory=list)
    aliases: list[tuple[int, Mapping[str, int]]] = field(default_factory=list)
    # Which versions are to be destroyed, and when.
    doomed: dict[int, float] = field(default_factory=dict)
    # Who may do what with it, where that was said.
    policy: Any = None

    def aliases_at(self, change: int) -> Mapping[str, int]:
        """The aliases after the change of this number."""
        known = [aliases for at, aliases in self.aliases if at <= change]
        return known[-1] if known else {}

    def number_of(self, asked: str, change: int) -> int | None:
        """Which version `asked` (a number, `latest` or an alias) meant after the change of this number.

        `latest` is the version created last, whatever its state [documented].
        """
        if asked.isdecimal():
            return int(asked)
        if asked == "latest":
            there = [version.number for version in self.versions if version.states[0][0] <= change]
            return there[-1] if there else None
        return self.aliases_at(change).get(asked)

    def next_moment(self) -> float | None:
        """When something happens to it of itself: its end, its rotation or the end of one of its versions."""
        moments = list(self.doomed.values())
        if self.message.HasField("expire_time"):
            moments.append(seconds(self.message.expire_time))
        if self.message.rotation.HasField("next_rotation_time"):
            moments.append(seconds(self.message.rotation.next_rotation_time))
        return min(moments, default=None)


@dataclass(frozen=True, slots=True)
class Change:
    """What a change left behind.

    Args:
        at: when it happened: the moment that its notification tells.
        secret: the secret's message.
        version: the version's message, where a version changed.
    """

    at: float
    secret: Any
    version: Any = None


def copied(message: Any) -> Any:
    """A message of one's own."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
