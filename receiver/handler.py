"""The push route, from headers and body to an answer. The web frameworks' skins hold no policy.

The order matters: authenticate by the header, then check the size, then read, parse and apply. A stranger costs no
read and no call to Secret Manager, and what an authentic sender sends is refused only where sending it again can help.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from .auth import Auth
from .cache import SecretCache
from .envelopes import read_event
from .errors import (
    Answer,
    Forbidden,
    KeysUnavailable,
    PushRefused,
    Unauthenticated,
    UnreadablePush,
)
from .events import MAX_BODY
from .intake import Intake
from .telemetry import Event
from .telemetry import entry as log


#: A push is answered within this many seconds; the subscription's ack deadline is 60 s.
DEADLINE: Final = 6.0


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
        self._intake = Intake(cache, path="push", wall=wall)
        self._lock = threading.Lock()
        self._answers: Counter[str] = Counter()
        auth.announce()
        cache.on_fork(auth.after_fork)
        cache.on_fork(self._after_fork)

    @property
    def answers(self) -> Counter[str]:
        """How often this process gave each answer, by its name; a copy."""
        with self._lock:
            return self._answers.copy()

    def __call__(self, headers: Mapping[str, str], content_length: int | None, read: Callable[[int], bytes]) -> Answer:
        """Answer one push.

        Args:
            headers: the request's headers, their names in any case.
            content_length: the Content-Length header; None where there is none.
            read: reads at most so many bytes of the body; called only for authentic senders.
        """
        push = self.admit(headers, content_length)
        return push if isinstance(push, Answer) else push(read(MAX_BODY + 1))

    def admit(self, headers: Mapping[str, str], content_length: int | None) -> "Answer | Callable[[bytes], Answer]":
        """Decide by the headers whether the body is to be read.

        Args:
            headers: the request's headers, their names in any case.
            content_length: the Content-Length header; None where there is none.

        Returns:
            The answer where it is not; otherwise what answers the push, given at most `MAX_BODY` + 1 bytes of its
            body.
        """
        began = self._clock()
        fields = folded(headers.items())
        try:
            self._auth.verify(fields.get("authorization"))
        except PushRefused as exc:
            return self._count(_refuse(exc))
        if content_length is not None and content_length > MAX_BODY:
            return self._count(_too_large())
        left = DEADLINE - (self._clock() - began)
        return lambda body: self._count(self._answer(fields, body, left))

    def _answer(self, headers: Mapping[str, str], body: bytes, left: float) -> Answer:
        deadline = self._clock() + left
        if len(body) > MAX_BODY:
            return _too_large()
        try:
            event = read_event(headers, body, received=self._wall())
        except PushRefused as exc:
            return _refuse(exc)
        return self._intake.take(event, deadline=deadline)

    def _count(self, answer: Answer) -> Answer:
        with self._lock:
            self._answers[answer.name] += 1
        return answer

    def _after_fork(self) -> None:
        # The child counts its own answers, and the parent's lock may be held by a thread that it has not.
        self._lock = threading.Lock()
        self._answers = Counter()


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


def _too_large() -> Answer:
    log(logging.ERROR, "push_too_large", f"an authentic push of more than {MAX_BODY} bytes was acknowledged")
    return Answer.TOO_LARGE


def folded(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return a request's header fields by their names in lower case."""
    # A field that comes several times is one list [RFC 9110, 5.3], which is no valid token and no valid name.
    found: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found
