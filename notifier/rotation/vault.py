"""The port to Secret Manager as rotation needs it, and its failures."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from receiver import SecretName


class VaultError(Exception):
    """Secret Manager did not do what was asked; the message names what, never a value.

    Args:
        message: what failed and what to do.
        transient: whether trying again within minutes may help.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class Absent(VaultError):
    """NOT_FOUND: there is no such secret or version."""


class Unusable(VaultError):
    """The version is there, and is disabled or destroyed."""

    def __init__(self, message: str, *, destroyed: bool) -> None:
        super().__init__(message)
        self.destroyed = destroyed


class Conflict(VaultError):
    """The etag is not the current one: somebody else was faster."""


@dataclass(frozen=True, slots=True)
class Described:
    """A secret without its values.

    Args:
        etag: of this state of it.
        annotations: all of them.
        topics: where it announces changes.
        next_rotation: in seconds since the epoch; None where it has no schedule.
        period: of its rotation in seconds; 0 where it has none.
        managed: whether Google rotates it itself.
        aliases: name to version.
    """

    etag: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    topics: tuple[str, ...] = ()
    next_rotation: float | None = None
    period: float = 0.0
    managed: bool = False
    aliases: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DescribedVersion:
    """A version without its value; `created` in seconds since the epoch."""

    number: int
    enabled: bool
    destroyed: bool
    created: float


class Vault(Protocol):
    """Secret Manager. Thread-safe; every call ends within the seconds that the adapter was made with.

    Every method raises `VaultError`; `Absent` for what does not exist.
    """

    def describe(self, secret: SecretName) -> Described:
        """Return a secret without its values."""
        ...

    def annotate(self, secret: SecretName, annotations: Mapping[str, str], *, etag: str) -> str:
        """Replace all annotations, if the etag is still the current one; return the new etag.

        Raises:
            Conflict: it is not.
        """
        ...

    def create(self, secret: SecretName, *, labels: Mapping[str, str]) -> None:
        """Create a secret without topics; one that exists already is left as it is."""
        ...

    def add(self, secret: SecretName, value: bytes) -> int:
        """Add a version and return its number."""
        ...

    def access(self, secret: SecretName, version: int | str) -> tuple[int, bytes]:
        """Return a version's number and value.

        Raises:
            Unusable: it is disabled or destroyed.
        """
        ...

    def versions(self, secret: SecretName) -> list[DescribedVersion]:
        """Return all versions, the newest first. Google lets this lag."""
        ...

    def disable(self, secret: SecretName, number: int) -> None:
        """Disable a version; one that is disabled or destroyed already stays as it is."""
        ...

    def enable(self, secret: SecretName, number: int) -> None:
        """Enable a version.

        Raises:
            Unusable: it is destroyed.
        """
        ...

    def destroy(self, secret: SecretName, number: int) -> None:
        """Destroy a version's value; one that is destroyed already stays as it is."""
        ...


def exists(vault: Vault, secret: SecretName, number: int) -> bool:
    """Whether a version was ever added, asked for by its number, which is the one read that never lags."""
    try:
        vault.access(secret, number)
    except Unusable:
        return True
    except Absent:
        return False
    return True


def highest(vault: Vault, secret: SecretName) -> int:
    """The highest version that was ever added; 0 where there is none.

    `latest` may lag for hours, so from there on each next number is asked for.
    """
    try:
        number, _ = vault.access(secret, "latest")
    except Unusable:
        number = max((version.number for version in vault.versions(secret)), default=0)
    except Absent:
        number = 0
    while exists(vault, secret, number + 1):
        number += 1
    return number


def current(vault: Vault, secret: SecretName, *, at_most: int) -> tuple[int, bytes] | None:
    """The highest usable version up to a number, with its value; None where there is none.

    Looks at the listing for the candidates, so that a long row of ended versions costs no call each.
    """
    for number in range(at_most, max(0, at_most - _NEAR), -1):
        try:
            return vault.access(secret, number)
        except (Unusable, Absent):
            continue
    for version in vault.versions(secret):
        if version.enabled and version.number <= at_most - _NEAR:
            with contextlib.suppress(Unusable, Absent):  # the listing lags
                return vault.access(secret, version.number)
    return None


#: So many numbers are asked for one by one before the listing, which may lag, is believed.
_NEAR = 5
