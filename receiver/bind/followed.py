"""What a binding follows, and the user and password in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from ..parsing import URL
from ..secret import HeldValue


_T = TypeVar("_T")


class Followed(Protocol[_T]):
    """A `Secret`, or a `Group` of them."""

    @property
    def held(self) -> HeldValue[_T]:
        """The value and its version; another object after every change."""
        ...

    def on_change(self, callback: Callable[[HeldValue[Any]], object]) -> Callable[[HeldValue[Any]], object]:
        """Call `callback` after every change."""
        ...

    def look(self, *, timeout: float = ...) -> bool:
        """Ask upstream once for something newer."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """What to log in with; the repr shows the user only.

    Args:
        password: the password.
        user: the user; None where it is said elsewhere and never changes.
    """

    password: str = field(repr=False)
    user: str | None = None


def credentials_of(value: Any) -> Credentials:
    """Find user and password in a secret's value.

    Text is a password. A `URL` (`parse=URL`), a mapping (`type="json"`, a group) and an object (a dataclass or
    pydantic model) say both: `password`, and `user` or `username`.

    Raises:
        TypeError: there is no password in it; the message shows nothing of it.
    """
    if isinstance(value, Credentials):
        return value
    if isinstance(value, URL):
        parts = urlsplit(value)
        user, password = (unquote(part) if part is not None else None for part in (parts.username, parts.password))
    elif isinstance(value, str):
        user, password = None, value
    elif isinstance(value, Mapping):
        user, password = value.get("user", value.get("username")), value.get("password")
    else:
        user = getattr(value, "user", getattr(value, "username", None))
        password = getattr(value, "password", None)
    if not isinstance(password, str) or not (user is None or isinstance(user, str)):
        what = "a password as text, a URL, or a mapping or object with user and password"
        raise TypeError(f"a secret that a pool follows is {what}, not {type(value).__name__}; or say credentials=...")
    return Credentials(password, user)
