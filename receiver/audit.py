"""Secret Manager's audit log: from a LogEntry to the event that it tells of. Pure: values in, values out.

Eventarc sends these entries as CloudEvents. Whoever changes a secret leaves one [docs.cloud.google.com/secret-manager/
docs/audit-logging, ADMIN_WRITE], also where the secret has no topic. There is no contract for what an entry shows of
the change: the response may be left out, and then an entry says of an added version that there is one, but not which.
Such an event is answered by climbing.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from .errors import UnreadablePush
from .events import EventType, SecretEvent, cut
from .names import SecretName, VersionName
from .reading import alias_map, an_object, nanoseconds


#: Of global and regional secrets alike; the resource's name says which it is.
_SERVICE: Final = "secretmanager.googleapis.com"

#: By the last part of the method's name, which stands behind the API's version.
_CHANGES: Final[Mapping[str, EventType]] = {
    "AddSecretVersion": EventType.ADD,
    "EnableSecretVersion": EventType.ENABLE,
    "DisableSecretVersion": EventType.DISABLE,
    "DestroySecretVersion": EventType.DESTROY,
    "CreateSecret": EventType.CREATE,
    "UpdateSecret": EventType.UPDATE,
    "DeleteSecret": EventType.DELETE,
}
_OF_A_VERSION: Final = frozenset({EventType.ADD, EventType.ENABLE, EventType.DISABLE, EventType.DESTROY})

#: What the events are called that change nothing.
NO_CHANGE: Final = "AUDIT_OF_NO_CHANGE"
FAILED: Final = "AUDIT_OF_A_FAILURE"

#: How Cloud Logging writes its ids; one of another form is not repeated in the log.
_INSERT_ID = re.compile(r"-?[a-z0-9]{1,32}")


def decode_audit(entry: object, *, received: int) -> SecretEvent:
    """Read an audit log entry.

    Args:
        entry: a LogEntry as JSON.
        received: wall time in nanoseconds, used where Cloud Logging did not say when it received the entry.

    Raises:
        UnreadablePush: it is not an entry of Secret Manager's; the message repeats nothing of it.
    """
    logged = an_object(entry, "audit entry")
    call = an_object(logged.get("protoPayload"), "protoPayload")
    if call.get("serviceName") != _SERVICE:
        raise UnreadablePush("an audit entry of another service than Secret Manager")
    insert_id = _insert_id(logged)
    published = _time(logged.get("receiveTimestamp"), received)
    change = _CHANGES.get(str(call.get("methodName")).rpartition(".")[2])
    if change is None:
        return SecretEvent(NO_CHANGE, insert_id, published)
    if _failed(call):
        return SecretEvent(FAILED, insert_id, published)
    shown = [_shown(call, "response"), _shown(call, "request")]
    secret, number = _named([shown[0].get("name"), call.get("resourceName"), shown[1].get("name")])
    response = shown[0]
    aliases = alias_map(response) if change is EventType.UPDATE and "versionAliases" in response else None
    if (change in _OF_A_VERSION and number is None) or (change is EventType.UPDATE and aliases is None):
        return SecretEvent(change, insert_id, published, secret=secret, climb=True)
    stamp, from_future = cut(_when(logged, response, change), published=published)
    return SecretEvent(
        _exactly(change, response),
        insert_id,
        published,
        secret=secret,
        number=number if change in _OF_A_VERSION else None,
        stamp=stamp,
        aliases=aliases,
        from_future=from_future,
    )


def _when(logged: Mapping[str, Any], response: Mapping[str, Any], change: EventType) -> int:
    # What was created says when, and a notification of the same change carries the same time; an entry's own time is
    # that of the call.
    logged_at = nanoseconds(logged.get("timestamp"))
    return _time(response.get("createTime"), logged_at) if change in {EventType.ADD, EventType.CREATE} else logged_at


def _exactly(change: EventType, response: Mapping[str, Any]) -> EventType:
    # With a destroy delay the call merely disables, which can be taken back; only the response tells the two apart.
    if change is EventType.DESTROY and response.get("state") != "DESTROYED":
        return EventType.DESTROY_SCHEDULED
    return change


def _named(names: Iterable[object]) -> tuple[SecretName, int | None]:
    """The secret that all names are about, and the version's number where one of them says it.

    The response comes first: it carries the project's number, while a request is logged as it was spelt.

    Raises:
        UnreadablePush: there is no secret, or there are several.
    """
    secrets: list[SecretName] = []
    versions: list[VersionName] = []
    for name in names:
        if not isinstance(name, str):
            continue
        with suppress(ValueError):
            secrets.append(SecretName.parse(name.partition("/versions/")[0]))
        with suppress(ValueError):
            versions.append(VersionName.parse(name))
    if len({(secret.location, secret.secret) for secret in secrets}) != 1:
        raise UnreadablePush("an audit entry of a change that names no secret, or several")
    return (versions[0].secret, versions[0].number) if versions else (secrets[0], None)


def _failed(call: Mapping[str, Any]) -> bool:
    """Whether the call was refused: an entry is written of such a call too."""
    status = call.get("status")
    return status is not None and an_object(status, "status").get("code", 0) != 0


def _shown(call: Mapping[str, Any], part: str) -> dict[str, Any]:
    value = call.get(part)
    return value if isinstance(value, dict) else {}


def _time(timestamp: object, otherwise: int) -> int:
    try:
        return nanoseconds(timestamp)
    except UnreadablePush:
        return otherwise


def _insert_id(logged: Mapping[str, Any]) -> str:
    insert_id = logged.get("insertId")
    return insert_id if isinstance(insert_id, str) and _INSERT_ID.fullmatch(insert_id) else ""
