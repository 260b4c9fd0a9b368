"""When a rotation may begin."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rotation.windows import Window


def at(day, clock):
    """Seconds of a day of the week of 2027-01-11, which is a Monday."""
    hours, minutes = map(int, clock.split(":"))
    monday = datetime(2027, 1, 11, tzinfo=UTC)
    return (monday + timedelta(days=day, hours=hours, minutes=minutes)).timestamp()


@pytest.mark.parametrize(
    ("window", "day", "clock", "is_open"),
    [
        ("Mon-Fri 02:00-05:00", 0, "02:00", True),
        ("Mon-Fri 02:00-05:00", 0, "04:59", True),
        ("Mon-Fri 02:00-05:00", 0, "05:00", False),
        ("Mon-Fri 02:00-05:00", 5, "03:00", False),
        ("Sun 22:00-02:00", 6, "23:30", True),
        ("Sun 22:00-02:00", 0, "01:59", True),
        ("Sun 22:00-02:00", 1, "01:59", False),
        ("02:00-05:00", 3, "02:30", True),
        ("Fri-Mon 00:00-00:00", 6, "12:00", True),
        ("Fri-Mon 00:00-00:00", 2, "12:00", False),
    ],
)
def test_open(window, day, clock, is_open):
    """A window is open from its beginning to just before its end, past midnight too."""

    assert is_open is Window.parse(window).open_at(at(day, clock))


@pytest.mark.parametrize(
    "text", ["", "02:00", "Mon 2:00-5:00", "Foo 02:00-05:00", "Mon-Foo 02:00-05:00", "24:00-25:00"]
)
def test_what_is_no_window(text):
    """What cannot be read is refused, never taken for always or never."""
    with pytest.raises(ValueError, match=r"window|day|hour"):
        Window.parse(text)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 23), st.integers(0, 59), st.integers(0, 7 * 1440 - 1))
def test_a_week_holds_a_window_as_often_as_its_days(begin_hour, begin_minute, end_hour, end_minute, minute):
    """A window of every day is open at a minute exactly if that minute of the day is within it."""
    window = Window.parse(f"{begin_hour:02}:{begin_minute:02}-{end_hour:02}:{end_minute:02}")
    begin, end, now = begin_hour * 60 + begin_minute, end_hour * 60 + end_minute, minute % 1440
    within = begin <= now < end if begin < end else now >= begin or now < end

    assert within is window.open_at(at(0, "00:00") + minute * 60)
