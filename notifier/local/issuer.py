"""The local issuer of OIDC tokens: a key of its own, its public half served as Google serves theirs."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .ports import Wall


if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

# As Google's tokens say [documented].
ISSUER = "https://accounts.google.com"
_LIFETIME = 3600

_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"

# A token is used again for this long: signing takes about a millisecond, pushes may be many.
_REUSED = 300

Claims = Mapping[str, Any]


class SigningKey:
    """An RSA key with its id, made when it is first needed. Thread-safe."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._key: RSAPrivateKey | None = None

    @property
    def private(self) -> "RSAPrivateKey":
        """The private half."""
        return self.make()

    def make(self) -> "RSAPrivateKey":
        """Make it, unless that is done."""
        with self._making:
            if self._key is None:
                # Not at start, nor on a thread: the import and the making, which lets no other thread run meanwhile,
                # take half as long as the start of all servers, and many never push with a token.
                from cryptography.hazmat.primitives.asymmetric import rsa

                self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            return self._key

    @property
    def kid(self) -> str:
        """The key's id: 40 hex digits, as Google's are."""
        return hashlib.sha1(self._number().to_bytes(256, "big"), usedforsecurity=False).hexdigest()

    def jwk(self) -> dict[str, str]:
        """The public half as one entry of a JWKS, with the members that Google's have [documented]."""
        return {
            "alg": "RS256",
            "e": _base64(self.private.public_key().public_numbers().e),
            "kid": self.kid,
            "kty": "RSA",
            "n": _base64(self._number()),
            "use": "sig",
        }

    def _number(self) -> int:
        return self.private.public_key().public_numbers().n


class Issuer:
    """Sign tokens as accounts.google.com does, and tell its keys. Thread-safe.

    Args:
        wall: wall time, for `iat` and `exp`.
        max_age: seconds that a fetch of the keys may be kept.
        new_key: makes keys; a test may hand in ones that it made before.
    """

    def __init__(self, *, wall: Wall, max_age: int = 3600, new_key: Callable[[], SigningKey] = SigningKey) -> None:
        self.max_age = max_age
        self._wall = wall
        self._new_key = new_key
        self._lock = threading.Lock()
        self._keys = [new_key()]
        self._stranger: SigningKey | None = None
        self._minted: dict[tuple[str, str], tuple[float, str]] = {}
        self._fetches = 0
        self._failing = 0

    def make_key(self) -> None:
        """Make the key that signs now, unless that is done; else whoever needs it first waits for it."""
        self._keys[-1].make()

    @property
    def kid(self) -> str:
        """The id of the key that signs now."""
        return self._keys[-1].kid

    @property
    def fetches(self) -> int:
        """How often the keys were asked for, failures included."""
        return self._fetches

    def claims(self, *, audience: str, email: str, **changed: Any) -> dict[str, Any]:
        """The claims of Pub/Sub's tokens [documented], with changes: a claim given as None is left out."""
        now = int(self._wall())
        subject = str(10**20 + int(hashlib.sha256(email.encode()).hexdigest()[:16], 16))
        claims: dict[str, Any] = {
            "aud": audience,
            "azp": subject,
            "email": email,
            "email_verified": True,
            "exp": now + _LIFETIME,
            "iat": now,
            "iss": ISSUER,
            "sub": subject,
        }
        return {name: value for name, value in {**claims, **changed}.items() if value is not None}

    def token(self, *, audience: str, email: str) -> str:
        """A good token, as sent with pushes: for some minutes the same one."""
        now = self._wall()
        with self._lock:
            at, token = self._minted.get((audience, email), (0.0, ""))
        if not token or not 0 <= now - at < _REUSED:
            token = self.sign(self.claims(audience=audience, email=email))
            with self._lock:
                self._minted[audience, email] = (now, token)
        return token

    def sign(
        self,
        claims: Claims,
        *,
        key: SigningKey | None = None,
        kid: str | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> str:
        """Sign any claims, also wrong ones.

        Args:
            claims: what the token says.
            key: another key than the published one.
            kid: another key id than the published one's; "" for none.
            headers: further members of the header.
        """
        import jwt

        sent = {**(headers or {}), **({} if kid == "" else {"kid": kid or self.kid})}
        return jwt.encode(dict(claims), (key or self._keys[-1]).private, algorithm="RS256", headers=sent)

    def forge(self, claims: Claims) -> str:
        """Sign claims with a stranger's key under the id of the published one."""
        with self._lock:
            self._stranger = self._stranger or self._new_key()
        return self.sign(claims, key=self._stranger)

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on; the old one stays published unless `keep` is False."""
        fresh = self._new_key()
        with self._lock:
            self._keys = [*(self._keys if keep else []), fresh]
            self._minted.clear()

    def fail_fetches(self, times: int) -> None:
        """Let the next `times` fetches of the keys fail with status 500."""
        with self._lock:
            self._failing += times

    def serve(self) -> tuple[int, dict[str, str], bytes]:
        """Answer a fetch of the keys: status, headers and body, in the form of Google's v3/certs."""
        with self._lock:
            self._fetches += 1
            failing = self._failing > 0
            self._failing -= failing
            keys = list(self._keys)
        if failing:
            return 500, {}, b"{}"
        # [documented]: how long keys may be kept is said by this header.
        kept = {"Cache-Control": f"public, max-age={self.max_age}, must-revalidate, no-transform"}
        return 200, kept, json.dumps({"keys": [key.jwk() for key in keys]}).encode()


def without_signature(token: str) -> str:
    """A token as Cloud Run hands it on once its invoker check has let it in.

    [cloud.google.com/run/docs/troubleshooting, signature-removed]
    """
    return f"{token.rpartition('.')[0]}.{_REMOVED}"


def _base64(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
