"""The methods of SecretManagerService: a request in, an answer out; gRPC knows of them, they do not know gRPC."""

from collections.abc import Mapping
from typing import Any

import grpc
from google.cloud.secretmanager_v1.types import resources, service
from google.protobuf import empty_pb2

from . import secret_checks as checks
from .access_faults import AccessFaults
from .access_log import AccessLog
from .names import Parent, secret_path, version_parts
from .pages import page
from .ports import Report
from .rpc import Caller, Method, Refusal
from .secret_events import Notifications
from .secret_records import DESTROYED, DISABLED, ENABLED
from .secret_store import SecretStore, in_state


NAME = "google.cloud.secretmanager.v1.SecretManagerService"

# The bit that a damaged checksum differs by.
_DAMAGE = 1

_Answer = Any


class SecretService:
    """SecretManagerService over a store.

    Args:
        store: what exists.
        notifications: where changes are announced.
        log: where accesses are noted.
        faults: what goes wrong on demand.
        report: told of each change.
    """

    def __init__(
        self,
        *,
        store: SecretStore,
        notifications: Notifications,
        log: AccessLog,
        faults: AccessFaults,
        report: Report,
    ) -> None:
        self._store = store
        self._notify = notifications
        self._log = log
        self._faults = faults
        self._report = report

    def methods(self) -> Mapping[str, Method]:
        """The methods by their name on the wire."""
        return {
            "CreateSecret": Method(service.CreateSecretRequest.pb(), self.create_secret),
            "GetSecret": Method(service.GetSecretRequest.pb(), self.get_secret),
            "ListSecrets": Method(service.ListSecretsRequest.pb(), self.list_secrets),
            "UpdateSecret": Method(service.UpdateSecretRequest.pb(), self.update_secret),
            "DeleteSecret": Method(service.DeleteSecretRequest.pb(), self.delete_secret),
            "AddSecretVersion": Method(service.AddSecretVersionRequest.pb(), self.add_version),
            "GetSecretVersion": Method(service.GetSecretVersionRequest.pb(), self.get_version),
            "AccessSecretVersion": Method(service.AccessSecretVersionRequest.pb(), self.access),
            "ListSecretVersions": Method(service.ListSecretVersionsRequest.pb(), self.list_versions),
            "EnableSecretVersion": Method(service.EnableSecretVersionRequest.pb(), self.enable),
            "DisableSecretVersion": Method(service.DisableSecretVersionRequest.pb(), self.disable),
            "DestroySecretVersion": Method(service.DestroySecretVersionRequest.pb(), self.destroy),
        }

    def create_secret(self, request: Any, _caller: Caller) -> _Answer:
        """Create a secret without versions."""
        parent = Parent.parse(request.parent)
        checks.new_secret(parent, request.secret_id, request.secret)
        self._configure_topics(request.secret)
        change = self._store.create(parent.secret(request.secret_id), request.secret)
        self._report(f"created {change.secret.name}")
        self._notify.announce("SECRET_CREATE", change)
        return change.secret

    def get_secret(self, request: Any, _caller: Caller) -> _Answer:
        """Describe a secret."""
        return self._store.get(secret_path(request.name))

    def list_secrets(self, request: Any, _caller: Caller) -> _Answer:
        """List the secrets of a project or of one of its locations."""
        checks.no_filter(request.filter)
        secrets = self._store.under(Parent.parse(request.parent).path)
        shown, token = page(secrets, request.page_size, request.page_token)
        return service.ListSecretsResponse.pb()(secrets=shown, next_page_token=token, total_size=len(secrets))

    def update_secret(self, request: Any, _caller: Caller) -> _Answer:
        """Replace the fields that the mask names."""
        path = secret_path(request.secret.name)
        paths = list(request.update_mask.paths)
        checks.update(paths)
        self._store.get(path)
        if "topics" in paths:
            self._configure_topics(request.secret)

        def replace(secret: Any, versions: int) -> None:
            _replace(secret, request.secret, paths)
            checks.updated(secret, versions)

        change = self._store.update(path, etag=request.secret.etag, change=replace)
        self._report(f"updated {path}: {', '.join(paths)}")
        self._notify.announce("SECRET_UPDATE", change)
        return change.secret

    def delete_secret(self, request: Any, _caller: Caller) -> _Answer:
        """Delete a secret with all its versions; a new one of that name counts from 1 again."""
        change = self._store.delete(secret_path(request.name), etag=request.etag)
        self._report(f"deleted {change.secret.name}")
        self._notify.announce("SECRET_DELETE", change, deleteType="REQUESTED")
        return empty_pb2.Empty()

    def add_version(self, request: Any, _caller: Caller) -> _Answer:
        """Add a version, enabled at birth."""
        path = secret_path(request.parent)
        data = checks.payload(request.payload)
        change = self._store.add(path, data, crc_given=request.payload.HasField("data_crc32c"))
        self._report(f"added {change.version.name}")
        self._notify.announce("SECRET_VERSION_ADD", change)
        return change.version

    def get_version(self, request: Any, _caller: Caller) -> _Answer:
        """Describe a version, by number, alias or `latest`."""
        version, _, _ = self._store.find(*version_parts(request.name))
        return version

    def access(self, request: Any, caller: Caller) -> _Answer:
        """Give the value of a version, by number, alias or `latest`."""
        path, asked = version_parts(request.name)
        self._log.arrived(path)
        try:
            self._faults.before(path, caller)
            version, data, crc = self._store.find(path, asked)
            if version.state != ENABLED:
                raise in_state(version)
        except Refusal as refusal:
            self._log.answered(path, asked, None, refusal.code.name, caller)
            raise
        if self._faults.damaged(path):
            crc ^= _DAMAGE
        number = int(version.name.rpartition("/")[2])
        self._log.answered(path, asked, number, grpc.StatusCode.OK.name, caller)
        return service.AccessSecretVersionResponse.pb()(
            name=version.name, payload=resources.SecretPayload.pb()(data=data, data_crc32c=crc)
        )

    def list_versions(self, request: Any, _caller: Caller) -> _Answer:
        """List the versions of a secret, without their values."""
        checks.no_filter(request.filter)
        versions = self._store.versions(secret_path(request.parent))
        shown, token = page(versions, request.page_size, request.page_token)
        return service.ListSecretVersionsResponse.pb()(versions=shown, next_page_token=token, total_size=len(versions))

    def enable(self, request: Any, _caller: Caller) -> _Answer:
        """Make a version accessible; twice is as once."""
        return self._set_state(request, ENABLED, "SECRET_VERSION_ENABLE", "enabled")

    def disable(self, request: Any, _caller: Caller) -> _Answer:
        """Make a version inaccessible for the time being; twice is as once."""
        return self._set_state(request, DISABLED, "SECRET_VERSION_DISABLE", "disabled")

    def destroy(self, request: Any, _caller: Caller) -> _Answer:
        """Destroy a version's value for good; a second time is refused."""
        return self._set_state(request, DESTROYED, "SECRET_VERSION_DESTROY", "destroyed")

    def _set_state(self, request: Any, state: int, event: str, done: str) -> _Answer:
        path, asked = version_parts(request.name)
        change = self._store.set_state(path, asked, state, etag=request.etag)
        self._report(f"{done} {change.version.name}")
        self._notify.announce(event, change)
        return change.version

    def _configure_topics(self, secret: Any) -> None:
        """Refuse topics that do not exist, and send the test message to those that do.

        The refusal is [seen in production by a third party], its wording and code are [assumed].
        """
        topics = [topic.name for topic in secret.topics]
        if gone := self._notify.missing(topics):
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Pub/Sub topic [{gone[0]}] not found.")
        self._notify.topic_configured(topics)


def _replace(secret: Any, given: Any, paths: list[str]) -> None:
    for path in paths:
        secret.ClearField(path)
    named = type(given)()
    for path in paths:
        if path == "topics":
            named.topics.extend(given.topics)
        else:
            getattr(named, path).update(getattr(given, path))
    secret.MergeFrom(named)
