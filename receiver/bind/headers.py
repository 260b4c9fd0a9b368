"""The headers that carry a credential."""

import base64
from collections.abc import Callable
from typing import Any

from .followed import credentials_of


#: From a secret's value to a header's name and value.
Header = Callable[[Any], tuple[str, str]]


def plain(name: str) -> Header:
    """The value itself in the header `name`."""
    return lambda value: (name, value)


def bearer(value: Any) -> tuple[str, str]:
    """A bearer token [RFC 6750]."""
    return "Authorization", f"Bearer {value}"


def basic(user: str | None) -> Header:
    """User and password [RFC 7617], as UTF-8; the secret's user comes before the one given here."""

    def header(value: Any) -> tuple[str, str]:
        found = credentials_of(value)
        name = found.user if found.user is not None else user
        if name is None:
            raise TypeError("basic authentication needs a user: in the secret's value, or as user=...")
        return "Authorization", "Basic " + base64.b64encode(f"{name}:{found.password}".encode()).decode()

    return header
