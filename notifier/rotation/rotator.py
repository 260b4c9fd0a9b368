"""What makes, applies, tests and revokes credentials: the interface, and where implementations are found.

An implementation is a class that is made with its settings of the manifest, registered as an entry point of the group
`keyturn.rotators`. Each of its methods may be called again after a crash at any point of it, with the same candidate,
and must then end the same.
"""

import importlib.metadata
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from receiver import SecretName


GROUP: Final = "keyturn.rotators"

#: Whether the old credential works beside the new one: until it is revoked, or not at all once the new is applied.
Overlap = Literal["until revoked", "none"]


class RotatorError(Exception):
    """A rotator could not do its step; the text says what failed and what to do, and never holds a value.

    Args:
        message: for people.
        refused: whether the candidate itself was tried and refused.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class UnknownRotator(Exception):
    """No rotator of that name is installed."""


class BadSettings(Exception):
    """A rotator's settings in the manifest are not what it takes; the text says which."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a rotator is told of the rotation that it serves.

    Args:
        secret: whose version it is.
        key: the same for every repetition of one rotation, and for no other; for providers that know idempotency.
        timeout: seconds that one call of a method may take.
        current: the value that is served now; None where there is none. Not shown in the repr.
        read: the newest value of another secret, such as an administrator's.
    """

    secret: SecretName
    key: str
    timeout: float
    current: bytes | None = field(repr=False)
    read: Callable[[str], bytes] = field(repr=False)


class Rotator(Protocol):
    """One kind of credential. Every method raises `RotatorError`, and nothing else that is foreseeable."""

    #: Whether the old credential works beside the new one.
    overlap: Overlap
    #: Whether the version before must be ended before the next rotation begins, because it would be overwritten.
    one_at_a_time: bool

    def create(self, job: Job) -> bytes:
        """Make a candidate. Nothing outside may depend on it yet, for it is saved only after this returns."""
        ...

    def apply(self, job: Job, candidate: bytes) -> None:
        """Make the candidate valid where it is used."""
        ...

    def test(self, job: Job, candidate: bytes) -> None:
        """Use the candidate as a service would.

        Raises:
            RotatorError: with `refused`, where it was tried and does not work.
        """
        ...

    def revoke(self, job: Job, old: bytes) -> None:
        """Make an old value invalid where it was used; `job.current` is what replaced it."""
        ...


def find(name: str, settings: Mapping[str, Any]) -> Rotator:
    """Make the rotator of a name with its settings.

    Raises:
        UnknownRotator: none of that name is installed.
        BadSettings: it does not take these settings.
    """
    known = {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
    if name not in known:
        raise UnknownRotator(f"no rotator {name!r} is installed; there are {', '.join(sorted(known)) or 'none'}")
    make = known[name].load()
    try:
        inspect.signature(make).bind(**settings)
    except TypeError as exc:
        raise BadSettings(f"{name}: {exc}") from None
    try:
        made: Rotator = make(**settings)
    except TypeError as exc:  # a setting of another type than it takes
        raise BadSettings(f"{name}: a setting is not of the type that it takes") from exc
    return made


def only(rotator: str, given: Mapping[str, Any], known: set[str]) -> None:
    """See to it that no unknown setting is passed over in silence.

    Raises:
        BadSettings: one is.
    """
    unknown = sorted(set(given) - known)
    if unknown:
        raise BadSettings(f"{rotator} knows no setting {unknown[0]!r}; it takes {', '.join(sorted(known)) or 'none'}")
