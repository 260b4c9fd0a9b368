"""The adapter to Google's Secret Manager, through the official client."""

import os
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from receiver import SecretName

from .vault import Absent, Conflict, Described, DescribedVersion, Unusable, VaultError


if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

_T = TypeVar("_T")

#: Seconds of a call with all its repetitions. Google's own retries would take a minute [facts: 2.3].
TIMEOUT: Final = 10.0
_FIRST_PAUSE: Final = 0.1

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


class GoogleVault:
    """Secret Manager. Thread-safe.

    Args:
        clients: returns an official client for a location ("" for global).
        timeout: seconds of a call, with its repetitions after an outage or a quota.
        clock: monotonic seconds.
        sleep: waits between repetitions.
    """

    def __init__(
        self,
        clients: "Callable[[str], SecretManagerServiceClient]",
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clients = clients
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep

    def describe(self, secret: SecretName) -> Described:
        """See `Vault.describe`."""
        return _described(self._call(secret, lambda client, how: client.get_secret(name=secret.path, **how)))

    def annotate(self, secret: SecretName, annotations: Mapping[str, str], *, etag: str) -> str:
        """See `Vault.annotate`."""
        from google.cloud.secretmanager_v1 import Secret
        from google.protobuf.field_mask_pb2 import FieldMask

        changed = Secret(name=secret.path, annotations=dict(annotations), etag=etag)
        only = FieldMask(paths=["annotations"])
        # Once only: whether an attempt that got no answer was the one that moved the etag cannot be told.
        answer = self._call(
            secret,
            lambda client, how: client.update_secret(secret=changed, update_mask=only, **how),
            again=_quota_only,
            conflicts=True,
        )
        return str(answer.etag)

    def create(self, secret: SecretName, *, labels: Mapping[str, str]) -> None:
        """See `Vault.create`."""
        from google.api_core import exceptions
        from google.cloud.secretmanager_v1 import Replication, Secret

        body = Secret(labels=dict(labels))
        if not secret.location:
            body.replication = Replication(automatic=Replication.Automatic())
        parent = secret.path.rpartition("/secrets/")[0]
        self._call(
            secret,
            lambda client, how: client.create_secret(parent=parent, secret_id=secret.secret, secret=body, **how),
            fine=exceptions.AlreadyExists,
        )

    def add(self, secret: SecretName, value: bytes) -> int:
        """See `Vault.add`."""
        import google_crc32c
        from google.cloud.secretmanager_v1 import SecretPayload

        payload = SecretPayload(data=value, data_crc32c=google_crc32c.value(value))
        # Once only where no answer came: a repetition would be a second version.
        answer = self._call(
            secret,
            lambda client, how: client.add_secret_version(parent=secret.path, payload=payload, **how),
            again=_quota_only,
        )
        return _number(answer.name)

    def access(self, secret: SecretName, version: int | str) -> tuple[int, bytes]:
        """See `Vault.access`."""
        import google_crc32c

        answer = self._call(
            secret,
            lambda client, how: client.access_secret_version(name=f"{secret.path}/versions/{version}", **how),
            what=f"{secret}/versions/{version}",
        )
        if google_crc32c.value(answer.payload.data) != answer.payload.data_crc32c:
            raise VaultError(f"{secret}/versions/{version}: the checksum does not fit the payload", transient=True)
        return _number(answer.name), bytes(answer.payload.data)

    def versions(self, secret: SecretName) -> list[DescribedVersion]:
        """See `Vault.versions`."""
        listed = self._call(secret, lambda client, how: list(client.list_secret_versions(parent=secret.path, **how)))
        found = [
            DescribedVersion(
                number=_number(version.name),
                enabled=version.state.name == "ENABLED",
                destroyed=version.state.name == "DESTROYED",
                created=version.create_time.timestamp(),
            )
            for version in listed
        ]
        return sorted(found, key=lambda version: version.number, reverse=True)

    def disable(self, secret: SecretName, number: int) -> None:
        """See `Vault.disable`."""
        name = f"{secret.path}/versions/{number}"
        try:
            self._call(secret, lambda client, how: client.disable_secret_version(name=name, **how), what=name)
        except Unusable:
            return

    def enable(self, secret: SecretName, number: int) -> None:
        """See `Vault.enable`."""
        name = f"{secret.path}/versions/{number}"
        self._call(secret, lambda client, how: client.enable_secret_version(name=name, **how), what=name)

    def destroy(self, secret: SecretName, number: int) -> None:
        """See `Vault.destroy`."""
        name = f"{secret.path}/versions/{number}"
        try:
            self._call(secret, lambda client, how: client.destroy_secret_version(name=name, **how), what=name)
        except Unusable:
            return

    def _call(
        self,
        secret: SecretName,
        call: "Callable[[SecretManagerServiceClient, dict[str, Any]], _T]",
        *,
        what: str = "",
        again: "Callable[[Exception], bool] | None" = None,
        fine: type[Exception] | None = None,
        conflicts: bool = False,
    ) -> Any:
        from google.api_core import exceptions

        deadline = self._clock() + self._timeout
        pause = _FIRST_PAUSE
        while True:
            how = {"retry": None, "timeout": max(0.05, deadline - self._clock())}
            try:
                return call(self._clients(secret.location), how)
            except exceptions.GoogleAPICallError as exc:
                if fine is not None and isinstance(exc, fine):
                    return None
                wait = pause * random.uniform(0.5, 1.0)  # noqa: S311  # spreads retries, guards nothing
                if not (again or _passing)(exc) or self._clock() + wait >= deadline:
                    raise _told(what or secret.path, exc, conflicts=conflicts) from None
            self._sleep(wait)
            pause = min(2.0, pause * 2)


def from_environment() -> "Callable[[str], SecretManagerServiceClient]":
    """Clients of Google's Secret Manager, or of the local one that SECRET_MANAGER_EMULATOR_HOST names.

    Each is made at its first use, and kept.
    """
    made: dict[str, SecretManagerServiceClient] = {}

    def client(location: str) -> "SecretManagerServiceClient":
        if location not in made:
            made[location] = _connect(location)
        return made[location]

    return client


def _connect(location: str) -> "SecretManagerServiceClient":
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

    emulator = os.environ.get("SECRET_MANAGER_EMULATOR_HOST", "")
    if emulator:
        import grpc
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
            SecretManagerServiceGrpcTransport,
        )

        if emulator.rpartition(":")[0] not in _LOOPBACK:
            raise VaultError(
                "SECRET_MANAGER_EMULATOR_HOST must be a loopback address with a port: nothing encrypts what goes there"
            )
        channel = grpc.insecure_channel(emulator)
        return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
    options = {"api_endpoint": f"secretmanager.{location}.rep.googleapis.com"} if location else None
    return SecretManagerServiceClient(client_options=options)


def _passing(exc: Exception) -> bool:
    from google.api_core import exceptions

    return isinstance(exc, exceptions.ServiceUnavailable | exceptions.ResourceExhausted)


def _quota_only(exc: Exception) -> bool:
    from google.api_core import exceptions

    return isinstance(exc, exceptions.ResourceExhausted)


def _told(what: str, exc: Any, *, conflicts: bool) -> VaultError:
    """Say what failed without repeating Google's words, which may hold what was sent.

    Of a refused update only the code is documented for an etag that is not current [docs/etags], so it is told by that.
    """
    from google.api_core import exceptions

    words = str(exc)
    match exc:
        case exceptions.NotFound():
            return Absent(f"{what} does not exist")
        case exceptions.BadRequest() if " is in DESTROYED state" in words:
            return Unusable(f"{what} is destroyed", destroyed=True)
        case exceptions.BadRequest() if " is in DISABLED state" in words:
            return Unusable(f"{what} is disabled", destroyed=False)
        case exceptions.FailedPrecondition() if conflicts:
            return Conflict(f"{what} was changed by somebody else meanwhile")
        case exceptions.Forbidden() | exceptions.Unauthorized():
            return VaultError(f"{what}: permission denied; see the rotator's rights in terraform/README.md")
        case _:
            transient = isinstance(exc, exceptions.ServerError | exceptions.ResourceExhausted)
            return VaultError(f"{what}: {type(exc).__name__} ({exc.code})", transient=transient)


def _described(answer: Any) -> Described:
    scheduled = "rotation" in answer and "next_rotation_time" in answer.rotation
    return Described(
        etag=answer.etag,
        annotations=dict(answer.annotations),
        topics=tuple(topic.name for topic in answer.topics),
        next_rotation=answer.rotation.next_rotation_time.timestamp() if scheduled else None,
        period=answer.rotation.rotation_period.total_seconds() if "rotation" in answer else 0.0,
        managed=_is_managed(answer),
        aliases=dict(answer.version_aliases),
    )


def _is_managed(answer: Any) -> bool:
    """Whether Google rotates it; clients before 2.28 do not know of that."""
    if "managed_rotation_status" not in type(answer.rotation).meta.fields:
        return False
    return bool(answer.rotation.managed_rotation_status.state.name == "ACTIVE")


def _number(name: str) -> int:
    return int(name.rpartition("/")[2])
