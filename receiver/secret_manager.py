"""The source that is Google Secret Manager, through the official client."""

import ipaddress
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from .errors import AccessFailed, ConfigurationError, SourceError, VersionMissing, VersionRefused
from .names import SecretName, VersionName
from .source import Payload


if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient


EMULATOR_VARIABLE: Final = "SECRET_MANAGER_EMULATOR_HOST"

#: The client's own channel options, and one pool of connections per channel: a subchannel shared with a channel of
#: the parent answers "wrong file descriptor generation" in a forked child.
_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)

_RETRY_FIRST: Final = 0.1
_RETRY_MOST: Final = 1.0


class SecretManagerSource:
    """Read versions with `google-cloud-secret-manager`, one client per location. Thread-safe.

    Nothing is imported, read from the environment or connected before the first access. The variable
    SECRET_MANAGER_EMULATOR_HOST (a loopback address) points it at a local server instead.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, SecretManagerServiceClient] = {}
        # Clients of a parent process: kept, so that nobody closes a channel that is not this process's.
        self._inherited: list[Any] = []

    def access(self, name: SecretName, version: str, *, timeout: float) -> Payload:
        """Read one version; see `SecretSource.access`. The whole of it, retries included, ends within `timeout`."""
        from google.api_core import exceptions
        from google.api_core.retry import Retry, if_exception_type
        from google.auth.exceptions import GoogleAuthError

        # The client retries this method for 60 s whatever `timeout` says, unless it is given a retry that ends.
        retry = Retry(
            predicate=if_exception_type(exceptions.ServiceUnavailable, exceptions.ResourceExhausted),
            initial=_RETRY_FIRST,
            maximum=_RETRY_MOST,
            timeout=timeout,
        )
        failure: SourceError
        try:
            answer = self._client(name.location).access_secret_version(
                name=f"{name.path}/versions/{version}", retry=retry, timeout=timeout
            )
            return _checked(name, version, answer.name, answer.payload.data, answer.payload.data_crc32c)
        except exceptions.RetryError as exc:
            failure = _told(name, version, exc.cause)
        except exceptions.GoogleAPICallError as exc:
            failure = _told(name, version, exc)
        except GoogleAuthError as exc:
            failure = AccessFailed(f"{name}: no usable Google credentials ({type(exc).__name__})", transient=False)
        raise failure

    def after_fork(self) -> None:
        """Forget the parent's clients without touching them: an inherited channel hangs, even when closed."""
        self._lock = threading.Lock()
        self._inherited.append(self._clients)
        self._clients = {}

    def close(self) -> None:
        """Close this process's channels; the next access opens new ones."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.transport.close()  # type: ignore[no-untyped-call]

    def _client(self, location: str) -> "SecretManagerServiceClient":
        with self._lock:
            client = self._clients.get(location)
            if client is None:
                client = self._clients[location] = _connect(location)
            return client


def _connect(location: str) -> "SecretManagerServiceClient":
    import grpc
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcTransport as Transport,
    )

    emulator = os.environ.get(EMULATOR_VARIABLE)
    if emulator:
        _only_loopback(emulator)
        return SecretManagerServiceClient(transport=Transport(channel=grpc.insecure_channel(emulator, _OPTIONS)))
    host = f"secretmanager.{location}.rep.googleapis.com" if location else "secretmanager.googleapis.com"
    channel = Transport.create_channel(host, options=_OPTIONS)
    return SecretManagerServiceClient(transport=Transport(host=host, channel=channel))


def _only_loopback(address: str) -> None:
    host = address.rpartition(":")[0].strip("[]")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigurationError(
            f"{EMULATOR_VARIABLE} must be a loopback address with a port, since nothing encrypts what goes there"
        )


def _checked(name: SecretName, version: str, given: str, data: bytes, crc32c: int) -> Payload:
    import google_crc32c

    try:
        found = VersionName.parse(given)
    except ValueError:
        raise AccessFailed(f"{name}: an answer that names no version", transient=True) from None
    secret = found.secret
    if (secret.secret, secret.location) != (name.secret, name.location) or (
        version.isdecimal() and found.number != int(version)
    ):
        raise AccessFailed(f"{name}: an answer for another version than {version}", transient=True)
    if google_crc32c.value(data) != crc32c:
        raise AccessFailed(f"{found}: the checksum does not fit the payload", transient=True)
    return Payload(found, data)


def _told(name: SecretName, version: str, exc: BaseException | None) -> SourceError:
    from google.api_core import exceptions

    what = f"{name}/versions/{version}"
    match exc:
        case exceptions.NotFound():
            return VersionMissing(f"{what} does not exist")
        case exceptions.BadRequest() if " is in DISABLED state" in str(exc):
            return VersionRefused(f"{what} is disabled")
        case exceptions.BadRequest() if " is in DESTROYED state" in str(exc):
            return VersionRefused(f"{what} is destroyed", destroyed=True)
        case exceptions.Forbidden() | exceptions.Unauthorized():
            return AccessFailed(
                f"{what}: permission denied; grant this service's account roles/secretmanager.secretAccessor",
                transient=False,
            )
        case exceptions.BadRequest():
            return AccessFailed(f"{what}: refused for a reason that is not the version's state", transient=False)
        case exceptions.GoogleAPICallError():
            return AccessFailed(f"{what}: {type(exc).__name__} ({exc.code})", transient=True)
        case _:
            return AccessFailed(f"{what}: no answer in time", transient=True)
