"""What is wrong between parts of a manifest that are each right."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from ..values import looks_like_a_signing_key
from .checking import Checker
from .shape import seconds


#: Seconds: what Secret Manager takes as a period [docs.cloud.google.com/secret-manager, "Rotation schedules"].
_SHORTEST: Final = 3600
_LONGEST: Final = 3_153_600_000

#: A rotator makes its candidates in a secret of this name.
CANDIDATE: Final = "-candidate"

_Said = Iterator[tuple[str, ...]]


def relate(plain: Mapping[str, Any], checker: Checker) -> None:
    """Note with the checker what does not fit together."""
    for name, service in plain["services"].items():
        if service.get("events", "push") != "pull":
            _say(checker, _of_address(name, service, plain), "services", name)
        _say(checker, _of_platform(name, service), "services", name)
    if "rotator" in plain:
        _say(checker, _of_address("the rotator", plain["rotator"], plain), "rotator")
        _say(checker, _of_platform("the rotator", plain["rotator"]), "rotator")
    for name, secret in plain["secrets"].items():
        _say(checker, _of_users(name, secret, plain), "secrets", name)
        _say(checker, _of_mode(name, secret), "secrets", name)
        if "rotation" in secret:
            _say(checker, _of_schedule(secret["rotation"]), "secrets", name, "rotation")
            _say(checker, _of_rotator(name, secret, plain), "secrets", name, "rotation")


def _say(checker: Checker, said: _Said, *path: str) -> None:
    """Note texts, each with the keys below `path` at which it stands."""
    for text, *below in said:
        checker.say(text, *path, *below)


def _of_address(name: str, service: Mapping[str, Any], plain: Mapping[str, Any]) -> _Said:
    if "push_endpoint" in service:
        return
    if service.get("platform") == "cloud-run":
        if "project_number" not in plain:
            yield (f"{name} has no push_endpoint, and without project_number its address on Cloud Run is not known",)
    else:
        instead = "" if name == "the rotator" else " (or events: pull)"
        yield (f"{name} hears by push, so it needs a push_endpoint{instead}",)


def _of_platform(name: str, service: Mapping[str, Any]) -> _Said:
    if service.get("platform") == "cloud-run":
        if "location" not in service:
            yield (f"{name} runs on Cloud Run, so its location is needed",)
    elif "run_service" in service:
        yield "run_service is for what runs on Cloud Run: platform: cloud-run", "run_service"
    if service.get("events") == "pull":
        for key in ("push_endpoint", "audience"):
            if key in service:
                yield f"{name} hears by pull alone, so nothing is pushed to it", key


def _of_users(name: str, secret: Mapping[str, Any], plain: Mapping[str, Any]) -> _Said:
    users = secret["used_by"]
    if users == "all":
        return
    for place, service in enumerate(users):
        if service not in plain["services"]:
            yield f"there is no service {service!r} in this manifest", "used_by", str(place)
    used = any(name in other.get("rotation", {}).get("uses", ()) for other in plain["secrets"].values())
    if not users and not used and "note" not in secret:
        yield f"nobody uses {name}: name its services, or say in a note why it stands here", "used_by"


def _of_mode(name: str, secret: Mapping[str, Any]) -> _Said:
    mode = secret.get("mode", "hot")
    if mode == "static" and "because" not in secret:
        yield (f"{name} is static; say because of what",)
    if mode == "static" and "fallback" in secret:
        yield f"{name} is static, so what stands in could never be replaced", "fallback"
    if mode == "static" and "overlap" in secret:
        yield f"{name} is static, so there is no version before to accept", "overlap"
    if mode == "hot" and looks_like_a_signing_key(name) and not {"because", "overlap"} <= secret.keys():
        what = f"{name} looks like a private or signing key"
        yield (f"{what}: mode: static, or say because of what it may change, and its overlap with the one before",)


def _of_schedule(rotation: Mapping[str, Any]) -> _Said:
    if not rotation:
        yield ("rotation says nothing: give a period or a rotator, or remove the key",)
    if "period" in rotation and not _SHORTEST <= seconds(rotation["period"]) <= _LONGEST:
        yield "Secret Manager takes rotation periods of an hour to a hundred years", "period"
    if "next" in rotation:
        if "period" not in rotation:
            yield "next needs a period", "next"
        if not _is_a_time(rotation["next"]):
            yield "there is no such day or time", "next"


def _of_rotator(name: str, secret: Mapping[str, Any], plain: Mapping[str, Any]) -> _Said:
    rotation = secret["rotation"]
    if rotation.keys() - {"period", "next"} and "rotator" not in plain:
        yield (f"{name} needs the rotator: say under `rotator` at the top which service account it runs as",)
    for place, used in enumerate(rotation.get("uses", ())):
        if used not in plain["secrets"]:
            yield f"there is no secret {used!r} in this manifest", "uses", str(place)
    if "rotator" not in rotation:
        for key in ("settings", "uses", "windows"):
            if key in rotation:
                yield f"{key} is for a rotator, and none is named here", key
        return
    if secret.get("mode") == "static":
        yield f"{name} is static, so no running service would follow its rotator", "rotator"
    if isinstance(secret.get("pin"), int):
        yield f"{name} is pinned to a number, so no service would follow its rotator", "rotator"
    if name + CANDIDATE in plain["secrets"]:
        yield f"the rotator makes its candidates in {name}{CANDIDATE}, which stands in this manifest", "rotator"


def _is_a_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
