"""Time in the local cloud: a clock that a test can move, and timestamps as the two services write them."""

import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from .ports import Wall


class Clock:
    """Wall time that a test can move: a wall, and what has been added to it.

    Args:
        wall: what it follows.
    """

    def __init__(self, wall: Wall) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._added = 0.0

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self._wall() + self._added

    def monotonic(self) -> float:
        """Seconds since some moment, moved along with the wall."""
        return time.monotonic() + self._added

    def advance(self, seconds: float) -> None:
        """Move on.

        Raises:
            ValueError: `seconds` is negative, or no number; time goes forward only.
        """
        if not 0 <= seconds < float("inf"):
            raise ValueError("Time goes forward only.")
        with self._lock:
            self._added += seconds


def utc(at: float) -> datetime:
    """The moment `at` (seconds since 1970), aware, in microseconds."""
    return datetime.fromtimestamp(at, UTC)


def seconds(moment: Any) -> float:
    """The moment of a protobuf timestamp, in seconds since 1970 and whole microseconds."""
    return float(moment.seconds + moment.nanos // 1000 / 1e6)


def length(duration: Any) -> float:
    """The length of a protobuf duration, in seconds; none is too long for it."""
    return float(duration.seconds) + float(duration.nanos) / 1e9


def stamp(moment: Any, at: float) -> None:
    """Let a protobuf timestamp be the moment `at`."""
    moment.FromDatetime(utc(at))


def pacific(at: float) -> str:
    """Write a moment as events' `timestamp` does: Pacific time, an offset, trailing zeros of the fraction dropped.

    [seen in production by a third party]: `2026-10-02T06:03:33.65825-07:00`.
    """
    moment = utc(at)
    local = moment.astimezone(timezone(timedelta(hours=-7 if _summer(moment) else -8)))
    fraction = f".{local.microsecond:06d}".rstrip("0").rstrip(".")
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{offset[:3]}:{offset[3:]}"


def published(at: float) -> str:
    """Write a moment as a push's `publishTime` does: UTC with milliseconds [documented]."""
    return utc(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _summer(moment: datetime) -> bool:
    # The rule of the United States since 2007: from the second Sunday of March to the first of November, at two
    # o'clock local time. Written out because slim images carry no time zone database.
    begins = _sunday(moment.year, 3, after=7) + timedelta(hours=10)
    ends = _sunday(moment.year, 11, after=0) + timedelta(hours=9)
    return begins <= moment < ends


def _sunday(year: int, month: int, *, after: int) -> datetime:
    """The first Sunday of the month whose day is greater than `after`."""
    day = datetime(year, month, after + 1, tzinfo=UTC)
    return day + timedelta(days=(6 - day.weekday()) % 7)


def microseconds(at: float) -> float:
    """The moment `at` in whole microseconds, so that it is the same one after a timestamp has carried it."""
    whole, rest = divmod(round(at * 1e6), 1_000_000)
    return whole + rest / 1e6
