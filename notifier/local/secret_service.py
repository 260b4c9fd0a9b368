"""The methods of SecretManagerService: a request in, an answer out; gRPC knows of them, they do not know gRPC."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.cloud.secretmanager_v1.types import resources, service
from google.protobuf import empty_pb2

from . import secret_checks as checks
from .access_faults import AccessFaults
from .access_log import AccessLog
from .names import Parent, secret_path, version_parts
from .pages import page
from .ports import Report, Wall
from .rpc import Caller, Method, Refusal
from .secret_events import Notifications
from .secret_filter import parse
from .secret_records import DESTROYED, DISABLED, ENABLED
from .secret_refusals import in_state
from .secret_rpcs import NAME
from .secret_store import SecretStore
from .secret_update import check_mask, replace, settable


__all__ = ["NAME", "SecretService"]

# The bit that a damaged checksum differs by.
_DAMAGE = 1

# A larger page that is asked for is cut down to this [documented].
_LARGEST_PAGE = 25_000

_Answer = Any


class SecretService:
    """SecretManagerService over a store.

    Args:
        store: what exists.
        notifications: where changes are announced.
        log: where accesses are noted.
        faults: what goes wrong on demand.
        report: told of each change.
        wall: wall time.
    """

    def __init__(
        self,
        *,
        store: SecretStore,
        notifications: Notifications,
        log: AccessLog,
        faults: AccessFaults,
        report: Report,
        wall: Wall,
    ) -> None:
        self._store = store
        self._notify = notifications
        self._log = log
        self._faults = faults
        self._report = report
        self._wall = wall

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
        now = self._wall()
        checks.new_secret(parent, request.secret_id, request.secret, now)
        self._configure_topics(request.secret)
        change = self._store.create(parent.secret(request.secret_id), settable(request.secret, now))
        self._report(f"created {change.secret.name}")
        self._notify.announce("SECRET_CREATE", change)
        return change.secret

    def get_secret(self, request: Any, _caller: Caller) -> _Answer:
        """Describe a secret."""
        return self._store.get(secret_path(request.name))

    def list_secrets(self, request: Any, _caller: Caller) -> _Answer:
        """List the secrets of a project or of one of its locations."""
        secrets = self._store.under(Parent.parse(request.parent).path)
        shown, token, total = _listed(secrets, request)
        return service.ListSecretsResponse.pb()(secrets=shown, next_page_token=token, total_size=total)

    def update_secret(self, request: Any, _caller: Caller) -> _Answer:
        """Replace the fields that the mask names."""
        path = secret_path(request.secret.name)
        paths = list(request.update_mask.paths)
        check_mask(paths)
        self._store.get(path)
        if "topics" in paths:
            self._configure_topics(request.secret)

        def alter(secret: Any, versions: int) -> None:
            replace(secret, request.secret, paths, self._wall())
            checks.updated(secret, versions)

        change = self._store.update(path, etag=request.secret.etag, change=alter)
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
        versions = self._store.versions(secret_path(request.parent))
        shown, token, total = _listed(versions, request)
        return service.ListSecretVersionsResponse.pb()(versions=shown, next_page_token=token, total_size=total)

    def enable(self, request: Any, _caller: Caller) -> _Answer:
        """Make a version accessible; twice is as once."""
        return self._set_state(request, ENABLED, "SECRET_VERSION_ENABLE", "enabled")

    def disable(self, request: Any, _caller: Caller) -> _Answer:
        """Make a version inaccessible for the time being; twice is as once."""
        return self._set_state(request, DISABLED, "SECRET_VERSION_DISABLE", "disabled")

    def destroy(self, request: Any, _caller: Caller) -> _Answer:
        """Destroy a version's value for good, at once or after the secret's delay; a second time is refused."""
        return self._set_state(request, DESTROYED, "SECRET_VERSION_DESTROY", "destroyed")

    def _set_state(self, request: Any, state: int, event: str, done: str) -> _Answer:
        path, asked = version_parts(request.name)
        change = self._store.set_state(path, asked, state, etag=request.etag)
        if change.version.HasField("scheduled_destroy_time"):
            # [seen in production by a third party]
            event, done = "SECRET_VERSION_DESTROY_SCHEDULED", "doomed"
        self._report(f"{done} {change.version.name}")
        self._notify.announce(event, change)
        return change.version

    def _configure_topics(self, secret: Any) -> None:
        """Refuse topics that do not exist or may not be published to, and send the test message to all others.

        The refusals are [seen in production by a third party], their wording and codes are [assumed].
        """
        topics = [topic.name for topic in secret.topics]
        if gone := self._notify.missing(topics):
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Pub/Sub topic [{gone[0]}] not found.")
        if forbidden := self._notify.forbidden(topics):
            raise Refusal(
                grpc.StatusCode.PERMISSION_DENIED,
                f"The service agent lacks the permission pubsub.topics.publish on Pub/Sub topic [{forbidden[0]}].",
            )
        self._notify.topic_configured(topics)


def _listed(rows: list[Any], request: Any) -> tuple[Sequence[Any], str, int]:
    """One page of what the filter lets through, the next page's token, and how many there are."""
    test = parse(request.filter)
    passed = [row for row in rows if test(row)]
    shown, token = page(passed, min(request.page_size, _LARGEST_PAGE), request.page_token)
    # Where there is a filter, nobody counts [documented].
    return shown, token, 0 if request.filter else len(rows)
