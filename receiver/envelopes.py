"""What the one route takes: from a request's headers and body to Secret Manager's event.

The headers say which envelope it is: a CloudEvent (Eventarc), an unwrapped push with metadata, or else a wrapped push.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from .audit import decode_audit
from .cloud_events import is_cloud_event, open_cloud_event
from .errors import UnreadablePush
from .events import (
    MESSAGE_ID_HEADER,
    PUBLISH_TIME_HEADER,
    SecretEvent,
    decode_push,
    decode_unwrapped,
    decode_wrapped,
)
from .reading import parsed
from .tracecontext import from_headers


#: Any of these says that the subscription unwraps and writes metadata.
_UNWRAPPED: Final = (MESSAGE_ID_HEADER, PUBLISH_TIME_HEADER, "x-goog-pubsub-subscription-name")

#: The CloudEvents that can bring news of a secret [cloud.google.com/eventarc/docs/cloudevents].
_TYPES: Final[Mapping[str, Callable[..., SecretEvent]]] = {
    "google.cloud.pubsub.topic.v1.messagePublished": decode_wrapped,
    "google.cloud.audit.log.v1.written": decode_audit,
}


def read_event(headers: Mapping[str, str], body: bytes, *, received: int) -> SecretEvent:
    """Read the event of a request, whatever envelope it came in.

    Args:
        headers: the request's headers by their names in lower case.
        body: the request's body, at most `MAX_BODY` bytes.
        received: wall time in nanoseconds, used where the envelope does not say when the event was published.

    Raises:
        UnreadablePush: it is no event of Secret Manager's; the message says why not and repeats nothing of it.
    """
    event = _opened(headers, body, received=received)
    return event if event.trace is not None else replace(event, trace=from_headers(headers))


def _opened(headers: Mapping[str, str], body: bytes, *, received: int) -> SecretEvent:
    if is_cloud_event(headers):
        return _cloud_event(headers, body, received=received)
    if any(name in headers for name in _UNWRAPPED):
        return decode_unwrapped(headers, body, received=received)
    return decode_push(body, received=received)


def _cloud_event(headers: Mapping[str, str], body: bytes, *, received: int) -> SecretEvent:
    opened = open_cloud_event(headers, body)
    decode = _TYPES.get(opened.type)
    if decode is None:
        raise UnreadablePush("a CloudEvent of a type that brings no news of secrets")
    data = parsed(opened.data, "CloudEvent's data") if isinstance(opened.data, str | bytes) else opened.data
    return decode(data, received=received)
