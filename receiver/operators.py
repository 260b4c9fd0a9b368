"""The routes for people: what is served, and "look again now". Off unless somebody is named who may use them.

They have an authentication of their own, never the pushes': Pub/Sub's service account is no operator.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .auth import Auth
from .cache import SecretCache
from .errors import BoardError, ConfigurationError, PushRefused
from .spread import Spread


#: A forced refresh is answered within this many seconds.
DEADLINE: Final = 6.0
#: Bytes of a request's body.
LARGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Reply:
    """What an operator is answered: a status, a JSON object, and headers."""

    status: int
    content: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The object as JSON, for a person to read."""
        return json.dumps(self.content, indent=2).encode() + b"\n"


class Operators:
    """Answer operators. Thread-safe.

    Args:
        cache: whose entries they ask about.
        auth: who they are.
        pushes: how often each answer was given to pushes, for the status.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        cache: SecretCache,
        auth: Auth,
        *,
        pushes: Callable[[], Mapping[str, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._auth = auth
        self._pushes = pushes
        self._clock = clock
        auth.announce()
        cache.on_fork(auth.after_fork)

    def status(self, authorization: str | None) -> Reply:
        """Say what this worker serves."""
        refused = self.refused(authorization)
        return refused or Reply(200, {**self._cache.status(), "pushes": dict(self._pushes())})

    def refresh(self, authorization: str | None, content_length: int | None, read: Callable[[int], bytes]) -> Reply:
        """Look upstream for newer versions, of one secret or of all, for the workers of this container.

        Args:
            authorization: the Authorization header.
            content_length: the Content-Length header; None where there is none.
            read: reads at most so many bytes of the body: nothing, or a JSON object with the key "secret".
        """
        refused = self.refused(authorization)
        if refused is not None:
            return refused
        secret, readable = _wanted(content_length, read)
        if not readable:
            return Reply(400, {"error": 'send nothing, or a JSON object: {"secret": "NAME"}'})
        try:
            done = self._cache.refresh(secret, deadline=self._clock() + DEADLINE)
        except (BoardError, ConfigurationError) as exc:
            return Reply(503, {"error": str(exc)})
        if done is None:
            return Reply(404, {"error": "no entry of this service uses a secret of that name"})
        content: dict[str, Any] = {"scope": "this container", "outcome": done.spread.value, "entries": done.entries}
        if done.too_soon:
            content["too_soon"] = {name: math.ceil(wait) for name, wait in done.too_soon.items()}
        if done.too_soon and not done.entries:
            wait = math.ceil(min(done.too_soon.values()))
            return Reply(429, content, {"Retry-After": str(wait)})
        return Reply(503 if done.spread is Spread.UNSETTLED else 200, content)

    def refused(self, authorization: str | None) -> Reply | None:
        """Say how somebody is answered who may not ask; None where they may."""
        try:
            self._auth.verify(authorization)
        except PushRefused as exc:
            self._cache.voice(logging.WARNING, "refused_operator", str(exc), status=exc.answer.status)
            return Reply(exc.answer.status, {"error": exc.answer.reason})
        return None


def _wanted(content_length: int | None, read: Callable[[int], bytes]) -> tuple[str | None, bool]:
    if content_length == 0:
        return None, True
    body = read(LARGEST + 1)
    if not body:
        return None, True
    try:
        asked = json.loads(body) if len(body) <= LARGEST else None
    except (ValueError, RecursionError):
        return None, False
    if not isinstance(asked, dict) or set(asked) - {"secret"}:
        return None, False
    secret = asked.get("secret")
    return secret, secret is None or isinstance(secret, str)
