"""How a cache hears of events: by pushes to its route, by pulling a subscription of its instance's own, or both."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from .errors import ConfigurationError
from .instance import Instance
from .intake import Follower, Intake
from .knowledge import Knowledge
from .names import SecretName


# Late: it needs an extra, and most services are pushed to.
if TYPE_CHECKING:
    from .fleet.member import Fleet

Events = Literal["push", "pull", "both"]

#: Seconds: beyond it a message would wait for a good part of the ten minutes in which it is sent again.
_SPREAD_MOST: Final = 300.0


@dataclass(frozen=True, slots=True)
class Hearing:
    """The choice.

    Args:
        events: by which way; None for none, where safety reads alone look for news.
        project: the cache's.
        topic: where Secret Manager announces changes: its id, or its full name; needed for pulling.
        spread: over how many seconds the instances of a fleet spread what they fetch for an event that they pulled.

    Raises:
        ValueError: it is not one of these, or something is missing.
    """

    events: Events | None
    project: str
    topic: str | None = None
    spread: float = 0.0

    def __post_init__(self) -> None:
        if self.events is not None and self.events not in get_args(Events):
            raise ValueError('events must be "push", "pull", "both" or None')
        if self.pulls and not self.topic:
            raise ValueError(f'events="{self.events}" needs the topic on which Secret Manager announces changes')
        if not 0 <= self.spread <= _SPREAD_MOST:
            raise ValueError(f"spread must be from 0 to {_SPREAD_MOST:g} seconds")

    @property
    def pulls(self) -> bool:
        """Whether the instance has a subscription of its own."""
        return self.events in {"pull", "both"}

    def fleet(
        self,
        cache: Follower,
        *,
        whose: Instance,
        concerns: Callable[[SecretName], bool],
        tell: Callable[[SecretName, Knowledge], None],
        call: Callable[[float], None],
        clock: Callable[[], float],
        wall: Callable[[], int],
        jitter: Callable[[], float],
    ) -> "Fleet":
        """Make this process's part in the fleet; nothing begins before its `start`.

        Args:
            cache: follows the events.
            whose: the instance.
            concerns: whether an event of a secret is this service's business.
            tell: takes in what an event says of a secret, without acting on it; memory only.
            call: calls all workers of the container to a wake check.
            clock: monotonic seconds.
            wall: nanoseconds since the epoch.
            jitter: a number between 0 and 1 at each call.

        Raises:
            ConfigurationError: the client for pulling is not installed.
        """
        if not _is_installed():
            raise ConfigurationError(f'events="{self.events}" needs google-cloud-pubsub: install keyturn[pull]')
        from .fleet.inbox import Inbox
        from .fleet.member import Fleet
        from .fleet.subscriptions import Subscriptions

        topic = self.topic or ""
        full = topic if "/" in topic else f"projects/{self.project}/topics/{topic}"
        inbox = Inbox(
            Intake(cache, path="pull", wall=wall),
            voice=cache.voice,
            concerns=concerns,
            tell=tell,
            spread=self.spread,
            clock=clock,
            jitter=jitter,
        )
        return Fleet(
            Subscriptions(full, project=self.project, spread=self.spread, clock=clock, jitter=jitter),
            inbox,
            whose=whose,
            voice=cache.voice,
            alone=self.events == "pull",
            call=call,
            clock=clock,
            wall=wall,
            jitter=jitter,
        )


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("google.pubsub_v1") is not None
    except ModuleNotFoundError:  # of `google.cloud`
        return False
