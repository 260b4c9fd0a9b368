"""What a push token says, read and judged before anybody asks who signed it.

All of this is cheap, and all of it comes before a download of keys: what the claims settle costs nothing.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .errors import Forbidden, Unauthenticated


#: What Google's tokens say of their issuer [developers.google.com/identity/openid-connect, "iss"].
_ISSUERS: Final = ("https://accounts.google.com", "accounts.google.com")

#: What Cloud Run puts in place of the signature of a token that it has verified, and leaves the rest as it was
#: [cloud.google.com/run/docs/troubleshooting, signature-removed].
REMOVED_SIGNATURE: Final = "SIGNATURE_REMOVED_BY_GOOGLE"

#: Seconds by which the issuer's clock and this one may differ.
_SKEW: Final = 10
#: Seconds: Google's tokens last an hour; one that claims more than a day is not Google's.
_LONGEST: Final = 86_400
_NO_TIME_AFTER: Final = 1e12

#: Python's decoder passes over what is not of the alphabet; a JWT's parts hold nothing else [RFC 7515, 2].
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token in three parts whose header is as Google's, believed by nobody yet."""

    text: str = field(repr=False)
    kid: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    signature: str = field(repr=False)


class Expected:
    """Whom and what a token must name.

    Args:
        audience: the audiences that are ours: one, or several for a move from one to the other.
        sender: the service accounts that may push, likewise.

    Raises:
        ValueError: one of both is missing, or has blanks in it.
        TypeError: one of both is no text.
    """

    def __init__(self, *, audience: str | Sequence[str], sender: str | Sequence[str]) -> None:
        self.audiences = _names("audience", audience)
        self.senders = _names("sender", sender)

    def check(self, claims: Mapping[str, Any], *, now: float) -> str:
        """Return the sender that the claims name.

        Args:
            claims: of a token; what they say is not believed here, only judged.
            now: seconds since the epoch.

        Raises:
            Unauthenticated: they are nobody's, at this time.
            Forbidden: they are somebody else's.
        """
        _check_time(claims, now)
        if claims.get("iss") not in _ISSUERS:
            raise Unauthenticated("the token is not of Google's issuer")
        if _among(claims.get("aud"), self.audiences) is None:
            raise Forbidden("the token is for another audience; compare it with the push subscription's")
        sender = _among(claims.get("email"), self.senders)
        if sender is None or claims.get("email_verified") is not True:
            raise Forbidden("the token is of another sender; compare it with the push subscription's service account")
        return sender

    def __str__(self) -> str:
        return f"audience={_shown(self.audiences)}, sender={_shown(self.senders)}"


def read(token: str) -> UnverifiedToken:
    """Take a token apart.

    Raises:
        Unauthenticated: it is no JWT, or not of the kind that Google signs.
    """
    parts = token.split(".")
    header, claims = (_json(part) for part in parts[:2]) if len(parts) == 3 else (None, None)
    if header is None or claims is None or _BASE64.fullmatch(parts[2]) is None:
        raise Unauthenticated("the bearer token is not a JWT")
    kid = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(kid, str) or "crit" in header:
        raise Unauthenticated("the token is not signed with RS256 by a named key")
    return UnverifiedToken(token, kid, claims, parts[2])


def _json(part: str) -> dict[str, Any] | None:
    if _BASE64.fullmatch(part) is None:
        return None
    try:
        text = urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        value = json.loads(text, object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two parsers could believe two different ones of two members of one name [RFC 7519, 4].
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name stands twice")
    return members


def _check_time(claims: Mapping[str, Any], now: float) -> None:
    issued, expires = _time(claims.get("iat")), _time(claims.get("exp"))
    if not issued - _SKEW <= now <= expires + _SKEW:
        raise Unauthenticated("the token is expired, or not valid yet")
    if not 0 < expires - issued <= _LONGEST:
        raise Unauthenticated("the token claims to be valid for more than a day, or for no time at all")


def _time(value: Any) -> float:
    # Not a number (True is one to Python, and so are Infinity and NaN to its JSON) is at no time.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < _NO_TIME_AFTER:
        raise Unauthenticated("the token does not say from when and until when it is valid")
    return float(value)


def _among(given: Any, wanted: Sequence[str]) -> str | None:
    """Whichever of `wanted` was given; each is compared in constant time, whether one before it was equal or not."""
    if not isinstance(given, str):
        return None
    shown = given.encode("utf-8", "surrogatepass")
    import hmac  # late: it brings OpenSSL's bindings, which a service may never need

    equal = [name for name in wanted if hmac.compare_digest(shown, name.encode())]
    return equal[0] if equal else None


def _names(what: str, given: str | Sequence[str]) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{what} is a text, or a sequence of texts")
        if not name or not name.isprintable() or any(character.isspace() for character in name):
            raise ValueError(f"{what} is empty or has blanks in it; both audience and sender must be named")
    if not names:
        raise ValueError(f"{what} is missing: the audience and the sender of the push subscription are both needed")
    return names


def _shown(names: tuple[str, ...]) -> str:
    return repr(names[0] if len(names) == 1 else list(names))
