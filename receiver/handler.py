"""The push route, from headers and body to an answer. The web frameworks' skins hold no policy.

The order matters: authenticate by the header, then check the size, then read, parse and apply. A stranger costs no
read and no call to Secret Manager, and what an authentic sender sends is refused only where sending it again can help.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from .auth import Auth
from .cache import SecretCache
from .errors import Answer, Forbidden, KeysUnavailable, PushRefused, Unauthenticated, UnreadablePush
from .events import MAX_BODY, SecretEvent, decode_push
from .knowledge import SECOND
from .telemetry import Event
from .telemetry import entry as log
from .worker import Spread


#: A push is answered within this many seconds; the subscription's ack deadline is 60 s.
DEADLINE: Final = 6.0

#: Older messages are acknowledged whatever happens: their sending again slows every other message, and what is left
#: to do is retried here.
REDELIVERED_UNTIL: Final = 600 * SECOND

_SPREAD: Final = {
    Spread.NOT_OURS: Answer.NOT_OURS,
    Spread.KNOWN: Answer.KNOWN,
    Spread.FIXED: Answer.FIXED,
    Spread.SETTLED: Answer.APPLIED,
    Spread.HELD_BACK: Answer.HELD_BACK,
    Spread.UNSETTLED: Answer.TRY_AGAIN,
}


class PushHandler:
    """Answer pushes for a cache. Thread-safe; every call ends within `DEADLINE` seconds, reading the body aside.

    Args:
        cache: whose entries follow the events.
        auth: who may push.
        clock: monotonic seconds.
        wall: nanoseconds since the epoch.
    """

    def __init__(
        self,
        cache: SecretCache,
        auth: Auth,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._cache = cache
        self._auth = auth
        self._clock = clock
        self._wall = wall
        auth.announce()
        cache.on_fork(auth.after_fork)

    def __call__(self, authorization: str | None, content_length: int | None, read: Callable[[int], bytes]) -> Answer:
        """Answer one push.

        Args:
            authorization: the Authorization header.
            content_length: the Content-Length header; None where there is none.
            read: reads at most so many bytes of the body; called only for authentic senders.
        """
        deadline = self._clock() + DEADLINE
        try:
            self._auth.verify(authorization)
            event = self._read(content_length, read)
        except PushRefused as exc:
            return _refuse(exc)
        if event is None:
            log(logging.ERROR, "push_too_large", f"an authentic push of more than {MAX_BODY} bytes was acknowledged")
            return Answer.TOO_LARGE
        return self._apply(event, deadline)

    def _read(self, content_length: int | None, read: Callable[[int], bytes]) -> SecretEvent | None:
        if content_length is not None and content_length > MAX_BODY:
            return None
        body = read(MAX_BODY + 1)
        return None if len(body) > MAX_BODY else decode_push(body, received=self._wall())

    def _apply(self, event: SecretEvent, deadline: float) -> Answer:
        if event.from_future:
            log(
                logging.WARNING,
                "event_from_future",
                "an event claims to be more than a minute later than its publication; its time was cut",
                secret=str(event.secret),
                message_id=event.message_id,
            )
        news = event.knowledge()
        if event.secret is None or news is None:
            self._say(event, Answer.NO_NEWS)
            return Answer.NO_NEWS
        answer = _SPREAD[self._cache.announce(event.secret, news, deadline=deadline)]
        if answer is Answer.TRY_AGAIN and self._wall() - event.published > REDELIVERED_UNTIL:
            answer = Answer.HELD_BACK
        self._say(event, answer)
        return answer

    def _say(self, event: SecretEvent, answer: Answer) -> None:
        level = {Answer.HELD_BACK: logging.ERROR, Answer.TRY_AGAIN: logging.WARNING}.get(answer, logging.INFO)
        log(
            level,
            "push_answered",
            f"{event.type} of {event.secret or 'no secret'}: {answer.reason}",
            secret=str(event.secret) if event.secret else None,
            version=event.number,
            type=event.type,
            message_id=event.message_id,
            answer=answer.name,
            status=answer.status,
        )


_REFUSALS: Final[dict[type[PushRefused], tuple[int, Event]]] = {
    Unauthenticated: (logging.WARNING, "refused_sender"),
    Forbidden: (logging.WARNING, "refused_sender"),
    KeysUnavailable: (logging.ERROR, "keys_unavailable"),
    UnreadablePush: (logging.ERROR, "push_unreadable"),
}


def _refuse(refusal: PushRefused) -> Answer:
    level, event = _REFUSALS[type(refusal)]
    log(level, event, str(refusal), status=refusal.answer.status)
    return refusal.answer
