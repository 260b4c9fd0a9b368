"""What the parts of the local cloud ask of one another."""

from collections.abc import Callable, Mapping
from typing import Protocol


# Wall time in seconds since 1970, as `time.time` tells it; tests move it.
Wall = Callable[[], float]

# Takes one line for people about something that changed: names and numbers, never a value.
# It must not raise: it is called from the threads that serve and push.
Report = Callable[[str], None]


def unheard(_line: str) -> None:
    """Report to nobody."""


class TopicPort(Protocol):
    """Where Secret Manager sends its notifications."""

    def has_topic(self, topic: str) -> bool:
        """Whether the topic exists; Secret Manager refuses secrets whose topics do not."""

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str | None:
        """Send one message and return its id, or None where the topic has gone meanwhile."""
