"""Every RPC of the Secret Manager in one table: what it takes, what it needs, how it is counted, logged and spelt.

One row serves gRPC, REST, quotas, IAM and the audit log. The official client's package has the messages and not the
service, so the rows are written out.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from google.cloud.location import locations_pb2  # type: ignore[import-untyped]
from google.cloud.secretmanager_v1.types import service
from google.iam.v1 import iam_policy_pb2  # type: ignore[import-untyped]


NAME = "google.cloud.secretmanager.v1.SecretManagerService"
LOCATIONS = "google.cloud.location.Locations"


class Log(Enum):
    """Which audit log a call goes to [documented]: Admin Activity is always on, the other two are Data Access."""

    ADMIN_WRITE = "ADMIN_WRITE"
    ADMIN_READ = "ADMIN_READ"
    DATA_READ = "DATA_READ"


class Quota(Enum):
    """Which quota a call counts against [documented]."""

    ACCESS = "access"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC.

    Args:
        service: full name of the service.
        name: name of the method.
        request: protobuf class of the request.
        permission: what a caller must be granted [documented]; "" where nothing is needed.
        log: where it is logged.
        quota: what it counts against.
        verb: of HTTP.
        path: the URL after `/v1/`: `{field=P}` of a project or location, `{field=S}` of a secret, `{field=V}` of a
            version.
        body: the field that the body is, "*" for the whole request, "" for none.
    """

    service: str
    name: str
    request: Any
    permission: str
    log: Log
    quota: Quota
    verb: str
    path: str
    body: str = ""

    @property
    def full_name(self) -> str:
        """The name as audit entries tell it."""
        return f"{self.service}.{self.name}"

    @property
    def field(self) -> str:
        """The field of the request that names the resource."""
        return self.path[1 : self.path.index("=")]

    def resource(self, request: Any) -> str:
        """The resource that a request is about, as the caller spelt it."""
        value = request
        for name in self.field.split("."):
            value = getattr(value, name)
        return str(value)


# Where a call is logged and what it counts against.
_Kind = tuple[Log, Quota]
_WRITE, _READ, _ACCESS = (Log.ADMIN_WRITE, Quota.WRITE), (Log.ADMIN_READ, Quota.READ), (Log.DATA_READ, Quota.ACCESS)


def _rpc(name: str, permission: str, kind: _Kind, url: str, body: str = "") -> Rpc:
    return _made(NAME, name, getattr(service, f"{name}Request").pb(), (permission, *kind), (url, body))


def _iam(name: str, permission: str, kind: _Kind, url: str, body: str = "") -> Rpc:
    return _made(NAME, name, getattr(iam_policy_pb2, f"{name}Request"), (permission, *kind), (url, body))


def _place(name: str, permission: str, url: str) -> Rpc:
    return _made(LOCATIONS, name, getattr(locations_pb2, f"{name}Request"), (permission, *_READ), (url, ""))


def _made(service_name: str, name: str, request: Any, needs: tuple[str, Log, Quota], spelt: tuple[str, str]) -> Rpc:
    permission, log, quota = needs
    verb, _, path = spelt[0].partition(" ")
    return Rpc(
        service=service_name,
        name=name,
        request=request,
        permission=permission and f"secretmanager.{permission}",
        log=log,
        quota=quota,
        verb=verb,
        path=path,
        body=spelt[1],
    )


RPCS = {
    rpc.name: rpc
    for rpc in (
        _rpc("CreateSecret", "secrets.create", _WRITE, "POST {parent=P}/secrets", "secret"),
        _rpc("GetSecret", "secrets.get", _READ, "GET {name=S}"),
        _rpc("ListSecrets", "secrets.list", _READ, "GET {parent=P}/secrets"),
        _rpc("UpdateSecret", "secrets.update", _WRITE, "PATCH {secret.name=S}", "secret"),
        _rpc("DeleteSecret", "secrets.delete", _WRITE, "DELETE {name=S}"),
        _rpc("AddSecretVersion", "versions.add", _WRITE, "POST {parent=S}:addVersion", "*"),
        _rpc("GetSecretVersion", "versions.get", _READ, "GET {name=V}"),
        _rpc("AccessSecretVersion", "versions.access", _ACCESS, "GET {name=V}:access"),
        _rpc("ListSecretVersions", "versions.list", _READ, "GET {parent=S}/versions"),
        _rpc("EnableSecretVersion", "versions.enable", _WRITE, "POST {name=V}:enable", "*"),
        _rpc("DisableSecretVersion", "versions.disable", _WRITE, "POST {name=V}:disable", "*"),
        _rpc("DestroySecretVersion", "versions.destroy", _WRITE, "POST {name=V}:destroy", "*"),
        _iam("SetIamPolicy", "secrets.setIamPolicy", _WRITE, "POST {resource=S}:setIamPolicy", "*"),
        _iam("GetIamPolicy", "secrets.getIamPolicy", _READ, "GET {resource=S}:getIamPolicy"),
        _iam("TestIamPermissions", "", _READ, "POST {resource=S}:testIamPermissions", "*"),
        # The permissions of these two are [assumed].
        _rpc(
            "EnableManagedRotation",
            "secrets.enableManagedRotation",
            _WRITE,
            "POST {parent=S}:enableManagedRotation",
            "*",
        ),
        _rpc("RotateSecret", "secrets.rotate", _WRITE, "POST {parent=S}:rotateSecret", "*"),
        _place("ListLocations", "locations.list", "GET {name=P}/locations"),
        _place("GetLocation", "locations.get", "GET {name=P}"),
    )
}
