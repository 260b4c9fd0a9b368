"""CloudEvents over HTTP, by the CNCF's package, which is imported with the first one that comes.

The package is given no more than is needed and believed no further than it reads [cloudevents 2.2.0, read]: it invents
an id, a time and a version where they are missing, hands on a body that is not JSON as text, fails on a time or an
extension that it does not like, and raises whatever comes up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .errors import UnreadablePush


#: What every CloudEvent must say [github.com/cloudevents/spec, v1.0.2].
_REQUIRED: Final = ("id", "source", "specversion", "type")
_CONTENT_TYPE: Final = "content-type"

#: The headers that make a request a CloudEvent in binary mode.
_HEADERS: Final = tuple(f"ce-{name}" for name in _REQUIRED)
_STRUCTURED: Final = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Opened:
    """What is used of a CloudEvent.

    Args:
        type: its type.
        data: the data as JSON values, or as text or bytes where it did not say that it was JSON.
    """

    type: str
    data: object


def is_cloud_event(headers: Mapping[str, str]) -> bool:
    """Whether a request is a CloudEvent, in any mode. `headers` by their names in lower case."""
    return _media_type(headers).startswith("application/cloudevents") or any(name in headers for name in _HEADERS)


def open_cloud_event(headers: Mapping[str, str], body: bytes) -> Opened:
    """Read a CloudEvent, binary or structured.

    Args:
        headers: the request's headers by their names in lower case.
        body: the request's body.

    Raises:
        UnreadablePush: it is none of version 1.0; the message repeats nothing of it.
    """
    from cloudevents.core.bindings.http import HTTPMessage, from_binary, from_structured
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    def checked(attributes: dict[str, Any], data: dict[str, Any] | str | bytes | None) -> CloudEvent:
        missing = [name for name in _REQUIRED if not attributes.get(name)]
        if missing:
            raise UnreadablePush(f"a CloudEvent without {' and '.join(missing)}")
        return CloudEvent(attributes, data)

    media_type = _media_type(headers)
    if media_type.startswith("application/cloudevents") and media_type != _STRUCTURED:
        raise UnreadablePush("a CloudEvent in another form than JSON, or a batch of them")
    kept = {name: headers[name] for name in (*_HEADERS, _CONTENT_TYPE) if name in headers}
    read = from_structured if media_type == _STRUCTURED else from_binary
    try:
        event = read(HTTPMessage(kept, body), JSONFormat(), checked)
        return Opened(event.get_type(), event.get_data())
    except UnreadablePush:
        raise
    except Exception:  # noqa: BLE001  # validation, calendar, type, attribute and recursion errors were seen
        raise UnreadablePush("not a CloudEvent of version 1.0") from None


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get(_CONTENT_TYPE, "").partition(";")[0].strip().lower()
