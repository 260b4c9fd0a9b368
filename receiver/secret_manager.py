"""The source that is Google Secret Manager, through the official client."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from .channels import ENDINGS, IMPORTS, OPTIONS, only_loopback
from .errors import AccessFailed, ConfigurationError, SourceError, VersionMissing, VersionRefused
from .greenlets import let_grpc_yield
from .names import SecretName, VersionName
from .source import Payload
from .telemetry import entry as log
from .threads import spawn


if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient


EMULATOR_VARIABLE: Final = "SECRET_MANAGER_EMULATOR_HOST"
FORKS_VARIABLE: Final = "GRPC_ENABLE_FORK_SUPPORT"

_NOT_READY: Final = "Google's client was not ready in time; what takes long is the search for credentials"

_FORK_UNSUPPORTED: Final = (
    f"{FORKS_VARIABLE} is off and Google's client was used before this process was forked, so its calls may hang or "
    "fail here: leave the variable unset, or do not load before the fork"
)
_OFF: Final = frozenset({"0", "false", "n", "no"})

_RETRY_FIRST: Final = 0.1
_RETRY_MOST: Final = 1.0


class SecretManagerSource:
    """Read versions with `google-cloud-secret-manager`, one client per location. Thread-safe.

    Nothing is imported, read from the environment or connected before the first access. The variable
    SECRET_MANAGER_EMULATOR_HOST (a loopback address) points it at a local server instead.

    Args:
        jitter: a number between 0 and 1 at each call, for the pauses between attempts.
    """

    def __init__(self, *, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._lock = threading.Lock()
        self._clients: dict[str, Future[SecretManagerServiceClient]] = {}
        # Clients of a parent process: kept, so that nobody closes a channel that is not this process's.
        self._inherited: list[Any] = []
        self._made = self._forked = False  # whether this process has made a client, and whether an ancestor had

    def access(self, name: SecretName, version: str, *, timeout: float) -> Payload:
        """Read one version; see `SecretSource.access`. The whole of it, retries included, ends within `timeout`.

        Raises:
            ConfigurationError: the emulator's address is not a loopback one.
        """
        deadline = time.monotonic() + timeout
        client = self._client(name, deadline)

        from google.api_core import exceptions

        # The client's own retries end neither by `timeout` (60 s on an outage) nor, where one is given to them, in
        # what an attempt may take once less than a second is left. So each attempt gets what is left, and no retry.
        passing = (exceptions.ServiceUnavailable, exceptions.ResourceExhausted)
        failure: SourceError
        for limit in _pauses():
            try:
                answer = client.access_secret_version(
                    name=f"{name.path}/versions/{version}",
                    retry=None,
                    timeout=max(0.0, deadline - time.monotonic()),
                )
                return _checked(name, version, answer.name, answer.payload.data, answer.payload.data_crc32c)
            except exceptions.GoogleAPICallError as exc:
                failure, again = _told(name, version, exc), isinstance(exc, passing)
            except ValueError:  # what grpc raises for a channel that `close` has closed meanwhile
                failure, again = AccessFailed(f"{name}: the connection was closed meanwhile", transient=True), False
            pause = limit * self._jitter()
            if not again or time.monotonic() + pause >= deadline:
                break
            time.sleep(pause)
        raise failure

    def after_fork(self) -> None:
        """Forget the parent's clients without touching them: an inherited channel hangs, even when closed."""
        self._lock = threading.Lock()
        self._inherited.append(self._clients)
        self._clients = {}
        self._forked, self._made = self._forked or self._made, False

    def close(self) -> None:
        """Close this process's channels; the next access opens new ones."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for opening in clients.values():
            opening.add_done_callback(_shut)  # at once, or when it has been made

    def _client(self, name: SecretName, deadline: float) -> "SecretManagerServiceClient":
        # Made on a thread of its own, since nothing bounds the import of Google's client on a busy machine or the
        # search for credentials: without any it asks a metadata server that may not exist, for 12 s. The lock is not
        # held meanwhile, and other locations do not wait.
        location = name.location
        made: Future[SecretManagerServiceClient] = Future()
        with self._lock:
            opening = self._clients.setdefault(location, made)
        if opening is made:
            self._start(location, made)
        try:
            failed = opening.exception(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise AccessFailed(f"{name}: {_NOT_READY}", transient=True) from None
        if failed is None:
            return opening.result()
        if isinstance(failed, ConfigurationError):
            raise ConfigurationError(str(failed))
        if isinstance(failed, AccessFailed):
            raise AccessFailed(f"{name}: {failed}", transient=failed.transient)
        raise AccessFailed(f"{name}: no usable Google credentials ({type(failed).__name__})", transient=False)

    def _start(self, location: str, opening: "Future[SecretManagerServiceClient]") -> None:
        if self._forked and os.environ.get(FORKS_VARIABLE, "").strip().lower() in _OFF:
            self._forked = False  # said once
            log(logging.WARNING, "fork_unsupported", _FORK_UNSUPPORTED)
        try:
            spawn(lambda: self._open(location, opening), name="connect")
        except RuntimeError:  # out of threads, or the interpreter is going down
            self._failed(location, opening, AccessFailed("no thread could be started", transient=True))

    def _failed(self, location: str, opening: "Future[SecretManagerServiceClient]", exc: BaseException) -> None:
        with self._lock:
            if self._clients.get(location) is opening:
                del self._clients[location]
        opening.set_exception(exc)

    def _open(self, location: str, opening: "Future[SecretManagerServiceClient]") -> None:
        try:
            client = _connect(location)
        except Exception as exc:  # noqa: BLE001  # whoever waits is told, and nobody else is there to be told
            self._failed(location, opening, exc)
        else:
            self._made = True
            opening.set_result(client)


def _shut(opening: "Future[SecretManagerServiceClient]") -> None:
    if opening.exception() is None:
        opening.result().transport.close()  # type: ignore[no-untyped-call]
        ENDINGS.begin()


def _pauses() -> Iterator[float]:
    pause = _RETRY_FIRST
    while True:
        yield pause
        pause = min(_RETRY_MOST, pause * 2)


def _connect(location: str) -> "SecretManagerServiceClient":
    emulator = os.environ.get(EMULATOR_VARIABLE)
    if emulator:
        only_loopback(emulator, EMULATOR_VARIABLE)
    with IMPORTS:
        import google.api_core.exceptions
        import google.auth
        import google_crc32c  # noqa: F401  # an access imports it, and must find it done
        import grpc
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
            SecretManagerServiceGrpcTransport as Transport,
        )

        let_grpc_yield()
        if emulator:  # within, since grpc imports the half of itself when it makes a channel
            return SecretManagerServiceClient(transport=Transport(channel=grpc.insecure_channel(emulator, OPTIONS)))
    # Without the lock: this may take long.
    credentials, _ = google.auth.default(default_scopes=Transport.AUTH_SCOPES)
    host = f"secretmanager.{location}.rep.googleapis.com" if location else "secretmanager.googleapis.com"
    with IMPORTS:
        channel = Transport.create_channel(host, credentials=credentials, options=OPTIONS)
        return SecretManagerServiceClient(transport=Transport(host=host, channel=channel))


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
