"""What of a secret a caller may set, and how an update replaces what its mask names."""

from typing import Any

from . import secret_checks as checks
from .clocks import stamp
from .secret_refusals import invalid, not_here


_MAPS = frozenset({"labels", "annotations", "version_aliases"})
_EXPIRY = frozenset({"expire_time", "ttl"})
_ROTATION = frozenset({"rotation", "rotation.next_rotation_time", "rotation.rotation_period"})

# Everything else is output only or immutable [documented].
_UPDATABLE = _MAPS | _EXPIRY | _ROTATION | {"topics", "version_destroy_ttl"}
_NOT_HERE = frozenset({"customer_managed_encryption"})

# Output only, or input only and not shown [documented].
_NOT_KEPT = ("name", "create_time", "etag", "policy_member", "tags")


def check_mask(paths: list[str]) -> None:
    """Check which fields an update names.

    Raises:
        Refusal: INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    if not paths:
        raise invalid("`update_mask` is needed.")
    for path in paths:
        if path in _NOT_HERE:
            raise not_here(path)
        if path not in _UPDATABLE:
            raise invalid(f"The field [{path}] of a secret cannot be updated.")


def settable(given: Any, now: float) -> Any:
    """What is kept of a secret that is to be created; a `ttl` becomes the time it tells [documented]."""
    kept = type(given)()
    kept.CopyFrom(given)
    for field in _NOT_KEPT:
        kept.ClearField(field)
    kept.rotation.ClearField("managed_rotation_status")
    _tidy(kept)
    _time_of_end(kept, now)
    return kept


def replace(secret: Any, given: Any, paths: list[str], now: float) -> None:
    """Replace the fields that the mask names by those given; what is not given is removed.

    Raises:
        Refusal: INVALID_ARGUMENT, a time is not valid.
    """
    for path in paths:
        if path in _MAPS:
            secret.ClearField(path)
            getattr(secret, path).update(getattr(given, path))
        elif path == "topics":
            secret.ClearField(path)
            secret.topics.extend(given.topics)
        elif path in _ROTATION:
            _rotation(secret.rotation, given.rotation, path)
        elif path in _EXPIRY:
            checks.expiry(given, now)
            for field in _EXPIRY:
                secret.ClearField(field)
                _take(secret, given, field)
        else:
            secret.ClearField(path)
            _take(secret, given, path)
    if _ROTATION & set(paths):
        checks.rotation(secret, now)
    _tidy(secret)
    _time_of_end(secret, now)


def _rotation(rotation: Any, given: Any, path: str) -> None:
    named = path.partition(".")[2]
    for field in [named] if named else ["next_rotation_time", "rotation_period"]:
        rotation.ClearField(field)
        _take(rotation, given, field)


def _take(message: Any, given: Any, field: str) -> None:
    if given.HasField(field):
        getattr(message, field).CopyFrom(getattr(given, field))


def _tidy(secret: Any) -> None:
    """A rotation of nothing is no rotation."""
    if not secret.rotation.ListFields():
        secret.ClearField("rotation")


def _time_of_end(secret: Any, now: float) -> None:
    if secret.HasField("ttl"):
        stamp(secret.expire_time, now + secret.ttl.ToSeconds())
