"""Moments as log entries spell them, in nanoseconds since the epoch. Pure."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final


SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE

_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:", re.ASCII)
_OFFSET: Final = re.compile(r"Z|[+-]\d\d:\d\d", re.ASCII)
_TO_THE_SECOND: Final = len("2026-11-24T02:00:")
_DIGITS: Final = len("59") + 9

#: The year 9000: spans are added to moments and taken from them, and what comes of that has to be a date as well.
_LATEST: Final = 221_845_392_000 * SECOND


def nanoseconds(text: object) -> int | None:
    """Read an RFC 3339 moment with any offset, since 1970, to the nanosecond; None where `text` is anything else."""
    if not isinstance(text, str):
        return None
    offset = "Z" if text[-1:] == "Z" else text[-6:]
    minute = _minute(text[:_TO_THE_SECOND], offset)
    if minute is None:
        return None
    seconds, _, fraction = text[_TO_THE_SECOND : -len(offset)].partition(".")
    digits = seconds + fraction.ljust(9, "0")
    if len(digits) != _DIGITS or not digits.isdecimal():
        return None
    moment = minute + int(digits)
    return moment if 0 <= moment < _LATEST else None


# Entries come by the hundred in each minute, and the calendar is the slow part.
@lru_cache(maxsize=4096)
def _minute(text: str, offset: str) -> int | None:
    if _MINUTE.fullmatch(text) is None or _OFFSET.fullmatch(offset) is None:
        return None
    zone: timezone = UTC
    try:
        if offset != "Z":
            ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6]))
            zone = timezone(-ahead if offset[0] == "-" else ahead)
        return int(datetime.fromisoformat(text[:-1]).replace(tzinfo=zone).timestamp()) * SECOND
    except (ValueError, OverflowError):
        return None


def iso(stamp: int | None) -> str | None:
    """Write a moment as RFC 3339 in UTC, to the millisecond; None for none."""
    if stamp is None:
        return None
    return datetime.fromtimestamp(stamp / SECOND, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def spell(span: float) -> str:
    """Say how long `span` nanoseconds are, for people: `340 ms`, `2.1 s`, `3 min`, `5 h`, `2 days`."""
    for unit, name, until in ((SECOND // 1000, "ms", SECOND), (SECOND, "s", MINUTE)):
        if span < until:
            return f"{span / unit:.0f} {name}" if name == "ms" else f"{span / unit:.1f} {name}"
    for unit, name, until in ((MINUTE, "min", 2 * HOUR), (HOUR, "h", 48 * HOUR)):
        if span < until:
            return f"{span / unit:.0f} {name}"
    return f"{span / (24 * HOUR):.0f} days"
