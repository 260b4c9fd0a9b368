"""Who read which secret, and what they were given: names and numbers, never values."""

import threading
from collections import Counter, deque
from dataclasses import dataclass

from .ports import Wall
from .rpc import Caller


# Enough for a long demo; counts go on past it.
_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class AccessCall:
    """One call of AccessSecretVersion.

    Args:
        secret: full name, with the project's number.
        asked: what was asked for: a number, `latest` or an alias.
        served: the number of the version that was given, None where the call was refused.
        status: name of the status, such as `OK`.
        at: wall time of the answer.
        peer: the caller's address; one connection each.
        user_agent: what the caller says it is.
        api_client: the versions of Google's libraries that it says it uses.
    """

    secret: str
    asked: str
    served: int | None
    status: str
    at: float
    peer: str
    user_agent: str
    api_client: str


class AccessLog:
    """Every access, in the order of the answers. Thread-safe.

    Args:
        wall: wall time.
    """

    def __init__(self, *, wall: Wall) -> None:
        self._wall = wall
        self._changed = threading.Condition()
        self._calls: deque[AccessCall] = deque(maxlen=_KEPT)
        self._counts: Counter[tuple[str, str, int | None]] = Counter()
        self._arrived: Counter[str] = Counter()

    def arrived(self, secret: str) -> None:
        """Note that an access has come in, before it is answered."""
        with self._changed:
            self._arrived[secret] += 1
            self._changed.notify_all()

    def answered(self, secret: str, asked: str, served: int | None, status: str, caller: Caller) -> None:
        """Note how an access was answered."""
        call = AccessCall(
            secret=secret,
            asked=asked,
            served=served,
            status=status,
            at=self._wall(),
            peer=caller.peer,
            user_agent=caller.user_agent,
            api_client=caller.api_client,
        )
        with self._changed:
            self._calls.append(call)
            self._counts[secret, asked, served] += 1

    def calls(self, secret: str | None = None) -> list[AccessCall]:
        """The accesses, oldest first; of one secret where it is given."""
        with self._changed:
            return [call for call in self._calls if secret in {None, call.secret}]

    def counts(self) -> dict[tuple[str, str, int | None], int]:
        """How often each (secret, asked, served) was; never cut short."""
        with self._changed:
            return dict(self._counts)

    def clear(self) -> None:
        """Begin anew, as between the acts of a test."""
        with self._changed:
            self._calls.clear()
            self._counts.clear()
            self._arrived.clear()

    def wait_for_arrivals(self, secret: str, count: int, timeout: float = 5.0) -> bool:
        """Wait until `count` accesses of the secret have come in, answered or not; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._arrived[secret] >= count, timeout)
