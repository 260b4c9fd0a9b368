"""One push: the request as Pub/Sub sends it, and what its answer means."""

import base64
import http.client
import json
import re
import ssl
from collections.abc import Mapping
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

Headers = Mapping[str, str | bytes]


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
    told = {name: value.encode() for name, value in message.attributes.items() if _is_header(name, value)}
    told["x-goog-pubsub-subscription-name"] = subscription.encode()
    told["x-goog-pubsub-message-id"] = message.id.encode()
    told["x-goog-pubsub-publish-time"] = published(message.at).encode()
    if message.ordering_key:
        told["x-goog-pubsub-ordering-key"] = message.ordering_key.encode()
    return message.data, told


def headers(content: bytes, token: str | None) -> dict[str, str]:
    """The headers of every push, besides `Host`."""
    sent = {"Content-Length": str(len(content)), "User-Agent": _USER_AGENT, "Accept": "application/json"}
    return sent if token is None else {**sent, "Authorization": f"Bearer {token}"}


def _is_header(name: str, value: str) -> bool:
    return bool(
        _HEADER.fullmatch(name)
        and name.lower() not in _RESERVED
        and not name.lower().startswith("x-goog-pubsub-")
        and not any(character in "\r\n\0" for character in value)
    )


def connection(url: str, timeout: float) -> http.client.HTTPConnection:
    """A connection to an endpoint, not opened yet; each wait on it ends after `timeout` seconds."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def send(opened: http.client.HTTPConnection, url: str, content: bytes, sent: Headers) -> None:
    """Send a push on a connection of its own.

    Raises:
        OSError: no connection.
        ValueError: the URL cannot be written into a request.
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # In one write, since each is a good part of what a push costs: the library writes the headers, then the body.
    written: list[bytes] = []
    opened.send, send_all = written.append, opened.send  # type: ignore[method-assign, assignment]
    opened.putrequest("POST", target, skip_accept_encoding=True)
    for name, value in sent.items():
        opened.putheader(name, value)
    opened.endheaders(content)
    send_all(b"".join(written))
