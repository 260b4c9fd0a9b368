"""One push: the request as Pub/Sub sends it, and what its answer means."""

import base64
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .clocks import published
from .messages import Message


# These acknowledge, everything else is a refusal [documented]. Redirects are refusals too: they are not followed.
ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})

# [documented], and seen in request logs of third parties.
_USER_AGENT = "CloudPubSub-Google"

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_RESERVED = frozenset(
    {"accept", "authorization", "connection", "content-length", "host", "transfer-encoding", "user-agent"}
)

_UNSENDABLE = re.compile(r"[\x00-\x20\x7f]")

_PORTS = {"http": 80, "https": 443}

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the pushes of a URL go, and how each begins.

    Args:
        host: name or address.
        port: number.
        secure: for TLS, None for none.
        head: the first lines of the request.
    """

    host: str
    port: int
    secure: ssl.SSLContext | None
    head: str


def target(url: str) -> Target:
    """Read where a URL leads.

    Raises:
        ValueError: no request can be made of it.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if _UNSENDABLE.search(host + path) or not path.isascii():
        raise ValueError("a request cannot name it")
    named = f"[{host}]" if ":" in host else host.encode("idna").decode()
    if port != _PORTS[parts.scheme]:
        named = f"{named}:{port}"
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    return Target(host, port, secure, f"POST {path} HTTP/1.1\r\nHost: {named}\r\n")


def body(subscription: str, message: Message, *, attempt: int = 0) -> bytes:
    """Wrap a message for a push.

    Keys as [documented], each in both spellings; `attributes` is left out where there are none [documented], and so
    is `data` where it is empty [assumed: both follow proto3's JSON]. `deliveryAttempt` stands beside the message, and
    only where the subscription has a dead letter policy [documented].
    """
    told: dict[str, Any] = {}
    if message.attributes:
        told["attributes"] = dict(message.attributes)
    if message.data:
        told["data"] = base64.b64encode(message.data).decode()
    told["messageId"] = told["message_id"] = message.id
    told["publishTime"] = told["publish_time"] = published(message.at)
    if message.ordering_key:
        told["orderingKey"] = message.ordering_key  # [documented]
    counted = {"deliveryAttempt": attempt} if attempt else {}
    return json.dumps({**counted, "message": told, "subscription": subscription}, ensure_ascii=False).encode()


def wrapped(subscription: str, message: Message, *, attempt: int = 0) -> tuple[bytes, Headers]:
    """The body of a push and the headers that tell of it."""
    return body(subscription, message, attempt=attempt), {"Content-Type": "application/json"}


def unwrapped(subscription: str, message: Message, *, write_metadata: bool) -> tuple[bytes, Headers]:
    """The body and headers of a push without the wrapping: the data as it is [documented].

    With metadata, attributes become headers under their own names, so that one called `Content-Type` tells the type,
    and the message's id, time and key follow [documented]. What cannot be a header or would replace one of Pub/Sub's
    own is left out, text is sent as UTF-8, and without metadata no type is told [assumed].
    """
    if not write_metadata:
        return message.data, {}
    told = {name: value for name, value in message.attributes.items() if _is_header(name, value)}
    told["x-goog-pubsub-subscription-name"] = subscription
    told["x-goog-pubsub-message-id"] = message.id
    told["x-goog-pubsub-publish-time"] = published(message.at)
    if message.ordering_key and _is_value(message.ordering_key):
        told["x-goog-pubsub-ordering-key"] = message.ordering_key
    return message.data, told


def request(where: Target, content: bytes, told: Headers, *, token: str | None) -> bytes:
    """A push as it is sent."""
    sent = {"Content-Length": str(len(content)), "User-Agent": _USER_AGENT, "Accept": "application/json", **told}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"{where.head}{lines}\r\n".encode() + content


def _is_header(name: str, value: str) -> bool:
    return bool(
        _HEADER.fullmatch(name)
        and name.lower() not in _RESERVED
        and not name.lower().startswith("x-goog-pubsub-")
        and _is_value(value)
    )


def _is_value(value: str) -> bool:
    return not any(character in "\r\n\0" for character in value)
