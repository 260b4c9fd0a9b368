"""Who may push. Naming a choice is required; verification cannot be switched off by leaving something out."""

import hmac
import json
import logging
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from .errors import Forbidden, Unauthenticated
from .keys import PublishedKeys
from .telemetry import entry as log


#: What Google's tokens say of their issuer [developers.google.com/identity/openid-connect, "iss"].
_ISSUERS: Final = frozenset({"https://accounts.google.com", "accounts.google.com"})

#: Seconds by which the issuer's clock and this one may differ.
_SKEW: Final = 10
#: Seconds: Google's tokens last an hour; one that claims more than a day is not Google's.
_LONGEST: Final = 86_400
_NO_TIME_AFTER: Final = 1e12
_LARGEST: Final = 8 * 1024


class Auth(Protocol):
    """Decide by the Authorization header alone whether a push is let in. Thread-safe."""

    def verify(self, authorization: str | None) -> str:
        """Return who the sender is.

        Raises:
            Unauthenticated: there is no valid token.
            Forbidden: a valid token, but not of our sender or not for us.
            KeysUnavailable: the token can be neither believed nor refused at this moment.
        """
        ...

    def announce(self) -> None:
        """Say what is worth saying when a route begins to use this."""
        ...

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's locks."""
        ...


class OIDC:
    """Let in who shows a token that Google signed for one service account and one audience. Thread-safe.

    Signature, issuer, audience, sender, `email_verified`, issue and expiry are all checked. The claims come first,
    so that a token which is not ours costs no download of keys; one with our claims costs one a minute at most.

    Args:
        audience: the audience of the push subscription, which is its endpoint where none was set.
        sender: the service account of the push subscription.
        keys_url: where the issuer's keys are; see KEYTURN_OIDC_KEYS_URL.
        clock: monotonic seconds.
        wall: seconds since the epoch.

    Raises:
        ValueError: audience or sender is empty.
    """

    def __init__(
        self,
        *,
        audience: str,
        sender: str,
        keys_url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,  # noqa: TID251  # the default of the argument
    ) -> None:
        if not audience or not sender:
            raise ValueError("OIDC needs both the audience and the sender (service account) of the push subscription")
        self._audience = audience
        self._sender = sender
        self._keys = PublishedKeys(keys_url, clock=clock)
        self._wall = wall

    def verify(self, authorization: str | None) -> str:
        """See `Auth.verify`."""
        unverified_token = bearer(authorization)
        unverified_claims, kid = _unverified(unverified_token)
        self._check(unverified_claims)
        key = self._keys.find(kid)
        if not _is_signed(unverified_token, key):
            raise Unauthenticated("the token's signature does not fit")
        return self._sender

    def announce(self) -> None:
        """Nothing: this is how it should be."""

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's locks."""
        self._keys.after_fork()

    def __repr__(self) -> str:
        return f"OIDC(audience={self._audience!r}, sender={self._sender!r})"

    def _check(self, claims: Mapping[str, Any]) -> None:
        now = self._wall()
        issued, expires = _time(claims.get("iat")), _time(claims.get("exp"))
        if claims.get("iss") not in _ISSUERS:
            raise Unauthenticated("the token is not of Google's issuer")
        if not issued - _SKEW <= now <= expires + _SKEW:
            raise Unauthenticated("the token is expired, or not valid yet")
        if expires - issued > _LONGEST:
            raise Unauthenticated("the token claims to be valid for more than a day")
        if not _same(claims.get("aud"), self._audience):
            raise Forbidden("the token is for another audience; compare it with the push subscription's")
        if not _same(claims.get("email"), self._sender) or claims.get("email_verified") is not True:
            raise Forbidden("the token is of another sender; compare it with the push subscription's service account")


class Insecure:
    """Let everybody in. For tests and for nothing else; it says so at every start.

    Args:
        reason: why nothing needs to be checked here.

    Raises:
        ValueError: the reason is blank.
    """

    def __init__(self, reason: str) -> None:
        if not reason.strip():
            raise ValueError("Insecure needs a reason: why may anybody push here?")
        self._reason = reason

    def verify(self, authorization: str | None) -> str:  # noqa: ARG002  # the port's argument
        """Let everybody in."""
        return "anybody"

    def announce(self) -> None:
        """Warn."""
        log(
            logging.WARNING,
            "auth_disabled",
            f"pushes are taken from anybody: {self._reason}",
            reason=self._reason,
        )

    def after_fork(self) -> None:
        """Nothing is held."""

    def __repr__(self) -> str:
        return f"Insecure({self._reason!r})"


def bearer(authorization: str | None) -> str:
    """Return the token of an Authorization header.

    Raises:
        Unauthenticated: it holds none.
    """
    if authorization is None:
        raise Unauthenticated("no Authorization header")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > _LARGEST or not token.isascii():
        raise Unauthenticated("the Authorization header holds no bearer token")
    return token


def _unverified(token: str) -> tuple[Mapping[str, Any], str]:
    parts = token.split(".")
    header, claims = (_json(part) for part in parts[:2]) if len(parts) == 3 else (None, None)
    if header is None or claims is None:
        raise Unauthenticated("the bearer token is not a JWT")
    kid = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(kid, str) or "crit" in header:
        raise Unauthenticated("the token is not signed with RS256 by a named key")
    return claims, kid


def _json(part: str) -> dict[str, Any] | None:
    try:
        value = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _time(value: Any) -> float:
    # Not a number (True is one to Python, and so are Infinity and NaN to its JSON) is at no time.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < _NO_TIME_AFTER:
        raise Unauthenticated("the token does not say from when and until when it is valid")
    return float(value)


def _same(given: Any, wanted: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _is_signed(token: str, key: Any) -> bool:
    import jwt
    from jwt.api_jws import PyJWS

    try:
        PyJWS().decode(token, key, algorithms=["RS256"])
    except jwt.PyJWTError:
        return False
    return True
