"""Reads what came from elsewhere: JSON, times and alias maps. Pure; a refusal repeats nothing of what it refuses."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from .errors import UnreadablePush
from .knowledge import SECOND


_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)",
    re.ASCII,
)

#: A version's number is an int64.
_LARGEST_NUMBER: Final = 2**63 - 1


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


def alias_map(secret: Mapping[str, Any]) -> dict[str, int] | None:
    """Read all aliases of a Secret as JSON; None where they cannot be read."""
    try:
        aliases = an_object(secret.get("versionAliases", {}), "versionAliases")
        numbers = {alias: int(number) for alias, number in aliases.items()}  # int64 is a string in proto3 JSON
    except (UnreadablePush, TypeError, ValueError, OverflowError):
        return None
    return numbers if all(1 <= number <= _LARGEST_NUMBER for number in numbers.values()) else None


def parsed(raw: bytes | str, what: str) -> object:
    """Parse JSON.

    Raises:
        UnreadablePush: it is none.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise UnreadablePush(f"the {what} is not JSON") from None


def an_object(value: object, what: str) -> dict[str, Any]:
    """Return `value`, which must be a JSON object.

    Raises:
        UnreadablePush: it is none.
    """
    if not isinstance(value, dict):
        raise UnreadablePush(f"the {what} is not a JSON object")
    return value
