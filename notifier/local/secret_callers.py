"""Who calls the local Secret Manager.

A caller says who it is in one of two ways, by gRPC metadata or HTTP header alike:

    x-keyturn-caller: serviceAccount:app@demo.iam.gserviceaccount.com     (as a member of a policy is written)
    authorization: Bearer TOKEN                                           (signed by the local issuer, with `email`)

A caller that says nothing is allowed everything, and so is one with a token that is no JWT: that is what tools send
that were given any token at all. A JWT that the local issuer did not sign, or that has expired, is UNAUTHENTICATED.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc

from .issuer import ISSUER, Issuer
from .ports import Wall
from .rpc import Caller, Refusal


HEADER = "x-keyturn-caller"
_KINDS = ("user:", "serviceAccount:", "group:", "principal://", "principalSet://")
_SERVICE_ACCOUNTS = ".gserviceaccount.com"

# The keys of the local issuer, as a JWKS; empty where there is no issuer.
Keys = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class SecretCaller(Caller):
    """A caller with what an identity costs.

    Args:
        identity: as a member of a policy, such as `serviceAccount:E`; "" where the caller did not say.
    """

    identity: str = ""

    @property
    def email(self) -> str:
        """The identity without its kind."""
        return self.identity.partition(":")[2]

    @property
    def ip(self) -> str:
        """The address alone."""
        kind, _, address = self.peer.partition(":")
        return address.rpartition(":")[0] if kind in {"ipv4", "ipv6"} else self.peer


IN_PROCESS = SecretCaller()


def keys_of(issuer: Issuer) -> Keys:
    """The keys of an issuer, without counting as a fetch of them."""
    return lambda: json.dumps({"keys": [key.jwk() for key in issuer._keys]}).encode()


class Callers:
    """Reads who calls. Thread-safe.

    Args:
        keys: of the local issuer.
        wall: wall time, for the tokens' end.
    """

    def __init__(self, *, keys: Keys, wall: Wall) -> None:
        self._keys = keys
        self._wall = wall

    def identity(self, said: Mapping[str, str]) -> str:
        """The identity that metadata (with keys in lower case) tells.

        Raises:
            Refusal: UNAUTHENTICATED; or INVALID_ARGUMENT, the caller is not written as a member.
        """
        named = said.get(HEADER, "")
        if named:
            if not named.startswith(_KINDS):
                raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"`{HEADER}` is not the name of a member.")
            return named
        scheme, _, token = said.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token.count(".") != 2:
            return ""
        return self._signed(token)

    def _signed(self, token: str) -> str:
        import jwt

        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError:
            # Two dots do not make a JWT.
            return ""
        try:
            known = {key["kid"]: jwt.PyJWK(key) for key in json.loads(self._keys())["keys"]}
            # Times are those of the local clock, which is not PyJWT's.
            claims = jwt.decode(
                token,
                known[kid],
                algorithms=["RS256"],
                issuer=ISSUER,
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            email = str(claims["email"])
        except (jwt.InvalidTokenError, KeyError) as exc:
            raise _unauthenticated() from exc
        if float(claims.get("exp", 0)) <= self._wall():
            raise _unauthenticated()
        return f"{'serviceAccount' if email.endswith(_SERVICE_ACCOUNTS) else 'user'}:{email}"


def _unauthenticated() -> Refusal:
    # [seen in production by a third party]
    return Refusal(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")
