"""Let operators in who show a token that they share with the service."""

from .auth import bearer
from .errors import Forbidden, KeysUnavailable, SecretRevoked, SecretUnavailable
from .secret import Secret


#: Characters: a shorter token could be guessed.
_SHORTEST = 16


class SharedToken:
    """Let in who shows a bearer token equal to a secret's value. Thread-safe; compared in constant time.

    For the operators' routes, where no identity provider is at hand; pushes are never authenticated this way, since
    Pub/Sub cannot show such a token.

    Args:
        secret: the token, as a `Secret` (so that it can be rotated like any other) or as text.

    Raises:
        ValueError: the text is shorter than 16 characters.
    """

    def __init__(self, secret: Secret[str] | str) -> None:
        if isinstance(secret, str) and len(secret) < _SHORTEST:
            raise ValueError(f"a shared token needs {_SHORTEST} characters at least")
        self._secret = secret

    def verify(self, authorization: str | None) -> str:
        """See `Auth.verify`."""
        import hmac

        token = bearer(authorization)
        if not hmac.compare_digest(token.encode(), self._wanted().encode()):
            raise Forbidden("the token is not the one that this service shares with its operators")
        return "operator"

    def announce(self) -> None:
        """Nothing: this is as it should be."""

    def after_fork(self) -> None:
        """Nothing is held."""

    def __repr__(self) -> str:
        return f"SharedToken({self._secret if isinstance(self._secret, Secret) else '...'})"

    def _wanted(self) -> str:
        if isinstance(self._secret, str):
            return self._secret
        try:
            wanted = self._secret.value
        except (SecretUnavailable, SecretRevoked):
            wanted = ""
        if len(wanted) < _SHORTEST:
            raise KeysUnavailable(f"{self._secret!r}, which operators must show, is not loaded or is too short")
        return wanted
