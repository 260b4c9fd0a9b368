"""What a manifest says, with everything that it leaves out filled in: durations in seconds, addresses, locations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..values import Type


Platform = Literal["cloud-run", "gke", "vm", "other"]


@dataclass(frozen=True, slots=True)
class Reached:
    """Where something runs, as whom, and where Pub/Sub reaches it.

    Args:
        name: of the service; "rotator" for the rotator.
        service_account: the account that it runs as.
        platform: where it runs.
        location: the region of a Cloud Run service.
        run_service: the name of a Cloud Run service.
        push_endpoint: the address that Pub/Sub pushes to; None where nothing is pushed.
        audience: of the push token; None likewise.
    """

    name: str
    service_account: str
    platform: Platform = "other"
    location: str | None = None
    run_service: str | None = None
    push_endpoint: str | None = None
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceSpec(Reached):
    """One service.

    Args:
        events: how it hears of changes.
        instances: how many instances of it run, where that is fixed.
    """

    events: Literal["push", "pull", "both"] = "push"
    instances: int | None = None


@dataclass(frozen=True, slots=True)
class RotatorSpec(Reached):
    """The service that rotates.

    Args:
        at_once: how many rotations may be under way.
        paused: whether it begins none for now.
    """

    at_once: int = 1
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a secret is due for a new version, what makes it, and what becomes of the old one.

    Args:
        period: seconds between two versions; None where nothing is scheduled.
        next: the first time that it is due, RFC 3339 in UTC.
        rotator: the name of what makes the new version; None where people do.
        settings: of the rotator.
        uses: the ids of the secrets that the rotator reads.
        windows: when it may begin, such as "Mon-Fri 02:00-05:00", in UTC; empty for always.
        retire: whether the old version is ended without being asked.
        grace: seconds that the old version stays enabled at least; None for the rotator's own measure.
        destroy_after: seconds that the old version stays disabled; None for ever.
        served: whether the rotator has anything to do with this secret.
    """

    period: int | None = None
    next: str | None = None
    rotator: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    retire: bool = True
    grace: int | None = None
    destroy_after: int | None = None
    served: bool = False


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """One secret; the fields are those of the file, `overlap` in seconds, `location` "" for global."""

    name: str
    used_by: tuple[str, ...]
    location: str = ""
    mode: Literal["hot", "static"] = "hot"
    because: str | None = None
    type: Type = "text"
    pin: str | int = "latest"
    existing: bool = False
    on_revoked: Literal["keep", "raise"] = "keep"
    fallback: Literal["environment"] | None = None
    overlap: int | Literal["until_disabled"] | None = None
    rotation: Rotation | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None
