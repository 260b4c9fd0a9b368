"""One look at the entries of Cloud Logging, and looking on until all have followed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .answer import Counted, Question, Report, Verdict
from .google_logging import client, read, wanted
from .report import report
from .times import HOUR, SECOND


if TYPE_CHECKING:
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client

#: How long before what is looked for the reading begins: whoever is awake gives a sign of life within an hour and a
#: half, as long as the services' safety reads are hourly.
LOOK_BACK: Final = 2 * HOUR

#: Seconds between two looks: twenty a minute, of the sixty readings that Cloud Logging allows a project.
_EVERY: Final = 3.0
#: What was taken in so long before the last look is read again, since it may have become visible late.
_OVERLAP: Final = 15 * SECOND


class Look:
    """What is looked for, and where.

    Args:
        project: the secret's project.
        location: its region, "" for a global one.
        secret: its id.
        version: which version; None for the newest usable one.
        since: how far back a version may have been added, in nanoseconds.
        counted: how many instances there are.
        others: further projects whose logs are read.
    """

    def __init__(
        self,
        project: str,
        location: str,
        secret: str,
        *,
        version: int | None,
        since: int,
        counted: Counted | None,
        others: Sequence[str] = (),
    ) -> None:
        self._named = {"project": project, "location": location, "secret": secret}
        self._version = version
        self._span = since
        self._counted = counted
        self._projects = [project, *others]

    def report(self, entries: Iterable[Any], *, now: int, began: int | None = None) -> Report:
        """Make the report.

        Args:
            entries: what was read.
            now: the moment of the report, in nanoseconds.
            began: the moment from which to look back; `now` where it is not given.
        """
        return report(entries, self.question(now, began=began))

    def question(self, now: int, *, began: int | None = None) -> Question:
        """What is asked at a moment."""
        since = (now if began is None else began) - self._span
        return Question(**self._named, version=self._version, since=since, now=now, counted=self._counted)

    def read(
        self,
        logging: "LoggingServiceV2Client | None" = None,
        *,
        now: int,
        received_since: int = 0,
        paged: Callable[[int, int], None] = lambda _pages, _entries: None,
    ) -> Iterator[Any]:
        """Read the entries of Cloud Logging.

        Args:
            logging: the client; made here where it is not given.
            now: the moment from which to look back.
            received_since: only what was taken in since this moment; 0 for all.
            paged: told after each page how many pages and entries have come.

        Raises:
            CannotRead: they cannot be read.
        """
        asked = wanted(self.question(now), since=now - self._span - LOOK_BACK, received_since=received_since)
        return read(logging or client(), self._projects, asked, paged=paged)


def follow(
    look: Look,
    show: Callable[[Report], None],
    *,
    timeout: int,
    wall: Callable[[], int],
    pause: Callable[[float], None],
    logging: "LoggingServiceV2Client | None" = None,
) -> Report:
    """Look on until all have followed, the time is over, or somebody presses Ctrl-C; the last report is returned.

    Args:
        look: what is looked for.
        show: given each report.
        timeout: nanoseconds.
        wall: nanoseconds since the epoch.
        pause: waits for so many seconds.
        logging: the client; made here where it is not given.

    Raises:
        CannotRead: the entries cannot be read.
    """
    logging = logging or client()
    began, kept = wall(), {}
    read_until = 0
    found = look.report([], now=began)
    with suppress(KeyboardInterrupt):
        while True:
            now = wall()
            for entry in look.read(logging, now=began, received_since=max(0, read_until - _OVERLAP)):
                kept[_identity(entry)] = entry
            read_until = now
            found = look.report(kept.values(), now=now, began=began)
            if found.verdict is Verdict.CONVERGED:
                # What became visible late may say otherwise, so all is read once more before anybody believes it.
                kept.update((_identity(entry), entry) for entry in look.read(logging, now=began))
                found = look.report(kept.values(), now=now, began=began)
            show(found)
            if found.verdict is Verdict.CONVERGED or now - began >= timeout:
                break
            pause(_EVERY)
    return found


def _identity(entry: Any) -> tuple[Any, ...]:
    return tuple(entry.get(key) for key in ("logName", "timestamp", "insertId")) if isinstance(entry, dict) else ()
