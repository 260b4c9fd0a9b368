"""Events on their way in, whichever way they came: applied, and answered.

An answer that is not 2xx asks Pub/Sub to send the message again; for a message that was pulled it means the same.
"""

import logging
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Final, Literal, Protocol

from .errors import Answer, BoardError, ConfigurationError
from .events import SecretEvent
from .knowledge import SECOND, Knowledge
from .names import SecretName
from .spread import Spread
from .telemetry import Event, Voice
from .telemetry import entry as log


#: Older messages are acknowledged whatever happens: their sending again slows every other message, and what is left
#: to do is retried here.
REDELIVERED_UNTIL: Final = 600 * SECOND

_MS: Final = 1_000_000  # nanoseconds

Path = Literal["push", "pull"]

_SPREAD: Final = {
    Spread.NOT_OURS: Answer.NOT_OURS,
    Spread.KNOWN: Answer.KNOWN,
    Spread.FIXED: Answer.FIXED,
    Spread.SETTLED: Answer.APPLIED,
    Spread.HELD_BACK: Answer.HELD_BACK,
    Spread.UNSETTLED: Answer.TRY_AGAIN,
}

_ANSWERED: Final[dict[Path, Event]] = {"push": "push_answered", "pull": "pull_answered"}


class Follower(Protocol):
    """What follows events: a `SecretCache`."""

    @property
    def voice(self) -> Voice:
        """Writes the log."""
        ...

    def announce(self, name: SecretName, news: Knowledge, *, deadline: float, path: str) -> Spread:
        """Take in what an event says of a secret."""
        ...

    def look(self, name: SecretName, *, deadline: float, path: str) -> Spread:
        """Look for what an event does not say."""
        ...

    def serves(self, name: SecretName, number: int) -> bool:
        """Whether an entry serves this version of a secret."""
        ...


class Intake:
    """Apply events to a cache. Thread-safe.

    Args:
        cache: whose entries follow them.
        path: the way that they come.
        wall: nanoseconds since the epoch.
    """

    def __init__(self, cache: Follower, *, path: Path, wall: Callable[[], int]) -> None:
        self._cache = cache
        self._path: Path = path
        self._wall = wall

    def take(self, event: SecretEvent, *, deadline: float) -> Answer:
        """Apply one event and say, here and in the log, how it is answered.

        Args:
            event: the event.
            deadline: monotonic time by which this returns.
        """
        return self.take_all([event], deadline=deadline)[0]

    def take_all(self, events: Sequence[SecretEvent], *, deadline: float) -> list[Answer]:
        """Apply events of one secret at once, so that a burst costs one refresh; see `take`.

        Args:
            events: at least one; all of the same secret.
            deadline: monotonic time by which this returns.
        """
        for event in events:
            if event.from_future:
                log(
                    logging.WARNING,
                    "event_from_future",
                    "an event claims to be more than a minute later than its publication; its time was cut",
                    secret=str(event.secret),
                    message_id=event.message_id or None,
                )
        # Before it is applied: of a version that ends, whether it was in use is what somebody must know.
        used = [self._uses(event) for event in events]
        spread = self._spread(events, deadline)
        return [self._answer(*answered) for answered in zip(events, spread, used, strict=True)]

    def _uses(self, event: SecretEvent) -> bool:
        return event.secret is not None and event.number is not None and self._cache.serves(event.secret, event.number)

    def _answer(self, event: SecretEvent, answer: Answer, used: bool) -> Answer:
        if answer is Answer.TRY_AGAIN and self._wall() - event.published > REDELIVERED_UNTIL:
            answer = Answer.HELD_BACK
        self._say(event, answer, in_use=used)
        return answer

    def _spread(self, events: Sequence[SecretEvent], deadline: float) -> list[Answer]:
        lessons = [event.knowledge() for event in events]
        taught = [lesson for lesson in lessons if lesson is not None]
        spread = Answer.NO_NEWS
        name = events[0].secret
        try:
            if name is not None and taught:
                news = reduce(Knowledge.merge, taught)
                spread = _SPREAD[self._cache.announce(name, news, deadline=deadline, path=self._path)]
            elif name is not None and any(event.climb for event in events):
                spread = _SPREAD[self._cache.look(name, deadline=deadline, path=self._path)]
        except (BoardError, ConfigurationError) as exc:
            log(logging.ERROR, "siblings_unreachable", str(exc))
            spread = Answer.TRY_AGAIN
        return [
            Answer.NO_NEWS if lesson is None and not event.climb else spread
            for event, lesson in zip(events, lessons, strict=True)
        ]

    def _say(self, event: SecretEvent, answer: Answer, *, in_use: bool) -> None:
        level = {Answer.HELD_BACK: logging.ERROR, Answer.TRY_AGAIN: logging.WARNING}.get(answer, logging.INFO)
        now = self._wall()
        self._cache.voice(
            level,
            _ANSWERED[self._path],
            f"{event.type} of {event.secret or 'no secret'}: {answer.reason}",
            secret=str(event.secret) if event.secret else None,
            version=event.number,
            type=event.type,
            message_id=event.message_id or None,
            in_use=in_use or None,
            answer=answer.name,
            status=answer.status if self._path == "push" else None,
            event_ms=(now - event.stamp) / _MS if event.stamp else None,
            publish_ms=(now - event.published) / _MS,
            roll=True,
        )
