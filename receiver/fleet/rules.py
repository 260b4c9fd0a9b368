"""What the fleet decides: names and labels, which seat to take, when to sweep, and what an orphan is. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..knowledge import CONSISTENCY_WINDOW, SECOND


#: Seconds: a subscription that nobody pulls expires after a day, the least that Pub/Sub takes
#: [cloud.google.com/pubsub/docs/subscription-properties, "Expiration period"].
EXPIRES: Final = 86_400
#: Seconds between two deliveries of a message that could not be applied: without a policy it comes at once, in a loop.
BACKOFF: Final = (1, 60)
#: Seconds that a message is leased for; the client lengthens it while the message is being applied.
ACK_DEADLINE: Final = 60
#: A new subscription is sought back over this: events of that age still outrank a stale read.
BACK: Final = CONSISTENCY_WINDOW + 60 * SECOND

#: Seconds between two marks of life on a subscription, and without how many of them it is an orphan.
RENEWED: Final = 3600.0
ORPHAN: Final = 3 * RENEWED
#: Seconds after which who wanted to seek a subscription back has done so: retries come once a minute at least.
YOUNG: Final = 600.0
#: How many sweeps an hour a fleet makes, however many instances it has.
SWEEPS: Final = 4

#: Who leads, and who takes over while the leader is stopped: seats, of which the lowest that speaks counts.
SEATS: Final = 3
#: Seconds without a sign after which the holder of a seat counts as stopped.
SILENT: Final = 3.0

SERVICE: Final = "keyturn-service"
INSTANCE: Final = "keyturn-instance"
SEEN: Final = "keyturn-seen"

#: Of a subscription's id and of a label's value [cloud.google.com/pubsub/docs/pubsub-basics, "resource names"].
_LONGEST_ID: Final = 255
_LONGEST_LABEL: Final = 63
_UNNAMED: Final = "unnamed"


@dataclass(frozen=True, slots=True)
class Found:
    """A subscription as a list shows it."""

    name: str
    topic: str
    labels: Mapping[str, str]


def subscription_id(service: str, instance: str, token: str, *, seat: int) -> str:
    """Name the subscription of an instance.

    Args:
        service: the service's name.
        instance: what its platform calls the instance.
        token: what nobody but the container's workers shares: a pod or a Cloud Run instance may have several
            containers, and two that shared a subscription would each hear half.
        seat: a stand-in hears by a subscription of its own, since messages go to the streams of one in turn, and a
            stopped leader's stream is one of them.
    """
    start = f"keyturn-{_slug(service) or _UNNAMED}-{_slug(instance)}"
    end = f"-{token}" + (f"-{seat}" if seat else "")
    return start[: _LONGEST_ID - len(end)] + end


def labels(service: str, instance: str, *, now: int) -> dict[str, str]:
    """Say whose a subscription is and when its instance last said that it lives (`now`, nanoseconds)."""
    return {
        SERVICE: (_slug(service) or _UNNAMED)[:_LONGEST_LABEL],
        INSTANCE: _slug(instance)[:_LONGEST_LABEL],
        SEEN: str(now // SECOND),
    }


def is_orphan(found: Found, *, topic: str, service: str, now: int) -> bool:
    """Whether a subscription is one that a dead instance of this service left on this topic.

    Whoever is mistaken for dead (a sandbox that sleeps for hours) makes a new one and looks for what it missed.

    Args:
        found: the subscription.
        topic: the topic's full name.
        service: the service's name.
        now: nanoseconds since the epoch.
    """
    seen = found.labels.get(SEEN, "")
    return (
        found.topic == topic
        and found.labels.get(SERVICE) == labels(service, "", now=now)[SERVICE]
        and seen.isdecimal()
        and now - int(seen) * SECOND > ORPHAN * SECOND
    )


def is_young(labels: Mapping[str, str], *, now: int) -> bool:
    """Whether a subscription of one's own instance gave its last sign of life, or was made, a short while ago.

    Args:
        labels: the subscription's.
        now: nanoseconds since the epoch.
    """
    seen = labels.get(SEEN, "")
    return not seen.isdecimal() or now - int(seen) * SECOND < YOUNG * SECOND


def next_sweep(alive: int, jitter: float) -> float:
    """In how many seconds an instance sweeps again, so that the whole fleet sweeps about `SWEEPS` times an hour.

    Args:
        alive: how many instances the last sweep saw.
        jitter: from 0 to 1.
    """
    return RENEWED * max(1.0, alive / SWEEPS) * (0.5 + jitter)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
