"""What a service says of a secret that it uses, checked when it says it."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any, Final, Literal, TypedDict, get_args

from .knowledge import LATEST, Pin
from .names import SecretName
from .parsing import Parse
from .values import TYPES, Type, looks_like_a_signing_key


OnRevoked = Literal["keep", "raise"]
Fallback = Literal["environment"]
Overlap = float | Literal["until_disabled"]
Validate = Callable[[Any], object]

#: Seconds that a candidate's validation may take, and the most that a declaration may give it: a push waits for it,
#: and its ack deadline is 60 s.
VALIDATE_TIMEOUT: Final = 2.0
_VALIDATE_MOST: Final = 30.0

# Google's form of an alias: it starts with a letter, so that it cannot be taken for a number [Secret.version_aliases].
_ALIAS: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


class Options(TypedDict, total=False):
    """What may be said of a secret beside its name and type; see `SecretCache.secret`."""

    pin: Pin
    location: str | None
    static: bool
    hot_because: str | None
    on_revoked: OnRevoked
    fallback: Fallback | None
    validate: Validate | None
    validate_timeout: float
    overlap: Overlap | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One entry as its service declares it; see `SecretCache.secret` for what each means.

    Raises:
        ValueError: an argument is not one of those allowed, the name looks like a private or signing key and nothing
            says why it may change, or two arguments contradict each other.
    """

    name: SecretName
    pin: Pin = LATEST
    type: Type = "text"
    static: bool = False
    hot_because: str | None = field(default=None, compare=False)
    on_revoked: OnRevoked = "keep"
    fallback: Fallback | None = None
    parse: Parse | None = None
    validate: Validate | None = None
    validate_timeout: float = VALIDATE_TIMEOUT
    overlap: Overlap | None = None

    def __post_init__(self) -> None:
        self._check_form()
        self._check_sense()

    def _check_form(self) -> None:
        name, pin = self.name, self.pin
        if self.type not in TYPES:
            raise ValueError(f"{name}: type must be one of {', '.join(TYPES)}")
        for code in (self.parse, self.validate):
            if code is not None and not _is_plain(code):
                raise ValueError(f"{name}: parse and validate are plain callables")
        if not 0 < self.validate_timeout <= _VALIDATE_MOST:
            raise ValueError(f"{name}: validate_timeout is more than 0 and at most {_VALIDATE_MOST:g} seconds")
        if not _is_overlap(self.overlap):
            raise ValueError(f'{name}: overlap is a number of seconds, "until_disabled" or None')
        if self.on_revoked not in get_args(OnRevoked):
            raise ValueError(f'{name}: on_revoked must be "keep" or "raise"')
        if self.fallback not in (None, *get_args(Fallback)):
            raise ValueError(f'{name}: fallback must be "environment" or None')
        if isinstance(pin, bool) or (isinstance(pin, int) and pin < 1):
            raise ValueError(f'{name}: pin must be "latest", an alias or a version number from 1')
        if isinstance(pin, str) and not _ALIAS.fullmatch(pin):
            raise ValueError(f"{name}: pin is not of an alias's form; give a fixed version as an int")

    def _check_sense(self) -> None:
        name = self.name
        if self.static and self.overlap is not None:
            raise ValueError(f"{name}: a static entry never changes, so it has no overlap")
        if self.static and self.hot_because is not None:
            raise ValueError(f"{name}: static=True and hot_because contradict each other")
        if self.static and self.fallback is not None:
            raise ValueError(f"{name}: a static entry has no fallback, since what stands in could never be replaced")
        reasoned = bool((self.hot_because or "").strip())
        if not self.static and looks_like_a_signing_key(name.secret) and not (reasoned and self.overlap is not None):
            raise ValueError(
                f"{name} looks like a private or signing key, whose change breaks what was signed before: declare it "
                'static=True, or let it change with overlap=... and say why it may with hot_because="..."'
            )

    def as_fields(self) -> dict[str, str | bool]:
        """What the log says of an entry that does not simply follow the newest version."""
        fields: dict[str, str | bool] = {} if self.pin == LATEST else {"pin": str(self.pin)}
        return {**fields, "static": True} if self.static else fields

    @property
    def key(self) -> tuple[SecretName, Pin, Type]:
        """What tells one entry from another."""
        return self.name, self.pin, self.type


def _is_plain(code: object) -> bool:
    return callable(code) and not iscoroutinefunction(code)


def _is_overlap(value: object) -> bool:
    if isinstance(value, (int, float)):
        return not isinstance(value, bool) and 0 < value < math.inf
    return value in (None, "until_disabled")
