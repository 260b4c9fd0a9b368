"""What a service says of a secret that it uses, checked when it says it."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from .knowledge import LATEST, Pin
from .names import SecretName
from .values import TYPES, Type, looks_like_a_signing_key


OnRevoked = Literal["keep", "raise"]
Fallback = Literal["environment"]

# Google's form of an alias: it starts with a letter, so that it cannot be taken for a number [Secret.version_aliases].
_ALIAS: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


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

    def __post_init__(self) -> None:
        name, pin = self.name, self.pin
        if self.type not in TYPES:
            raise ValueError(f"{name}: type must be one of {', '.join(TYPES)}")
        if self.on_revoked not in get_args(OnRevoked):
            raise ValueError(f'{name}: on_revoked must be "keep" or "raise"')
        if self.fallback not in (None, *get_args(Fallback)):
            raise ValueError(f'{name}: fallback must be "environment" or None')
        if isinstance(pin, bool) or (isinstance(pin, int) and pin < 1):
            raise ValueError(f'{name}: pin must be "latest", an alias or a version number from 1')
        if isinstance(pin, str) and not _ALIAS.fullmatch(pin):
            raise ValueError(f"{name}: pin is not of an alias's form; give a fixed version as an int")
        if self.static and self.hot_because is not None:
            raise ValueError(f"{name}: static=True and hot_because contradict each other")
        if self.static and self.fallback is not None:
            raise ValueError(f"{name}: a static entry has no fallback, since what stands in could never be replaced")
        if not self.static and looks_like_a_signing_key(name.secret) and not (self.hot_because or "").strip():
            raise ValueError(
                f"{name} looks like a private or signing key, whose change breaks what was signed before: declare it "
                'static=True, or say why it may change with hot_because="..."'
            )

    @property
    def key(self) -> tuple[SecretName, Pin, Type]:
        """What tells one entry from another."""
        return self.name, self.pin, self.type
