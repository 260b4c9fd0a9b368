"""One audit entry: a LogEntry with an AuditLog inside, in the shape of real ones.

The members and their nesting are [seen in production by a third party]; `severity` of Data Access and of refusals,
`status`, and what of a request is left out are [assumed].
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from .clocks import utc
from .names import project_number
from .rpc import Refusal
from .secret_callers import SecretCaller
from .secret_rpcs import Log, Rpc


ACTIVITY = "cloudaudit.googleapis.com%2Factivity"
DATA_ACCESS = "cloudaudit.googleapis.com%2Fdata_access"

_SERVICE = "secretmanager.googleapis.com"

# What holds a value, or a password that will be one: never in an entry.
_VALUES = frozenset({"payload", "password"})


@dataclass(frozen=True, slots=True)
class Called:
    """A call and how it ended.

    Args:
        rpc: what was called.
        request: as it came.
        resource: what it was about, as the caller spelt it.
        caller: who called.
        response: the answer, None where it was refused.
        refusal: None where it was answered.
        granted: whether the caller was permitted.
    """

    rpc: Rpc
    request: Any
    resource: str
    caller: SecretCaller
    response: Any = None
    refusal: Refusal | None = None
    granted: bool = True


def entry(called: Called, *, number: int, at: float, project: str = "") -> dict[str, Any]:
    """The entry of a call, as JSON has it.

    Args:
        called: the call.
        number: tells this entry from the others of that time.
        at: when it was answered.
        project: an id; where the call spelt this project by its number, the log and the resource show the id, as they
            do in production.
    """
    rpc, refusal = called.rpc, called.refusal
    write = rpc.log is Log.ADMIN_WRITE
    shown = shown_project(called.resource, project)
    moment = utc(at).isoformat().replace("+00:00", "Z")
    severity = "NOTICE" if write else "INFO"
    return {
        "insertId": hashlib.sha256(f"{number} {at}".encode()).hexdigest()[:14],
        "logName": f"projects/{shown}/logs/{ACTIVITY if write else DATA_ACCESS}",
        "protoPayload": _payload(called, moment),
        "receiveTimestamp": moment,
        "resource": {
            "labels": {"method": rpc.full_name, "project_id": shown, "service": _SERVICE},
            "type": "audited_resource",
        },
        "severity": severity if refusal is None else "ERROR",
        "timestamp": moment,
    }


def shown_project(resource: str, project: str) -> str:
    """The project by which a log names a resource's: its id where that is `project`, else as the resource spells it."""
    spelt = _part(resource, "projects")
    return project if spelt and project_number(project) == spelt else spelt


def _payload(called: Called, moment: str) -> dict[str, Any]:
    rpc, caller, refusal = called.rpc, called.caller, called.refusal
    payload: dict[str, Any] = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "authenticationInfo": {"principalEmail": caller.email, "principalSubject": caller.identity},
        "authorizationInfo": [
            {
                "granted": called.granted,
                "permission": rpc.permission,
                "permissionType": rpc.log.value,
                "resource": called.resource,
                "resourceAttributes": {"name": called.resource, "service": _SERVICE, "type": _kind(called.resource)},
            }
        ],
        "methodName": rpc.full_name,
        "request": _told(called.request),
        "requestMetadata": {
            "callerIp": caller.ip,
            "callerSuppliedUserAgent": caller.user_agent,
            "destinationAttributes": {},
            "requestAttributes": {"auth": {}, "time": moment},
        },
        # What was asked for, `latest` for instance, and not what was served.
        "resourceName": called.resource,
        "serviceName": _SERVICE,
    }
    if not caller.identity:
        payload["authenticationInfo"] = {}
    if not rpc.permission:
        payload["authorizationInfo"] = []
    if refusal is not None:
        payload["status"] = {"code": refusal.code.value[0], "message": refusal.message}
    elif rpc.log is Log.ADMIN_WRITE:
        payload["response"] = _told(called.response)
    return payload


def _told(message: Any) -> dict[str, Any]:
    fields = json_format.MessageToDict(message)
    return {"@type": f"type.googleapis.com/{message.DESCRIPTOR.full_name}", **_without_values(fields)}


def _without_values(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_values(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if name not in _VALUES
    }


def _part(resource: str, kind: str) -> str:
    parts = resource.split("/")
    return parts[parts.index(kind) + 1] if kind in parts[:-1] else ""


def _kind(resource: str) -> str:
    if "/versions/" in resource:
        return f"{_SERVICE}/SecretVersion"
    if "/secrets/" in resource:
        return f"{_SERVICE}/Secret"
    return "cloudresourcemanager.googleapis.com/Project"
