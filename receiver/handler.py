"""The push route, from headers and body to an answer. The web frameworks' skins hold no policy.

The order matters: authenticate by the header, then check the size, then read, parse and apply. A stranger costs no
read and no call to Secret Manager, and what an authentic sender sends is refused only where sending it again can help.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from .auth import Auth
from .cache import SecretCache
from .errors import Answer
from .events import MAX_BODY, SecretEvent
from .gate import Gate
from .intake import Intake


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
        self._gate = Gate(auth, wall=wall, voice=cache.voice)
        self._clock = clock
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
        opened = self._gate.admit(headers, content_length)
        if isinstance(opened, Answer):
            return self._count(opened)
        left = DEADLINE - (self._clock() - began)
        return lambda body: self._count(self._answer(opened, body, self._clock() + left))

    def _answer(self, opened: Callable[[bytes], SecretEvent | Answer], body: bytes, deadline: float) -> Answer:
        event = opened(body)
        if isinstance(event, Answer):
            return event
        about = {"secret": str(event.secret or ""), "type": str(event.type)}
        with self._cache.instruments.span("keyturn.push", parent=event.trace, **about):
            return self._intake.take(event, deadline=deadline)

    def _count(self, answer: Answer) -> Answer:
        with self._lock:
            self._answers[answer.name] += 1
        return answer

    def _after_fork(self) -> None:
        # The child counts its own answers, and the parent's lock may be held by a thread that it has not.
        self._lock = threading.Lock()
        self._answers = Counter()


def push_handler(cache: SecretCache, auth: Auth | None) -> PushHandler | None:
    """Make what answers the pushes of a cache; nothing where nobody may push, because the cache pulls.

    Raises:
        ValueError: nobody may push, and the cache does not pull either.
    """
    if auth is not None:
        return PushHandler(cache, auth)
    if cache.events != "pull":
        raise ValueError(f'a cache with events="{cache.events}" is pushed to, so say who may: auth=OIDC(...)')
    return None
