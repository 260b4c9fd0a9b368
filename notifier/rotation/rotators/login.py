"""Database credentials as secrets hold them: a URL, a JSON object, or a password alone. Pure."""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ..rotator import RotatorError


Form = Literal["url", "json", "password"]

#: The keys of the JSON form, as Google's and others' tools write them.
_USER, _PASSWORD = "username", "password"  # names of keys
_SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg")


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password, and what else stood beside them.

    Args:
        user: the role.
        password: not shown in the repr.
        url: what it was read from, without the two; "" where it was no URL.
        rest: the other keys of a JSON object.
    """

    user: str
    password: str = field(repr=False)
    url: str = ""
    rest: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, payload: bytes, form: Form, *, user: str = "") -> "Login":
        """Read a secret's payload.

        Args:
            payload: the value.
            form: what it is.
            user: whose password it is, where the form does not say.

        Raises:
            RotatorError: it is not of that form; nothing of it is repeated.
        """
        try:
            text = payload.decode().removesuffix("\n")
            if form == "url":
                return _from_url(text)
            if form == "json":
                fields = json.loads(text)
                rest = {name: value for name, value in fields.items() if name not in {_USER, _PASSWORD}}
                return cls(str(fields[_USER]), str(fields[_PASSWORD]), rest=rest)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise RotatorError(f"the value is no {form} with a user and a password, which the manifest says") from None
        return cls(user, text)

    def changed(self, user: str, password: str) -> "Login":
        """The same place with another user and password."""
        return replace(self, user=user, password=password)

    def payload(self, form: Form) -> bytes:
        """What is kept in the secret."""
        match form:
            case "url":
                parts = urlsplit(self.url)
                netloc = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@{parts.netloc}"
                return urlunsplit(parts._replace(netloc=netloc)).encode()
            case "json":
                return json.dumps({**self.rest, _USER: self.user, _PASSWORD: self.password}).encode()
            case _:
                return self.password.encode()

    def connection(self, form: Form, connect: str) -> str:
        """What libpq connects with, without user and password.

        Args:
            form: of the secret.
            connect: what the manifest says, which wins.
        """
        if connect:
            return connect
        if form == "url":
            parts = urlsplit(self.url)
            return urlunsplit(parts._replace(scheme="postgresql"))
        known = {"host": "host", "hostname": "host", "port": "port", "dbname": "dbname", "database": "dbname"}
        given = {known[name]: str(value) for name, value in self.rest.items() if name in known}
        return " ".join(f"{name}='{_quoted(value)}'" for name, value in sorted(given.items()))


def _from_url(text: str) -> Login:
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES or not parts.username or parts.password is None:
        raise ValueError
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return Login(unquote(parts.username), unquote(parts.password), url=bare)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
