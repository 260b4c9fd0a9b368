"""Lines that a service prints, as log entries: what Cloud Run's agent makes of them.

A line that is a JSON object becomes `jsonPayload`, any other `textPayload`; members with a meaning of their own move to
the entry's fields [documented]. That such a member stays in the payload where it has the wrong type, that `message`
always stays there, and every bound here is [assumed].
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.cloud.logging_v2.types.log_entry import LogEntry
from google.protobuf import json_format, timestamp_pb2

from .clocks import stamp
from .log_fields import severity_number


# Bytes: an entry of production has at most 256 KiB [documented].
LONGEST = 256 * 1024

# A payload that nests deeper could be kept, and never be read by a client again: protobuf allows a hundred messages
# inside each other, and a member of a payload takes three.
_DEEPEST = 24

_SPECIAL = "logging.googleapis.com/"


@dataclass(frozen=True, slots=True)
class Printer:
    """Who prints.

    Args:
        project: id of the project.
        service: name of the Cloud Run service.
        revision: its revision; made up from the service where it is empty.
        location: region.
        stream: `stdout` or `stderr`.
    """

    project: str
    service: str
    revision: str = ""
    location: str = "local"
    stream: str = "stdout"


def entry(line: str | bytes, printer: Printer, *, at: float) -> Any | None:
    """The entry of a line without its end, None of an empty one; whatever the line is, it becomes one.

    Args:
        line: text, or bytes in UTF-8.
        printer: who printed it.
        at: when, in seconds since 1970; a line may say otherwise.
    """
    raw = line if isinstance(line, bytes) else line.encode(errors="replace")
    text = raw[:LONGEST].decode(errors="replace").rstrip("\r\n")
    if not text.strip():
        return None
    found = LogEntry.pb()()
    found.log_name = f"projects/{printer.project}/logs/run.googleapis.com%2F{printer.stream}"
    found.resource.type = "cloud_run_revision"
    found.resource.labels.update(
        project_id=printer.project,
        location=printer.location,
        service_name=printer.service,
        configuration_name=printer.service,
        revision_name=printer.revision or f"{printer.service}-00001-dev",
    )
    stamp(found.timestamp, at)
    payload = _object(text)
    if payload is None:
        found.text_payload = text
    else:
        rest = {name: value for name, value in payload.items() if not _moved(found, name, value)}
        json_format.ParseDict(rest, found.json_payload)
    return found


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that the text is, None where it is none that an entry can hold."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        payload = json.loads(text)
        # Half a pair of surrogates is no text that a message can hold.
        text.encode()
        json.dumps(payload, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) and _holdable(payload, 0) else None


def _holdable(value: Any, depth: int) -> bool:
    if depth > _DEEPEST:
        return False
    if isinstance(value, dict):
        return all(_holdable(one, depth + 1) for one in value.values())
    if isinstance(value, list):
        return all(_holdable(one, depth + 1) for one in value)
    if isinstance(value, int | float):
        try:
            return math.isfinite(float(value))
        except OverflowError:
            return False
    return True


def _moved(found: Any, name: str, value: Any) -> bool:
    """Move a member with a meaning of its own to its field; False where it is none, or of the wrong type."""
    mover = _MOVERS.get(name.removeprefix(_SPECIAL) if name.startswith(_SPECIAL) else f"plain {name}")
    return mover is not None and mover(found, value)


def _text(field: str) -> Callable[[Any, Any], bool]:
    def move(found: Any, value: Any) -> bool:
        if isinstance(value, str):
            setattr(found, field, value)
        return isinstance(value, str)

    return move


def _message(field: str) -> Callable[[Any, Any], bool]:
    def move(found: Any, value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        try:
            read = json_format.ParseDict(value, type(getattr(found, field))())
        except json_format.ParseError:
            return False
        getattr(found, field).CopyFrom(read)
        return True

    return move


def _severity(found: Any, value: Any) -> bool:
    number = severity_number(value) if isinstance(value, str) else None
    if number is None:
        return False
    found.severity = number
    return True


def _time(found: Any, value: Any) -> bool:
    read = timestamp_pb2.Timestamp()
    try:
        if isinstance(value, Mapping):
            read.seconds, read.nanos = int(value["seconds"]), int(value["nanos"])
            # Out of range it cannot be written as text, which every reader does.
            read.ToJsonString()
        else:
            read.FromJsonString(value)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return False
    found.timestamp.CopyFrom(read)
    return True


def _sampled(found: Any, value: Any) -> bool:
    if isinstance(value, bool):
        found.trace_sampled = value
    return isinstance(value, bool)


def _labels(found: Any, value: Any) -> bool:
    if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value.values()):
        return False
    found.labels.update(value)
    return True


_MOVERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "plain severity": _severity,
    "plain time": _time,
    "plain timestamp": _time,
    "plain httpRequest": _message("http_request"),
    "insertId": _text("insert_id"),
    "labels": _labels,
    "operation": _message("operation"),
    "sourceLocation": _message("source_location"),
    "spanId": _text("span_id"),
    "trace": _text("trace"),
    "trace_sampled": _sampled,
}
