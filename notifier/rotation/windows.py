"""When a rotation may begin: days and hours of a week, in UTC. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self


_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))? )?([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)", re.IGNORECASE)
_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """A time of day on some days of the week, UTC; past midnight where its end is before its beginning.

    Args:
        days: of its beginning, Monday is 0.
        begin: minutes since midnight.
        end: likewise; equal to `begin` for the whole day.
    """

    days: frozenset[int]
    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `Mon-Fri 02:00-05:00`, `Sun 22:00-02:00` or `02:00-05:00`.

        Raises:
            ValueError: it is anything else.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError("a window reads like 'Mon-Fri 02:00-05:00' (UTC)")
        first, last, *times = found.groups()
        hours = [int(part) for part in times]
        if max(hours[0], hours[2]) > 23:
            raise ValueError("an hour is between 00 and 23")
        return cls(_days(first, last), hours[0] * 60 + hours[1], hours[2] * 60 + hours[3])

    def open_at(self, now: float) -> bool:
        """Whether it is open; `now` in seconds since the epoch."""
        moment = datetime.fromtimestamp(now, UTC)
        minute, today = moment.hour * 60 + moment.minute, moment.weekday()
        length = (self.end - self.begin) % _DAY or _DAY
        began_today = today in self.days and 0 <= minute - self.begin < length
        began_yesterday = (today - 1) % 7 in self.days and minute + _DAY - self.begin < length
        return began_today or began_yesterday


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    try:
        start = _DAYS.index(first.lower())
        end = _DAYS.index((last or first).lower())
    except ValueError:
        raise ValueError(f"a day is one of {', '.join(day.capitalize() for day in _DAYS)}") from None
    return frozenset((start + ahead) % 7 for ahead in range((end - start) % 7 + 1))
