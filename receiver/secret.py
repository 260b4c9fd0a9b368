"""The handle that handlers read: `secret.value` is a plain attribute once it is loaded.

A class with `__getattr__` reads its slots five times slower than one without, because the interpreter can no longer
specialise the access. So a handle has three classes with the same slots, and loading swaps the class: cold (nothing
loaded yet, or a forked child that must look first), hot (three plain slots, nothing else), revoked (reads raise).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, final

from .errors import SecretRevoked
from .names import SecretName


T = TypeVar("T")


@final
@dataclass(frozen=True, slots=True, weakref_slot=True)
class HeldValue(Generic[T]):
    """A value and the version it belongs to, in one object that never changes; the repr shows the version only."""

    version: int
    value: T = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret's value does not go into a pickle")

    def __copy__(self) -> "HeldValue[T]":
        return self

    def __deepcopy__(self, _memo: object) -> "HeldValue[T]":
        return self


class Owner(Protocol):
    """What a handle asks of the entry behind it."""

    def first_read(self) -> None:
        """Load; must leave the handle hot or revoked, or raise."""
        ...

    def on_change(self, callback: Callable[[HeldValue[Any]], object]) -> None:
        """See `Secret.on_change`."""
        ...

    def accepted(self) -> tuple[HeldValue[Any], ...]:
        """What is served, and what was served before and still counts."""
        ...

    def look(self, *, timeout: float) -> bool:
        """See `Secret.look`."""
        ...

    def at(self, number: int, *, timeout: float) -> HeldValue[Any] | None:
        """The value of one version, read upstream and not served; None where it is not to be had."""
        ...


class Secret(Generic[T]):
    """Follow one secret. Made by `SecretCache.secret`; thread-safe.

    Attributes:
        value: the newest value, loaded at the first read where `SecretCache.load` has not been called. A plain
            attribute afterwards: no lock, no call, no clock.
        version: the number of the version that `value` is of.
        held: both in one immutable object, for whoever needs them to match (`kid` beside a key).

    Reading raises `SecretUnavailable` where no value could be loaded, and `SecretRevoked` where no version is usable
    any more and the entry was declared `on_revoked="raise"`.
    """

    __slots__ = ("__weakref__", "_owner", "held", "name", "value", "version")

    value: T
    version: int
    held: HeldValue[T]
    name: SecretName
    _owner: Owner

    @property
    def accepted(self) -> tuple[T, ...]:
        """The value, and those before it that the declared `overlap` still lets count, newest first.

        For verifying what was signed or sent just before a change: sign with `value`, verify with each of these.
        A value before the newest counts for the declared time after its replacement, or until its version is
        disabled, whichever comes first. Without an overlap it is the newest alone. Costs a few microseconds.
        """
        return tuple(held.value for held in self._owner.accepted())

    def look(self, *, timeout: float = 2.0) -> bool:
        """Ask upstream once for a newer version, and swap it in where there is one.

        For whoever was refused with the value: it may have been replaced a moment ago, and its news be on their way.
        However many ask at once, one access is made; while looking finds nothing, it is done ever more rarely (0.1 s
        to 10 s apart), and who asks in between is told that there is nothing. Never raises for what upstream does.

        Args:
            timeout: seconds after which this returns.

        Returns:
            Whether another version is served now than when it was called.
        """
        return self._owner.look(timeout=timeout)

    def on_change(self, callback: Callable[[HeldValue[T]], object]) -> Callable[[HeldValue[T]], object]:
        """Call `callback` with the new value and version after every change; returns it, so it serves as a decorator.

        Args:
            callback: called after the swap, on a thread of its own, once at a time; versions passed over while it
                runs are skipped, and the last call is always of the value being served. A push is answered when it
                has returned, or after two seconds. One that raises is logged by name (the text of its exception is
                not, since it may hold the value) and called again with backoff. Not called for the first load.
        """
        self._owner.on_change(callback)
        return callback

    def __repr__(self) -> str:
        held = _slot(self, "held")
        return f"<Secret {self.name} version {held.version if held else 'not loaded'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret does not go into a pickle; declare it where it is read")

    def __copy__(self) -> "Secret[T]":
        return self

    def __deepcopy__(self, _memo: object) -> "Secret[T]":
        return self


class ColdSecret(Secret[T]):
    """Nothing is loaded: the first read loads."""

    __slots__ = ()

    def __getattr__(self, attribute: str) -> Any:
        # Reached for unset slots only; anything else is refused at once (hasattr, copy, Jinja probe for names).
        if attribute not in _VIEWS:
            raise AttributeError(f"a Secret has no attribute {attribute!r}")
        self._owner.first_read()
        return getattr(self, attribute)


class HotSecret(Secret[T]):
    """Loaded: three plain slots."""

    __slots__ = ()


class RevokedSecret(Secret[T]):
    """No version is usable any more and the declaration asked for reads to raise."""

    __slots__ = ()

    def __getattr__(self, attribute: str) -> Any:
        if attribute not in _VIEWS:
            raise AttributeError(f"a Secret has no attribute {attribute!r}")
        raise SecretRevoked(f"{self.name} has no usable version: enable one or add one")


_VIEWS = frozenset({"value", "version", "held"})


def cold(name: SecretName, owner: Owner) -> Secret[Any]:
    """A handle that loads at its first read."""
    secret: Secret[Any] = ColdSecret()
    secret.name, secret._owner = name, owner
    return secret


def make_hot(secret: Secret[T], held: HeldValue[T]) -> None:
    """Swap a value in. Readers see the old value or the new one, never a part; the caller excludes other writers."""
    secret.held, secret.value, secret.version = held, held.value, held.version
    secret.__class__ = HotSecret


def make_cold(secret: Secret[T]) -> HeldValue[T] | None:
    """Empty the handle, so that its next read loads; returns what it held."""
    return _emptied(secret, ColdSecret)


def make_revoked(secret: Secret[T]) -> HeldValue[T] | None:
    """Empty the handle, so that reads raise; returns what it held."""
    return _emptied(secret, RevokedSecret)


def _emptied(secret: Secret[T], kind: type[Secret[T]]) -> HeldValue[T] | None:
    held: HeldValue[T] | None = _slot(secret, "held")
    # The class first: a reader that finds a slot empty must meet a class that knows what to do.
    secret.__class__ = kind
    for view in _VIEWS:
        with suppress(AttributeError):
            delattr(secret, view)
    return held


def _slot(secret: Secret[T], attribute: str) -> Any:
    # Past `__getattr__`, which would load.
    try:
        return object.__getattribute__(secret, attribute)
    except AttributeError:
        return None
