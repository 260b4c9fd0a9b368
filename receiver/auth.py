"""Who may push. Naming a choice is required; verification cannot be switched off by leaving something out."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, Self

from .claims import REMOVED_SIGNATURE, Expected, read
from .errors import Unauthenticated
from .keys import PublishedKeys
from .telemetry import entry as log


#: Characters: Google's tokens have about a thousand.
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


class Expecting:
    """Expects one sender and one audience: what `OIDC` and `CloudRunIAM` have in common."""

    def __init__(
        self,
        *,
        audience: str | Sequence[str],
        sender: str | Sequence[str],
        wall: Callable[[], float] = time.time,  # noqa: TID251  # the default of the argument
    ) -> None:
        self._expected = Expected(audience=audience, sender=sender)
        self._wall = wall

    @classmethod
    def from_manifest(cls, path: str | os.PathLike[str], *, service: str) -> Self:
        """Let in the pushes that Terraform sets up from a manifest for one of its services.

        Args:
            path: the file; needs `keyturn[manifest]`.
            service: the service's name in it.

        Raises:
            ManifestError: something is wrong in the file.
            KeyError: it has no such service.
            ConfigurationError: the service hears by pull alone, so nobody may push.
        """
        from .manifest import Manifest

        audience, sender = Manifest.read(os.fspath(path)).expected(service)
        return cls(audience=audience, sender=sender)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._expected})"


class OIDC(Expecting):
    """Let in who shows a token that Google signed for one service account and one audience. Thread-safe.

    Signature, issuer, audience, sender, `email_verified`, issue and expiry are all checked. The claims come first,
    so that a token which is not ours costs no download of keys; one with our claims costs one a minute at most. A
    token whose signature Cloud Run has removed is refused, with an entry that names `CloudRunIAM`.

    Args:
        audience: the audience of the push subscription, which is its endpoint where none was set; several for a move
            from one to the other.
        sender: the service account of the push subscription; likewise.
        keys_url: where the issuer's keys are; see KEYTURN_OIDC_KEYS_URL.
        clock: monotonic seconds.
        wall: seconds since the epoch.

    Raises:
        ValueError: audience or sender is empty or has blanks in it.
        ConfigurationError: the address of the keys is not to be trusted.
    """

    def __init__(
        self,
        *,
        audience: str | Sequence[str],
        sender: str | Sequence[str],
        keys_url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,  # noqa: TID251  # the default of the argument
    ) -> None:
        super().__init__(audience=audience, sender=sender, wall=wall)
        self._keys = PublishedKeys(keys_url, clock=clock)

    def verify(self, authorization: str | None) -> str:
        """See `Auth.verify`."""
        unverified = read(bearer(authorization))
        sender = self._expected.check(unverified.claims, now=self._wall())
        if unverified.signature == REMOVED_SIGNATURE:
            log(
                logging.ERROR,
                "signature_removed",
                "a push came with a token whose signature Cloud Run has removed, which OIDC never believes; where only "
                "Cloud Run's invoker check lets anybody in, say so with receiver.CloudRunIAM in place of OIDC",
            )
            raise Unauthenticated("the token's signature was removed; see CloudRunIAM")
        key = self._keys.find(unverified.kid)
        if not _is_signed(unverified.text, key):
            raise Unauthenticated("the token's signature does not fit")
        return sender

    def announce(self) -> None:
        """Look at the address of the keys, so that a bad one is told at the start.

        Raises:
            ConfigurationError: it is not to be trusted.
        """
        self._keys.address()

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's locks."""
        self._keys.after_fork()


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


def _is_signed(token: str, key: Any) -> bool:
    import jwt
    from jwt.api_jws import PyJWS

    try:
        PyJWS().decode(token, key, algorithms=["RS256"])
    except jwt.PyJWTError:
        return False
    return True
