"""The fields of log entries: which there are, what an entry holds under a path, and how two values compare.

[documented], in the page about the Logging query language: names that LogEntry does not define are an error; a field
that it defines and an entry leaves out has its default value; a member of a payload or a label that an entry lacks
fails every comparison, also `!=`. Text is compared without regard to case.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.cloud.logging_v2.types.log_entry import LogEntry
from google.logging.type import log_severity_pb2  # type: ignore[import-untyped]
from google.protobuf import empty_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor


# An entry as JSON has it: `google.protobuf.json_format.MessageToDict` of a LogEntry.
Fields = Mapping[str, Any]

# A message without fields: nothing is below a text or a number.
_NOTHING: Descriptor = empty_pb2.Empty.DESCRIPTOR

_SEGMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^".]+)')
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d:\d\d)?)(?:\.(\d{1,12}))?([Zz]|[+-]\d\d:\d\d)?")

# Below these an entry may hold anything.
_OPEN = frozenset({"google.protobuf.Struct", "google.protobuf.Any"})
# These are written as text.
_TEXT = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda held, asked: bool(held == asked),
    "!=": lambda held, asked: bool(held != asked),
    "<": lambda held, asked: bool(held < asked),
    ">": lambda held, asked: bool(held > asked),
    "<=": lambda held, asked: bool(held <= asked),
    ">=": lambda held, asked: bool(held >= asked),
}


class NotAField(ValueError):
    """LogEntry defines no such field."""


class Path:
    """A way into an entry, such as `resource.labels.service_name` or `jsonPayload."odd name"`.

    Args:
        text: as a filter spells it; LogEntry's own names in camel or snake case.

    Raises:
        NotAField: LogEntry defines no such field.
    """

    def __init__(self, text: str) -> None:
        self._names: list[str] = []
        self._default: Any = None
        at: Descriptor | None = LogEntry.pb().DESCRIPTOR
        for name in _segments(text):
            if at is None:
                self._names.append(name)
                continue
            field = at.fields_by_camelcase_name.get(name) or at.fields_by_name.get(name)
            if field is None:
                raise NotAField(text)
            self._names.append(field.json_name)
            at, self._default = _below(field)
        self.severity = self._names == ["severity"]

    def held(self, fields: Fields) -> list[Any]:
        """What the entry holds there; several where the way leads through lists, none where there is nothing."""
        found = list(_walk(fields, self._names))
        return found if found or self._default is None else [self._default]

    def present(self, fields: Fields) -> bool:
        """Whether the entry has something there of its own."""
        return any(True for _ in _walk(fields, self._names))


def compares(mark: str, held: Any, asked: str, *, severity: bool = False) -> bool:
    """Whether what is held stands to what is asked as `mark` says (`=`, `!=`, `<`, `>`, `<=`, `>=`)."""
    if isinstance(held, Mapping | list):
        return False
    if severity:
        wanted = severity_number(asked)
        return wanted is not None and _COMPARE[mark](severity_number(str(held)) or 0, wanted)
    for read in (_number, _moment, _seconds):
        left, right = read(held), read(asked)
        if left is not None and right is not None:
            return _COMPARE[mark](left, right)
    return _COMPARE[mark](_written(held).lower(), asked.lower())


def has(held: Any, asked: str) -> bool:
    """Whether what is held contains what is asked: in its text, as a key, or anywhere below it."""
    if isinstance(held, Mapping):
        return asked in held or any(has(one, asked) for one in held.values())
    if isinstance(held, list):
        return any(has(one, asked) for one in held)
    return asked.lower() in _written(held).lower()


def severity_number(text: str) -> int | None:
    """The number of a severity given by name, in any case, or by number; None where it is neither."""
    if text.isdecimal() and len(text) < 5:
        return int(text)
    known: Mapping[str, int] = dict(log_severity_pb2.LogSeverity.items())
    return known.get(text.upper())


def _segments(text: str) -> list[str]:
    names, at = [], 0
    while at < len(text):
        found = _SEGMENT.match(text, at)
        if found is None or text[found.end() : found.end() + 1] not in {"", "."} or text[found.end() :] == ".":
            raise NotAField(text)
        names.append(found[2] or re.sub(r"\\(.)", r"\1", found[1] or ""))
        at = found.end() + 1
    return names


def _below(field: FieldDescriptor) -> tuple[Descriptor | None, Any]:
    """What defines the names below a field (None: nothing, there may be any), and the field's default."""
    message = field.message_type
    if message is None:
        default = field.default_value if field.enum_type is None else field.enum_type.values_by_number[0].name
        return _NOTHING, default
    if message.GetOptions().map_entry or message.full_name in _OPEN:
        return None, None
    return (_NOTHING if message.full_name in _TEXT else message), None


def _walk(value: Any, names: list[str]) -> Iterable[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _walk(one, names)
    elif not names:
        yield value
    elif isinstance(value, Mapping) and names[0] in value:
        yield from _walk(value[names[0]], names[1:])


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        # Integers of 64 bits are written as text.
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _moment(value: Any) -> tuple[int, int] | None:
    """The second and the nanosecond; a moment without an offset is UTC [documented], a bare date its midnight."""
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        whole = datetime.fromisoformat(found[1] + (found[3] or ""))
    except ValueError:
        return None
    aware = whole if whole.tzinfo else whole.replace(tzinfo=UTC)
    try:
        return int(aware.timestamp()), int((found[2] or "").ljust(9, "0")[:9] or 0)
    except (OverflowError, ValueError):
        return None


def _seconds(value: Any) -> float | None:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) if found else None
