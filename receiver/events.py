"""Secret Manager's notifications: from a Pub/Sub message to knowledge. Pure: bytes in, values out.

The shapes are Google's [docs.cloud.google.com/secret-manager/docs/event-notifications] as production sends them:
names carry the project number, timestamps an offset with trailing zeros dropped, and the body never a value.

What an event says is logged, so a `SecretEvent` holds only names, numbers and words of the form that Google documents.
"""

import base64
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from .errors import UnreadablePush
from .knowledge import SECOND, Claim, Knowledge
from .names import SecretName, VersionName
from .reading import alias_map, an_object, nanoseconds, parsed
from .tracecontext import TraceContext, from_traceparent


#: A message larger than this is no Secret Manager event: annotations, the largest part, are limited to 16 KiB.
MAX_BODY: Final = 64 * 1024

#: No event may claim to be later than its publication by more than this, or one bad clock would win for ever.
FUTURE_SLACK: Final = 60 * SECOND

#: Of other forms neither a type nor an id is repeated in the log.
_TYPE = re.compile(r"[A-Z][A-Z_]{2,63}")
_MESSAGE_ID = re.compile(r"[0-9]{1,32}")
OTHER_FORM: Final = "an event of another form"

#: What an unwrapped push carries as headers, where the subscription writes them [docs.cloud.google.com/pubsub/docs/
#: payload-unwrapping]: the attributes under their own names, and the message's id and time.
_ATTRIBUTES: Final = ("eventType", "secretId", "versionId", "timestamp", "googclient_traceparent")
MESSAGE_ID_HEADER: Final = "x-goog-pubsub-message-id"
PUBLISH_TIME_HEADER: Final = "x-goog-pubsub-publish-time"


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
        message_id: Pub/Sub's id, "" where there is none; a repeated publication has a new one.
        published: when it was published, in nanoseconds since the epoch.
        secret: the secret, by project number as a rule; None for TOPIC_CONFIGURED and unknown types.
        number: the version's number, for version events.
        stamp: the event's own time in nanoseconds, never more than a minute after its publication.
        aliases: the complete alias map where the event shows it; None where it does not.
        from_future: the event's own time was cut.
        climb: the event says that the secret changed but not to what, so it is looked for upstream.
        trace: the publisher's trace, where the message names one.
    """

    type: str
    message_id: str
    published: int
    secret: SecretName | None = None
    number: int | None = None
    stamp: int = 0
    aliases: Mapping[str, int] | None = None
    from_future: bool = False
    climb: bool = False
    trace: TraceContext | None = None

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
    if not body:
        raise UnreadablePush("an empty body; a subscription that unwraps must set write_metadata too")
    return decode_wrapped(parsed(body, "body"), received=received)


def decode_wrapped(envelope: object, *, received: int) -> SecretEvent:
    """Read what a wrapped push's body, or the data of a CloudEvent from Pub/Sub, says; see `decode_push`.

    Raises:
        UnreadablePush: it is anything else.
    """
    wrapped = an_object(envelope, "body")
    if "message" not in wrapped and _is_a_resource(wrapped):
        raise UnreadablePush(
            "the push is unwrapped and has no metadata, so it does not say what happened: set write_metadata on the "
            "subscription (gcloud: --push-no-wrapper-write-metadata), or do not unwrap"
        )
    message = an_object(wrapped.get("message"), "message")
    published = message.get("publishTime", message.get("publish_time"))
    return _event(
        _texts(message.get("attributes", {})),
        _decoded(message.get("data")),
        message_id=message.get("messageId", message.get("message_id")),
        published=received if published is None else nanoseconds(published),
    )


def decode_unwrapped(headers: Mapping[str, str], body: bytes, *, received: int) -> SecretEvent:
    """Read an unwrapped Pub/Sub push with metadata.

    Args:
        headers: the request's headers by their names in lower case.
        body: the message's data.
        received: wall time in nanoseconds, used where the header of the publish time cannot be read.

    Raises:
        UnreadablePush: it is not a push of a Secret Manager event.
    """
    published = received
    with suppress(UnreadablePush):
        published = nanoseconds(headers.get(PUBLISH_TIME_HEADER))
    return _event(
        {name: headers[name.lower()] for name in _ATTRIBUTES if name.lower() in headers},
        body,
        message_id=headers.get(MESSAGE_ID_HEADER),
        published=published,
    )


def decode_message(attributes: Mapping[str, str], data: bytes, *, message_id: str, published: int) -> SecretEvent:
    """Read a message that was pulled.

    Args:
        attributes: the message's.
        data: likewise.
        message_id: Pub/Sub's.
        published: when it was published, in nanoseconds since the epoch.

    Raises:
        UnreadablePush: it is no Secret Manager event.
    """
    return _event(attributes, data, message_id=message_id, published=published)


def cut(claimed: int, *, published: int) -> tuple[int, bool]:
    """Return the time to believe of an event that claims a time, and whether that had to be cut."""
    latest = published + FUTURE_SLACK
    return min(claimed, latest), claimed > latest


def _event(attributes: Mapping[str, str], data: bytes, *, message_id: object, published: int) -> SecretEvent:
    kind = attributes.get("eventType")
    if kind is None:
        raise UnreadablePush("no attribute eventType: not a Secret Manager notification")
    known_id = message_id if isinstance(message_id, str) and _MESSAGE_ID.fullmatch(message_id) else ""
    if kind == EventType.TOPIC_CONFIGURED or kind not in set(EventType):
        return SecretEvent(kind if _TYPE.fullmatch(kind) else OTHER_FORM, known_id, published)
    secret = _named(SecretName.parse, attributes.get("secretId"), "secretId")
    number = None
    if kind in _OF_A_VERSION:
        version = _named(VersionName.parse, attributes.get("versionId"), "versionId")
        if version.secret != secret:
            raise UnreadablePush("versionId is of another secret than secretId")
        number = version.number
    stamp, from_future = cut(nanoseconds(attributes.get("timestamp")), published=published)
    return SecretEvent(
        EventType(kind),
        known_id,
        published,
        secret=secret,
        number=number,
        stamp=stamp,
        aliases=_alias_map(data) if kind == EventType.UPDATE else None,
        from_future=from_future,
        # Where Pub/Sub's own clients put the publisher's trace.
        trace=from_traceparent(attributes.get("googclient_traceparent", "")),
    )


def _alias_map(data: bytes) -> dict[str, int] | None:
    # A readable body without versionAliases says that there are none; no body says nothing.
    try:
        return alias_map(an_object(parsed(data, "data"), "data"))
    except UnreadablePush:
        return None


def _decoded(data: object) -> bytes:
    # What cannot be decoded says as little as what is not there.
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except ValueError:
        return b""


def _is_a_resource(body: Mapping[str, Any]) -> bool:
    """Whether the body is the data of a notification by itself: a Secret or a SecretVersion."""
    name = body.get("name")
    return isinstance(name, str) and name.startswith("projects/") and "/secrets/" in name


def _texts(value: object) -> dict[str, str]:
    attributes = an_object(value, "attributes")
    if not all(isinstance(text, str) for text in attributes.values()):
        raise UnreadablePush("an attribute is not text")
    return attributes


def _named(parse: Callable[[str], _N], value: str | None, what: str) -> _N:
    try:
        return parse(value or "")
    except ValueError:
        raise UnreadablePush(f"{what} is missing or not a full resource name") from None
