"""Secret Manager's notifications: from a push body to knowledge. Pure: bytes in, values out.

The shapes are Google's [docs.cloud.google.com/secret-manager/docs/event-notifications] as production sends them:
names carry the project number, timestamps an offset with trailing zeros dropped, and the body never a value.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from .errors import UnreadablePush
from .knowledge import SECOND, Claim, Knowledge
from .names import SecretName, VersionName


#: A message larger than this is no Secret Manager event: annotations, the largest part, are limited to 16 KiB.
MAX_BODY: Final = 64 * 1024

#: No event may claim to be later than its publication by more than this, or one bad clock would win for ever.
FUTURE_SLACK: Final = 60 * SECOND

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)",
    re.ASCII,
)


class EventType(StrEnum):
    """The event types that Secret Manager documents."""

    CREATE = "SECRET_CREATE"
    UPDATE = "SECRET_UPDATE"
    DELETE = "SECRET_DELETE"
    ADD = "SECRET_VERSION_ADD"
    ENABLE = "SECRET_VERSION_ENABLE"
    DISABLE = "SECRET_VERSION_DISABLE"
    DESTROY = "SECRET_VERSION_DESTROY"
    DESTROY_SCHEDULED = "SECRET_VERSION_DESTROY_SCHEDULED"
    ROTATE = "SECRET_ROTATE"
    TOPIC_CONFIGURED = "TOPIC_CONFIGURED"


_N = TypeVar("_N", SecretName, VersionName)

_OF_A_VERSION: Final = frozenset(
    {EventType.ADD, EventType.ENABLE, EventType.DISABLE, EventType.DESTROY, EventType.DESTROY_SCHEDULED}
)


@dataclass(frozen=True, slots=True)
class SecretEvent:
    """One notification, as far as it matters here.

    Args:
        type: an `EventType`, or the text of a type that Google added since.
        message_id: Pub/Sub's id; a repeated publication has a new one.
        published: Pub/Sub's publish time, in nanoseconds since the epoch.
        secret: the secret, by project number; None for TOPIC_CONFIGURED and unknown types.
        number: the version's number, for version events.
        stamp: the event's own time in nanoseconds, never more than a minute after its publication.
        aliases: the complete alias map where the event shows it; None where it does not.
        from_future: the event's own time was cut.
    """

    type: str
    message_id: str
    published: int
    secret: SecretName | None = None
    number: int | None = None
    stamp: int = 0
    aliases: Mapping[str, int] | None = None
    from_future: bool = False

    def knowledge(self) -> Knowledge | None:
        """What the event teaches; None where it moves no value (SECRET_ROTATE: no version exists yet)."""
        if self.number is not None:
            return self._of_version(self.number)
        match self.type:
            case EventType.CREATE:
                return Knowledge.born(self.stamp)
            case EventType.DELETE:
                return Knowledge.deleted(self.stamp)
            case EventType.UPDATE if self.aliases is not None:
                return Knowledge.whole_alias_map(self.aliases, self.stamp)
            case _:
                return None

    def _of_version(self, number: int) -> Knowledge:
        match self.type:
            case EventType.ADD:
                return Knowledge.version(number, self.stamp, usable=True, claim=Claim.ADDED)
            case EventType.ENABLE:
                return Knowledge.version(number, self.stamp, usable=True, claim=Claim.ENABLED)
            case EventType.DESTROY:
                return Knowledge.destruction(number, self.stamp)
            case _:
                return Knowledge.version(number, self.stamp, usable=False)


def decode_push(body: bytes, *, received: int) -> SecretEvent:
    """Read a wrapped Pub/Sub push.

    Args:
        body: the request's body, at most `MAX_BODY` bytes.
        received: wall time in nanoseconds, used where Pub/Sub gave no publish time.

    Raises:
        UnreadablePush: it is not a push of a Secret Manager event; the message says which part is not, and
            repeats nothing of it.
    """
    envelope = _object(_json(body, "body"), "body")
    message = _object(envelope.get("message"), "message")
    attributes = _texts(message.get("attributes", {}))
    message_id = message.get("messageId", message.get("message_id", ""))
    published = message.get("publishTime", message.get("publish_time"))
    return _event(
        attributes,
        message.get("data", ""),
        message_id=message_id if isinstance(message_id, str) else "",
        published=received if published is None else nanoseconds(published),
    )


def nanoseconds(timestamp: object) -> int:
    """Read an RFC 3339 time with any offset, to the nanosecond.

    `datetime` keeps six digits only, which would make ties of what is not one.

    Raises:
        UnreadablePush: `timestamp` is anything else.
    """
    found = _TIMESTAMP.fullmatch(timestamp) if isinstance(timestamp, str) else None
    if found is None:
        raise UnreadablePush("a time is not of the form 2026-10-02T06:03:43.549786-07:00")
    seconds, fraction, offset = found.groups()
    try:
        whole = datetime.fromisoformat(seconds + offset.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        raise UnreadablePush("a time that no calendar has") from None
    return int(whole) * SECOND + int((fraction or "").ljust(9, "0"))


def _event(attributes: Mapping[str, str], data: object, *, message_id: str, published: int) -> SecretEvent:
    kind = attributes.get("eventType")
    if kind is None:
        raise UnreadablePush("no attribute eventType: not a Secret Manager notification")
    if kind == EventType.TOPIC_CONFIGURED or kind not in set(EventType):
        return SecretEvent(kind, message_id, published)
    secret = _named(SecretName.parse, attributes.get("secretId"), "secretId")
    number = None
    if kind in _OF_A_VERSION:
        version = _named(VersionName.parse, attributes.get("versionId"), "versionId")
        if version.secret != secret:
            raise UnreadablePush("versionId is of another secret than secretId")
        number = version.number
    claimed = nanoseconds(attributes.get("timestamp"))
    return SecretEvent(
        EventType(kind),
        message_id,
        published,
        secret=secret,
        number=number,
        stamp=min(claimed, published + FUTURE_SLACK),
        aliases=_alias_map(data) if kind == EventType.UPDATE else None,
        from_future=claimed > published + FUTURE_SLACK,
    )


def _alias_map(data: object) -> dict[str, int] | None:
    # A readable body without versionAliases says that there are none; no body says nothing.
    try:
        secret = _object(_json(base64.b64decode(_text(data), validate=True), "data"), "data")
        aliases = _object(secret.get("versionAliases", {}), "versionAliases")
        return {alias: int(number) for alias, number in aliases.items()}  # int64 is a string in proto3 JSON
    except (UnreadablePush, binascii.Error, TypeError, ValueError):
        return None


def _json(raw: bytes, what: str) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise UnreadablePush(f"the {what} is not JSON") from None


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadablePush(f"the {what} is not a JSON object")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise UnreadablePush("no data")
    return value


def _texts(value: object) -> dict[str, str]:
    attributes = _object(value, "attributes")
    if not all(isinstance(text, str) for text in attributes.values()):
        raise UnreadablePush("an attribute is not text")
    return attributes


def _named(parse: Callable[[str], _N], value: str | None, what: str) -> _N:
    try:
        return parse(value or "")
    except ValueError:
        raise UnreadablePush(f"{what} is missing or not a full resource name") from None
