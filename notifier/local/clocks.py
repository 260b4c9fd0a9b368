"""Timestamps as the two services write them."""

from datetime import UTC, datetime, timedelta, timezone


def utc(at: float) -> datetime:
    """The moment `at` (seconds since 1970), aware, in microseconds."""
    return datetime.fromtimestamp(at, UTC)


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
