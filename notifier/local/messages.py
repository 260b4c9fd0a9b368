"""What a subscription hands out: messages, the leases on them, and the rules that it follows."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One published message.

    Args:
        id: as the publisher was told.
        at: when it was published, seconds since 1970 in whole microseconds.
        data: what it carries.
        attributes: likewise.
        ordering_key: "" where it has none.
    """

    id: str
    at: float
    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """A message handed out until its deadline; it comes again unless it is acknowledged before."""

    id: str
    message: Message
    attempt: int


@dataclass(frozen=True, slots=True)
class Rules:
    """How a subscription hands out its messages.

    Args:
        ordered: whether messages of one ordering key come one after the other.
        retained: whether acknowledged messages are kept, so that a seek can bring them back.
        attempts: how often a message is handed out before it is buried, 0 for ever.
        backoff: shortest and longest wait before a message comes again; it doubles with each attempt.
    """

    ordered: bool = False
    retained: bool = False
    attempts: int = 0
    backoff: tuple[float, float] = (0.0, 0.0)

    def wait(self, attempt: int) -> float:
        """Seconds until a message comes again after its `attempt`-th try."""
        shortest, longest = self.backoff
        # [documented]: exponential between the two ends; that it doubles is [assumed]. Doubling needs something to
        # begin with.
        return min(longest, max(shortest, 0.1 if attempt > 1 else 0.0) * 2.0 ** min(attempt - 1, 30))
