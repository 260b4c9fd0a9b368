"""The port through which values come in."""

from dataclasses import dataclass, field
from typing import Protocol

from .names import SecretName, VersionName


@dataclass(frozen=True, slots=True)
class Payload:
    """What an access brought: the full name of the version that was given, and its bytes, which no repr shows."""

    version: VersionName
    data: bytes = field(repr=False)


class SecretSource(Protocol):
    """Where values come from. Thread-safe."""

    def access(self, name: SecretName, version: str, *, timeout: float) -> Payload:
        """Read one version of a secret.

        Args:
            name: the secret.
            version: "latest", an alias, or a number.
            timeout: seconds after which this returns, whatever upstream does.

        Raises:
            VersionMissing: there is no such secret or version.
            VersionRefused: the version is disabled or destroyed.
            AccessFailed: anything else.
        """
        ...

    def after_fork(self) -> None:
        """In a forked child: let go of what is the parent's, touching memory only."""
        ...

    def close(self) -> None:
        """Close what is open; the next access opens it again."""
        ...
