"""Checking what was signed with a secret that may just have been replaced."""

import binascii
import hmac
from typing import Literal

from .secret import Secret


def verify_hmac(
    secret: Secret[str] | Secret[bytes],
    message: bytes,
    signature: str | bytes,
    *,
    digest: Literal["sha256", "sha384", "sha512", "sha1"] = "sha256",
) -> bool:
    """Whether `signature` is the HMAC of `message` under any value of `secret` that is still accepted.

    Takes the same time whichever of them it is, and wherever a wrong signature differs. Thread-safe.

    Args:
        secret: the key; declare it with an `overlap`, or what was signed just before a change is refused.
        message: what was signed, byte for byte: a request's body as it came.
        signature: the signature: text is hexadecimal or base64, bytes are the digest itself. A prefix such as
            "sha256=" is to be taken off before.
        digest: the hash function, as the sender documents it.

    Raises:
        TypeError: the secret's value is neither text nor bytes.
        SecretUnavailable, SecretRevoked: as reading the secret.
    """
    given = _decoded(signature, hmac.new(b"", b"", digest).digest_size)
    found = False
    for key in secret.accepted:
        if not isinstance(key, str | bytes):
            raise TypeError(f"{secret.name}: a key of an HMAC is text or bytes")
        raw = key.encode() if isinstance(key, str) else key
        matches = hmac.compare_digest(hmac.digest(raw, message, digest), given)
        found |= matches and bool(raw)  # anybody can sign with an empty key
    return found


def _decoded(signature: str | bytes, size: int) -> bytes:
    if isinstance(signature, bytes):
        return signature
    text = signature.strip()
    try:
        return bytes.fromhex(text) if len(text) == 2 * size else binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # also binascii's and what is not ASCII: it is no signature, so it matches nothing
        return b""
