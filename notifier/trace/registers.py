"""What is kept of each worker and instance: registers, each of which takes the larger of two entries. Pure data."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Word(NamedTuple):
    """Which version a worker said that it serves: compared as a tuple, so of two at one moment the lower one counts."""

    at: int
    lowness: int

    @property
    def version(self) -> int:
        """The version."""
        return -self.lowness


class Adoption(NamedTuple):
    """The first entry by which a worker said that it had taken a version."""

    at: int
    previous: int
    path: str
    event_ms: float | None
    arrival_ms: float | None
    fetch_ms: float | None
    received: int

    @property
    def ahead(self) -> int:
        """For how long, at least, the worker's clock was ahead: Cloud Logging had the entry before its own time."""
        return max(0, self.at - self.received)


class Trouble(NamedTuple):
    """The newest entry by which a worker said why it does not follow; compared as a tuple."""

    at: int
    event: str
    text: str


class Push(NamedTuple):
    """The first entry by which a worker said that it had answered a push."""

    at: int
    publish_ms: float | None


#: A project, and whether the entry never follows (static, or pinned).
Followed = tuple[str, bool]
#: A version and a project, so that the highest version comes last.
Of = tuple[int, str]


@dataclass(slots=True)
class Worker:
    """What one worker said. Moments in nanoseconds by its own clock.

    Args:
        first: when it spoke first; the second is by Cloud Logging's clock.
        stopped: when it ended; the second is by Cloud Logging's clock and negative, so that the earlier is the larger.
    """

    pid: str = ""
    first: tuple[int, int] = (2**63, 2**63)
    last: int = 0
    stopped: tuple[int, int] = (0, 0)
    words: dict[Followed, Word] = field(default_factory=dict)
    adopted: dict[Of, Adoption] = field(default_factory=dict)
    called_back: dict[Of, tuple[int]] = field(default_factory=dict)
    pushed: dict[Of, Push] = field(default_factory=dict)
    trouble: dict[str, Trouble] = field(default_factory=dict)


@dataclass(slots=True)
class Instance:
    """What the workers of one instance said, and who they were at its newest roll call (its moment, number, names)."""

    naming: tuple[str, str, str] = ("", "", "")
    workers: dict[str, Worker] = field(default_factory=dict)
    roll: tuple[int, int, tuple[str, ...]] = (0, 0, ())
    by_member: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return self.naming[0]

    @property
    def service(self) -> str:
        """The service that it is of."""
        return self.naming[1]

    @property
    def revision(self) -> str:
        """The revision that it is of."""
        return self.naming[2]

    @property
    def last(self) -> int:
        """When something was last heard of it."""
        return max((worker.last for worker in self.workers.values()), default=0)
