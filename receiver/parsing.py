"""From the text of a secret to the type that its service declared: `parse=` of a declaration.

As in `receiver.values`, nothing raised here holds any part of a payload.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Self, get_type_hints
from urllib.parse import urlsplit

from .errors import ValueRejected


Parse = Callable[[Any], Any]

_WORDS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

#: What a field of a dataclass may be checked for; any other annotation is the dataclass's own business.
_SCALARS: Final = (str, int, float, bool)


class URL(str):
    """A text that is an absolute URL, with a scheme and a host: for `parse=URL`.

    Raises:
        ValueError: it is anything else; the message repeats nothing of it.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _is_url(text):
            raise ValueError("not an absolute URL")
        return super().__new__(cls, text)


def parsed(value: Any, parse: Parse, *, payload: str) -> Any:
    """Turn a decoded payload into what handlers read.

    Args:
        value: what the declared type made of the payload.
        parse: `bool`, `Decimal`, `float`, a dataclass and a pydantic model are read as a payload should be (words for
            bools, finite numbers, JSON objects); any other callable is called with the value.
        payload: the payload as text, which no reason may repeat.

    Raises:
        ValueRejected: `parse` does not take it. Its text is told only where it chose to raise `ValueRejected` itself.
    """
    found, reason = None, ""
    try:
        found = _reader(parse, value)(value)
    except Exception as exc:  # noqa: BLE001  # its text, and that of its causes, may hold the value
        reason = told(exc, payload=payload)
    if reason:
        raise ValueRejected(f"parse={name_of(parse)} does not take it: {reason}")
    return found


def told(exc: BaseException, *, payload: str) -> str:
    """What may be said of an exception of the service's own code: its type, and the text of a `ValueRejected`."""
    text = str(exc) if isinstance(exc, ValueRejected) else ""
    return text if text and not (payload and payload.strip() in text) else type(exc).__name__


def frozen(value: Any) -> Any:
    """Parsed JSON that nobody can change, since all readers share it: mappings and tuples."""
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return value


def name_of(code: Callable[..., Any]) -> str:
    """The name of a service's own callable, which never shows what it holds."""
    return str(getattr(code, "__qualname__", type(code).__qualname__))


def _reader(parse: Parse, value: Any) -> Parse:
    if not isinstance(value, str):
        return parse
    if parse is bool:
        return _boolean
    if parse is Decimal or parse is float:
        return lambda text: _finite(parse(text))
    if hasattr(parse, "model_validate_json"):  # pydantic, which need not be installed
        return parse.model_validate_json  # type: ignore[no-any-return]
    if isinstance(parse, type) and dataclasses.is_dataclass(parse):
        return lambda text: _built(parse, frozen(json.loads(text)))
    return parse


def _boolean(text: str) -> bool:
    found = _WORDS.get(text.strip().lower())
    if found is None:
        raise ValueRejected(f"a bool is one of {', '.join(_WORDS)}")
    return found


def _finite(number: Any) -> Any:
    if not math.isfinite(number):
        raise ValueRejected("it is not a finite number")
    return number


def _built(kind: type, fields: Any) -> Any:
    """A dataclass from a JSON object: its fields, no others, and plain types as they are annotated."""
    if not isinstance(fields, Mapping):
        raise ValueRejected("it is not a JSON object")
    known = {field.name for field in dataclasses.fields(kind) if field.init}
    if not fields.keys() <= known:
        raise ValueRejected(f"it has a field that {kind.__qualname__} has not")
    hints = get_type_hints(kind)
    for name, value in fields.items():
        wanted = hints.get(name)
        if wanted in _SCALARS and not _is_of(value, wanted):
            raise ValueRejected(f"its field {name} is not of type {wanted.__name__}")
    return kind(**fields)


def _is_of(value: Any, wanted: type) -> bool:
    if isinstance(value, bool) or wanted is bool:  # a bool is an int to Python, and to nobody else
        return isinstance(value, bool) and wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # reads it, and raises where it is no number
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname) and not any(c.isspace() or not c.isprintable() for c in text)
