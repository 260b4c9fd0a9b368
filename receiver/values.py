"""From a payload to a value, and the names that must not be hot.

Nothing raised here holds any part of a payload, not even as `__context__`: the exceptions of codecs and parsers carry
what they choked on, so they are dropped before ours is made.
"""

import json
import re
from typing import Any, Final, Literal

from .errors import ValueRejected
from .parsing import Parse, frozen, parsed


Type = Literal["text", "bytes", "json"]
TYPES: Final = ("text", "bytes", "json")

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_KEYS: Final = frozenset({"key", "keys", "secret", "jwk", "pem"})


def decode(data: bytes, type_: Type, parse: Parse | None = None) -> Any:
    """Turn a payload into the value that handlers read.

    Args:
        data: the payload.
        type_: "text" is UTF-8 with one trailing newline dropped, since `echo | gcloud secrets versions add` appends
            one; "bytes" is untouched; "json" is parsed and frozen (mappings and tuples), since all readers share it.
        parse: makes what handlers read of that; see `receiver.parsing`.

    Raises:
        ValueRejected: the payload is not of that type, or `parse` does not take it.
    """
    value = _decoded(data, type_)
    return value if parse is None else parsed(value, parse, payload=data.decode(errors="replace"))


def _decoded(data: bytes, type_: Type) -> Any:
    if type_ == "bytes":
        return data
    text = _text(data)
    if text is None:
        raise ValueRejected("the payload is not UTF-8 text")
    if type_ == "text":
        return text.removesuffix("\n")
    found, readable = _json(text)
    if not readable:
        raise ValueRejected("the payload is not JSON")
    return frozen(found)


def looks_like_a_signing_key(secret: str) -> bool:
    """Whether the name says that it is a private or signing key, whose change breaks what was signed before."""
    words = {word.lower() for word in _WORD.findall(secret)}
    if words & {"mnemonic", "privatekey", "signingkey"} or words >= {"seed", "phrase"}:
        return True
    return bool(words & {"private", "signing", "signer", "sign", "signature"} and words & _KEYS)


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _json(text: str) -> tuple[Any, bool]:
    try:
        return json.loads(text), True
    except (ValueError, RecursionError):
        return None, False
