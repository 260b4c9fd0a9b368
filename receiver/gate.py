"""From a request to an event that an authentic sender sent, or to the answer that a request gets without one.

The order matters: authenticate by the header, then check the size, then read and parse. A stranger costs no read.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from .auth import Auth
from .envelopes import read_event
from .errors import Answer, Forbidden, KeysUnavailable, PushRefused, Unauthenticated, UnreadablePush
from .events import MAX_BODY, SecretEvent
from .telemetry import Event, Voice


class Gate:
    """Let events in. Thread-safe.

    Args:
        auth: who may push.
        wall: nanoseconds since the epoch.
        voice: writes the log.
    """

    #: Bytes of a body that are worth reading; one more than the largest that is taken.
    READ_AT_MOST: Final = MAX_BODY + 1

    def __init__(self, auth: Auth, *, wall: Callable[[], int] = time.time_ns, voice: Voice | None = None) -> None:
        self._auth = auth
        self._voice = voice or Voice()
        self._wall = wall

    def admit(
        self, headers: Mapping[str, str], content_length: int | None
    ) -> Answer | Callable[[bytes], SecretEvent | Answer]:
        """Decide by the headers whether the body is to be read.

        Args:
            headers: the request's headers, their names in any case.
            content_length: the Content-Length header; None where there is none.

        Returns:
            The answer where it is not; otherwise what reads the event (or says the answer where there is none), given
            at most `READ_AT_MOST` bytes of the body.
        """
        fields = folded(headers.items())
        try:
            self._auth.verify(fields.get("authorization"))
        except PushRefused as exc:
            return self._refuse(exc)
        if content_length is not None and content_length > MAX_BODY:
            return self._too_large()
        return lambda body: self._read(fields, body)

    def _read(self, headers: Mapping[str, str], body: bytes) -> SecretEvent | Answer:
        if len(body) > MAX_BODY:
            return self._too_large()
        try:
            return read_event(headers, body, received=self._wall())
        except PushRefused as exc:
            return self._refuse(exc)

    def _refuse(self, refusal: PushRefused) -> Answer:
        level, event = _REFUSALS[type(refusal)]
        self._voice(level, event, str(refusal), status=refusal.answer.status)
        return refusal.answer

    def _too_large(self) -> Answer:
        text = f"an authentic push of more than {MAX_BODY} bytes was acknowledged"
        self._voice(logging.ERROR, "push_too_large", text)
        return Answer.TOO_LARGE


_REFUSALS: Final[dict[type[PushRefused], tuple[int, Event]]] = {
    Unauthenticated: (logging.WARNING, "refused_sender"),
    Forbidden: (logging.WARNING, "refused_sender"),
    KeysUnavailable: (logging.ERROR, "keys_unavailable"),
    UnreadablePush: (logging.ERROR, "push_unreadable"),
}


def folded(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return a request's header fields by their names in lower case."""
    # A field that comes several times is one list [RFC 9110, 5.3], which is no valid token and no valid name.
    found: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found
