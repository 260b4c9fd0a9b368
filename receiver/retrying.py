"""One more try with a newer value, for when a provider refuses the credential."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from .secret import Secret


_T = TypeVar("_T")
_R = TypeVar("_R")


class _Looks(Protocol):
    @property
    def held(self) -> object: ...

    def look(self, *, timeout: float) -> bool: ...


def retry_on_auth_error(
    secret: Secret[_T],
    call: Callable[[_T], _R],
    *,
    refused: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool],
    timeout: float = 2.0,
) -> _R:
    """Call `call` with the value, and once more with a newer one where the provider refused it and there is one.

    The news of a change may be on their way when the old value is refused already. So upstream is asked once, for this
    secret alone: all who are refused at the same moment share that one access, and while it finds nothing it is made
    ever more rarely. Thread-safe.

    Args:
        secret: the credential.
        call: is given the value; called twice at most, so what it does must bear that.
        refused: which exceptions mean that the credential was refused: a type, several, or what tells them apart.
        timeout: seconds that looking for a newer value may take.

    Raises:
        Exception: whatever `call` raises; of the two times the second, where there was a second.
        SecretUnavailable, SecretRevoked: as reading the secret.
    """
    tried = secret.held
    try:
        return call(tried.value)
    except Exception as exc:
        is_refusal = isinstance(exc, refused) if isinstance(refused, type | tuple) else refused(exc)
        if not is_refusal or not newer_than(secret, tried, timeout=timeout):
            raise
    return call(secret.value)


def newer_than(secret: _Looks, tried: object, *, timeout: float) -> bool:
    """Whether something else than `tried` (a `HeldValue`) is served, after a look upstream where it is not."""
    return secret.held is not tried or secret.look(timeout=timeout) or secret.held is not tried
