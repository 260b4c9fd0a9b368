"""One push: the request as Pub/Sub sends it, and what its answer means."""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .backlog import Message
from .clocks import published


# These acknowledge, everything else is a refusal [documented]. Redirects are refusals too: they are not followed.
ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})

# [documented], and seen in request logs of third parties.
_USER_AGENT = "CloudPubSub-Google"


def body(subscription: str, message: Message, *, attempt: int = 0) -> bytes:
    """Wrap a message for a push.

    Keys as [documented], each in both spellings; `attributes` is left out where there are none [documented], and so
    is `data` where it is empty [assumed: both follow proto3's JSON]. `deliveryAttempt` stands beside the message, and
    only where the subscription has a dead letter policy [documented].
    """
    wrapped: dict[str, Any] = {}
    if message.attributes:
        wrapped["attributes"] = dict(message.attributes)
    if message.data:
        wrapped["data"] = base64.b64encode(message.data).decode()
    wrapped["messageId"] = wrapped["message_id"] = message.id
    wrapped["publishTime"] = wrapped["publish_time"] = published(message.at)
    if message.ordering_key:
        wrapped["orderingKey"] = message.ordering_key  # [documented]
    counted = {"deliveryAttempt": attempt} if attempt else {}
    return json.dumps({**counted, "message": wrapped, "subscription": subscription}, ensure_ascii=False).encode()


def headers(content: bytes, token: str | None) -> dict[str, str]:
    """The headers of a push, besides `Host`."""
    sent = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "User-Agent": _USER_AGENT,
        "Accept": "application/json",
    }
    return sent if token is None else {**sent, "Authorization": f"Bearer {token}"}


def connection(url: str, timeout: float) -> http.client.HTTPConnection:
    """A connection to an endpoint, not opened yet; each wait on it ends after `timeout` seconds."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def post(opened: http.client.HTTPConnection, url: str, content: bytes, sent: Mapping[str, str]) -> int:
    """Send a push on a connection of its own and return the status of the answer.

    Raises:
        OSError: no connection, or no answer in time.
        http.client.HTTPException: the answer is not HTTP.
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    opened.putrequest("POST", target, skip_accept_encoding=True)
    for name, value in sent.items():
        opened.putheader(name, value)
    opened.endheaders(content)
    return opened.getresponse().status
