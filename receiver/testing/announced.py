"""What Secret Manager announces, as Pub/Sub would push it."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..events import EventType
from ..knowledge import SECOND
from ..names import SecretName


def announcement(
    event: EventType,
    name: SecretName,
    number: int | None = None,
    *,
    aliases: Mapping[str, int] | None = None,
    stamp: int,
) -> bytes:
    """The body of a push.

    Args:
        event: what happened.
        name: to which secret, its project by number.
        number: to which version of it, if to one.
        aliases: all that the secret has now, where they changed.
        stamp: when, in nanoseconds since the epoch.
    """
    attributes = {
        "eventType": event.value,
        "dataFormat": "JSON_API_V1",
        "secretId": name.path,
        "timestamp": _rfc3339(stamp),
    }
    body: dict[str, Any] = {"name": name.path}
    if number is not None:
        attributes["versionId"] = body["name"] = f"{name.path}/versions/{number}"
    if aliases is not None:
        body["versionAliases"] = {alias: str(target) for alias, target in aliases.items()}
    message = {
        "attributes": attributes,
        "data": base64.b64encode(json.dumps(body).encode()).decode(),
        "messageId": str(stamp),
        "publishTime": _rfc3339(stamp),
    }
    subscription = f"projects/{name.project}/subscriptions/in-memory"
    return json.dumps({"message": message, "subscription": subscription}).encode()


def _rfc3339(stamp: int) -> str:
    return f"{datetime.fromtimestamp(stamp // SECOND, UTC):%Y-%m-%dT%H:%M:%S}.{stamp % SECOND:09}Z"
