"""Timestamps as events write them."""

from datetime import UTC, datetime

import pytest

from notifier.local.clocks import pacific, published


@pytest.mark.parametrize(
    ("utc", "written"),
    [
        ("2021-01-20T19:17:45.081104", "2021-01-20T11:17:45.081104-08:00"),
        ("2026-10-02T13:03:33.658250", "2026-10-02T06:03:33.65825-07:00"),
        ("2026-10-02T13:03:33.000000", "2026-10-02T06:03:33-07:00"),
        ("2026-03-08T09:59:59.500000", "2026-03-08T01:59:59.5-08:00"),
        ("2026-03-08T10:00:00.500000", "2026-03-08T03:00:00.5-07:00"),
        ("2026-11-01T08:59:59.500000", "2026-11-01T01:59:59.5-07:00"),
        ("2026-11-01T09:00:00.500000", "2026-11-01T01:00:00.5-08:00"),
        ("2027-03-14T10:00:00.500000", "2027-03-14T03:00:00.5-07:00"),
        ("2027-11-07T09:00:00.500000", "2027-11-07T01:00:00.5-08:00"),
    ],
)
def test_pacific(utc, written):
    """A moment is written in Pacific time, summer or winter, its fraction without trailing zeros."""
    assert written == pacific(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp())


def test_published():
    """A publish time is UTC with milliseconds."""
    assert "2026-11-24T02:00:01.039Z" == published(datetime(2026, 11, 24, 2, 0, 1, 39000, tzinfo=UTC).timestamp())
