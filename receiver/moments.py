"""How long a change took on its way to one entry: for its log entries, and for what is measured."""

from collections.abc import Callable
from typing import Final

from .knowledge import Claim, Knowledge
from .telemetry import Field


_MS: Final = 1_000_000  # nanoseconds


class Moments:
    """Note when news came to an entry, and how long a fetch took. Used under the entry's lock, or by its one flight.

    Args:
        clock: monotonic seconds.
        wall: nanoseconds since the epoch.
    """

    def __init__(self, *, clock: Callable[[], float], wall: Callable[[], int]) -> None:
        self._clock = clock
        self._wall = wall
        self._told_at: float | None = None
        self._fetch_ms: float | None = None
        self._amiss_since: float | None = None

    def rested(self, *, well: bool) -> float | None:
        """A refresh came to rest; returns for how many seconds it has not been well now, None where it is."""
        now = self._clock()
        self._amiss_since = None if well else now if self._amiss_since is None else self._amiss_since
        return None if self._amiss_since is None else round(now - self._amiss_since, 3)

    def told(self, *, behind: bool) -> None:
        """News came; it counts from the first that leaves the entry behind."""
        if not behind:
            self._told_at = None
        elif self._told_at is None:
            self._told_at = self._clock()

    def fetched(self, seconds: float) -> None:
        """Secret Manager answered after so many seconds."""
        self._fetch_ms = _rounded(seconds * 1000)

    def taken(self, number: int, before: int | None, knowledge: Knowledge) -> dict[str, Field]:
        """The fields of the entry that says that `number` is served in place of `before`.

        `event_ms` is the time since the event's own timestamp, of the version that came or of the end of the one
        before; `arrival_ms` since the news came to this worker; `fetch_ms` what Secret Manager took. What is not
        known, as after a read that no event caused, is None.
        """
        told_at, self._told_at = self._told_at, None
        arrived = None if told_at is None else _rounded((self._clock() - told_at) * 1000)
        since = None
        if before is not None:
            word = knowledge.word(max(number, before))
            # A read's stamp is no event's: it is set back by hours.
            if word is not None and (word.unusable or word.claim is not Claim.READ):
                since = _rounded((self._wall() - word.stamp) / _MS)
        fetch_ms, self._fetch_ms = self._fetch_ms, None
        return {"event_ms": since, "arrival_ms": arrived, "fetch_ms": fetch_ms}


def _rounded(milliseconds: float) -> float:
    return round(milliseconds, 3)
