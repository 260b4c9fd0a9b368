"""HTTP to RPC: which method a URL means, and the request that URL, query and body make together.

The rules are those of `google.api.http` [documented]: what the URL does not bind comes from the body, or from the
query where there is no body or the body is one field only.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from .rpc import Refusal


# Parameters of every method; those of the answer's form are seen to elsewhere, the others change nothing here.
_SYSTEM = frozenset({"alt", "prettyPrint", "fields", "key", "quotaUser", "access_token", "callback", "upload_protocol"})


class Rpc(Protocol):
    """A method as HTTP spells it: see `secret_rpcs.Rpc` for what its members mean."""

    @property
    def name(self) -> str: ...
    @property
    def request(self) -> Any: ...
    @property
    def verb(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def field(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What an HTTP request asks for.

    Args:
        rpc: which method.
        request: its request.
        enums_as_numbers: how the answer is to be written.
    """

    rpc: Rpc
    request: Any
    enums_as_numbers: bool


class Routes:
    """Which method a request line means.

    Args:
        rpcs: all methods; one may stand there under several paths.
        patterns: what the letters in their paths stand for, as regular expressions.
    """

    def __init__(self, rpcs: Iterable[Rpc], patterns: Mapping[str, str]) -> None:
        self._rpcs = tuple(rpcs)
        self._patterns = patterns

    @functools.cached_property
    def _routes(self) -> list[tuple[Rpc, re.Pattern[str]]]:
        # Compiled at the first request, since most are never asked by HTTP: it takes as long as to start a server.
        return [(rpc, _pattern(rpc.path, self._patterns)) for rpc in self._rpcs]

    def find(self, verb: str, target: str) -> tuple[Rpc, str] | None:
        """The method and the resource that is named; None where there is nothing."""
        try:
            path = unquote(urlsplit(target).path)
        except ValueError:
            return None  # `http://[`, say
        for rpc, pattern in self._routes:
            if rpc.verb == verb and (found := pattern.fullmatch(path)):
                return rpc, found["name"]
        return None


def _pattern(path: str, patterns: Mapping[str, str]) -> re.Pattern[str]:
    bound, _, rest = path.partition("}")
    return re.compile(rf"/v1/(?P<name>{patterns[bound[-1]]}){re.escape(rest)}")


def read(rpc: Rpc, name: str, target: str, body: bytes) -> Asked:
    """Make the request.

    Raises:
        Refusal: INVALID_ARGUMENT, the body or the query is not what the method takes.
    """
    request = rpc.request()
    query = parse_qsl(urlsplit(target).query, keep_blank_values=True)
    asked = {key.removeprefix("$"): value for key, value in query}
    try:
        if rpc.body:
            within = request if rpc.body == "*" else getattr(request, rpc.body)
            _parse(body.strip() or b"{}", within)
        _set_query(request, query)
    except (json_format.ParseError, ValueError) as exc:
        # Not what was said: the body may hold a value.
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "Invalid JSON payload or parameter received.") from exc
    _set(request, rpc.field.split("."), name)
    return Asked(rpc, request, "enum-encoding=int" in asked.get("alt", ""))


def _parse(body: bytes, message: Any) -> None:
    if body[:1] != b"{":
        raise ValueError("not an object")  # a list would be read as a message without fields
    json_format.Parse(body, message)


def written(asked: Asked, answer: Any) -> bytes:
    """The answer as JSON."""
    return json_format.MessageToJson(answer, use_integers_for_enums=asked.enums_as_numbers, indent=None).encode()


def _set(message: Any, path: list[str], value: str) -> None:
    for field in path[:-1]:
        message = getattr(message, field)
    setattr(message, path[-1], value)


def _set_query(request: Any, query: Iterable[tuple[str, str]]) -> None:
    """Set fields by their names, in either case, dotted where they lie deeper.

    Raises:
        ValueError: there is no such field, or it does not take the value.
    """
    for key, value in query:
        if key.startswith("$") or key in _SYSTEM:
            continue
        told: Any = _told(request.DESCRIPTOR, key.split("."), value)
        json_format.ParseDict(told, request)


def _told(descriptor: Any, path: list[str], value: str) -> Mapping[str, Any]:
    if descriptor is None:
        raise ValueError(path[0])  # below a number, or a text
    field = _field(descriptor, path[0])
    if path[1:]:
        return {field.name: _told(field.message_type, path[1:], value)}
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask":
        # In either case too: gcloud sends it as the fields are called.
        return {field.name: re.sub("_([a-z])", lambda found: found[1].upper(), value)}
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {field.name: {"true": True, "false": False}.get(value, value)}
    if field.type == FieldDescriptor.TYPE_BYTES:
        return {field.name: value}
    return {field.name: [value] if field.is_repeated else value}


def _field(descriptor: Any, name: str) -> Any:
    for field in descriptor.fields:
        if name in {field.name, field.json_name}:
            return field
    raise ValueError(name)
