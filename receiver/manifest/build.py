"""From the plain values of a manifest that was checked to what its users see."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from .shape import seconds
from .specs import Reached, Rotation, RotatorSpec, SecretSpec, ServiceSpec


GLOBAL: Final = "global"

#: Where routes are that nobody named: the one of `refresh_blueprint`, and the rotator's.
PUSH_PATH: Final = "/secrets/events"
ROTATOR_PATH: Final = "/rotation/events"
ROTATOR: Final = "keyturn-rotator"
PUSHER: Final = "keyturn-push"

UNTIL_DISABLED: Final = "until_disabled"

#: What Secret Manager does by itself; every other key of a rotation is the rotator's business.
_SCHEDULE: Final = frozenset({"period", "next"})
_DURATIONS: Final = ("period", "grace", "destroy_after")

_Reached = TypeVar("_Reached", bound=Reached)


def built(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Manifest`."""
    location, number = plain["location"], plain.get("project_number")
    services = {
        name: _reached(ServiceSpec, name, fields, number, run_service=name, path=PUSH_PATH)
        for name, fields in plain["services"].items()
    }
    rotator = plain.get("rotator")
    return {
        "project": plain["project"],
        "project_number": number,
        "topic": plain["topic"],
        "location": "" if location == GLOBAL else location,
        "pusher": f"{plain.get('pusher', PUSHER)}@{plain['project']}.iam.gserviceaccount.com",
        "services": services,
        "rotator": rotator
        and _reached(RotatorSpec, "rotator", rotator, number, run_service=ROTATOR, path=ROTATOR_PATH),
        "secrets": {name: _secret(name, fields, location, services) for name, fields in plain["secrets"].items()},
    }


def _reached(
    kind: type[_Reached], name: str, fields: Mapping[str, Any], number: int | None, *, run_service: str, path: str
) -> _Reached:
    made = {"name": name, **fields}
    on_cloud_run = made.get("platform") == "cloud-run"
    if on_cloud_run:
        made.setdefault("run_service", run_service)
    if made.get("events") == "pull":
        made |= {"push_endpoint": None, "audience": None}
        return kind(**made)
    if "push_endpoint" not in made and on_cloud_run and number is not None:
        # Cloud Run's address of a service that says its project [cloud.google.com/run/docs/triggering/https-request].
        made["push_endpoint"] = f"https://{made['run_service']}-{number}.{made['location']}.run.app{path}"
    endpoint = made.get("push_endpoint")
    if endpoint is not None:
        # Cloud Run's own check compares the audience with the service's address, without a path.
        made.setdefault("audience", _host(endpoint) if on_cloud_run else endpoint)
    return kind(**made)


def _host(endpoint: str) -> str:
    found = re.match("https?://[^/]+", endpoint)
    assert found is not None  # noqa: S101  # the shape's pattern
    return found[0]


def _secret(name: str, fields: Mapping[str, Any], default: str, services: Mapping[str, Any]) -> SecretSpec:
    made = dict(fields)
    location = made.pop("location", GLOBAL if made.get("existing") else default)
    rotation = made.pop("rotation", None)
    overlap = made.pop("overlap", None)
    users = made.pop("used_by")
    return SecretSpec(
        name,
        tuple(services) if users == "all" else tuple(users),
        location="" if location == GLOBAL else location,
        overlap=seconds(overlap) if overlap not in (None, UNTIL_DISABLED) else overlap,
        rotation=None if rotation is None else _rotation(rotation),
        **made,
    )


def _rotation(fields: Mapping[str, Any]) -> Rotation:
    made = dict(fields)
    for name in _DURATIONS:
        if name in made:
            made[name] = seconds(made[name])
    for name in ("uses", "windows"):
        made[name] = tuple(made.get(name, ()))
    return Rotation(**made, served=bool(fields.keys() - _SCHEDULE))
