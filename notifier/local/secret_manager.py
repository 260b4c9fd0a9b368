"""A Secret Manager on loopback that the official client talks to unchanged, with faults on demand."""

from collections.abc import Callable
from typing import Any, Self

import grpc
from google.cloud.secretmanager_v1.types import resources, service

from .access_faults import AccessFaults
from .access_log import AccessLog
from .audit import AuditLog, Entry, nowhere
from .journal import Forgetful, Journal
from .names import Parent, secret_path
from .ports import Report, TopicPort, Wall, unheard
from .rpc import LOOPBACK, Server
from .secret_callers import IN_PROCESS, Callers
from .secret_due import Due
from .secret_events import Notifications
from .secret_gate import Gate
from .secret_grpc import handlers
from .secret_journal import SecretJournal
from .secret_places import Places
from .secret_policies import Policies
from .secret_quotas import Limits, Quotas
from .secret_rest import rest_server
from .secret_rotation import ManagedRotation
from .secret_service import SecretService
from .secret_store import SecretStore


_PRODUCTION = Limits()


def _no_keys() -> bytes:
    return b'{"keys": []}'


class SecretManager:
    """Serve google.cloud.secretmanager.v1.SecretManagerService, global and regional, for any projects.

    By gRPC at `host` and by REST at `rest_url`, which Terraform's google provider takes as
    `secret_manager_custom_endpoint = "{rest_url}/v1/"`. Thread-safe. Secrets are called by their full name,
    `projects/P[/locations/L]/secrets/S`, P an id or a number.

    Callers that say nothing may do everything. One that sends `x-keyturn-caller: serviceAccount:E`, or a bearer token
    of the local issuer, may do what the policies of the secret and of its project grant it. `audit` keeps what was
    called, `log` what was read.

    Args:
        topics: where notifications are published.
        wall: wall time.
        port: 0 takes a free one.
        address: to listen on; everybody who reaches it may do everything.
        report: told of each change, in a line for people.
        callers: reads who calls; nobody can show a token where it is not given.
        project: id of the project that audit entries show in place of its number.
        logged: given each audit entry, and one for each message that was lost; Cloud Logging, say.
        journal: where all but faults, quotas, policies of projects and what was read is kept over a restart.

    Raises:
        PortInUse: the port is taken.
    """

    def __init__(
        self,
        *,
        topics: TopicPort,
        wall: Wall,
        port: int = 0,
        address: str = LOOPBACK,
        report: Report = unheard,
        callers: Callers | None = None,
        project: str = "",
        logged: Callable[[Entry], None] = nowhere,
        journal: Journal | None = None,
    ) -> None:
        journal = journal or Forgetful()
        kept = SecretJournal(journal)
        saved = kept.read()
        # What can fail comes first: nothing runs yet.
        self._server = Server("secret-manager", port=port, address=address, services={})
        self.host = self._server.host
        self.log = AccessLog(wall=wall)
        self.audit = AuditLog(wall=wall, project=project, sink=logged)
        self._store = SecretStore(wall=wall, journal=kept, saved=saved)
        self._faults = AccessFaults()
        self._notifications = Notifications(topics, report=report, logged=logged, project=project)
        self._quotas = Quotas(wall=wall)
        self._policies = Policies(self._store)
        managed = ManagedRotation(
            store=self._store, notifications=self._notifications, report=report, journal=kept, saved=saved
        )
        self._due = Due(
            store=self._store, notifications=self._notifications, wall=wall, report=report, rotated=managed.due
        )
        self._gate = self._gate_to(managed, report=report, wall=wall, flush=journal.flush)
        callers = callers or Callers(keys=_no_keys, wall=wall)
        self._server._server.add_generic_rpc_handlers(handlers(self._gate, callers))
        self._rest = rest_server(self._gate, callers, address=address)
        self.rest_url = self._rest.url

    def _gate_to(self, managed: ManagedRotation, *, report: Report, wall: Wall, flush: Callable[[], None]) -> Gate:
        secrets = SecretService(
            store=self._store,
            notifications=self._notifications,
            log=self.log,
            faults=self._faults,
            report=report,
            wall=wall,
        )
        return Gate(
            {**secrets.methods(), **managed.methods(), **self._policies.methods(), **Places().methods()},
            due=self._due,
            quotas=self._quotas,
            policies=self._policies,
            audit=self.audit,
            log=self.log,
            report=report,
            flush=flush,
        )

    def stop(self) -> None:
        """Let go what hangs, and end."""
        self._faults.close()
        self._due.close()
        self._rest.stop()
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def has_secret(self, secret: str) -> bool:
        """Whether there is a secret of this full name."""
        return self._store.has(secret_path(secret))

    def create_secret(self, secret: str, *, topics: tuple[str, ...] = ()) -> str:
        """Create a secret from inside the process and return its name, with the project's number.

        Raises:
            Refusal: as CreateSecret refuses.
        """
        parent, _, name = secret.rpartition("/secrets/")
        request = service.CreateSecretRequest.pb()(parent=parent, secret_id=name)
        if not Parent.parse(parent).location:
            request.secret.replication.automatic.SetInParent()
        request.secret.topics.extend(resources.Topic.pb()(name=topic) for topic in topics)
        return str(self._call("CreateSecret", request).name)

    def add_version(self, secret: str, data: bytes) -> int:
        """Add a version from inside the process and return its number.

        Raises:
            Refusal: as AddSecretVersion refuses.
        """
        request = service.AddSecretVersionRequest.pb()(parent=secret)
        request.payload.data = data
        return int(self._call("AddSecretVersion", request).name.rpartition("/")[2])

    def enable_version(self, secret: str, number: int) -> None:
        """Enable a version.

        Raises:
            Refusal: as EnableSecretVersion refuses.
        """
        request = service.EnableSecretVersionRequest.pb()(name=f"{secret}/versions/{number}")
        self._call("EnableSecretVersion", request)

    def disable_version(self, secret: str, number: int) -> None:
        """Disable a version.

        Raises:
            Refusal: as DisableSecretVersion refuses.
        """
        request = service.DisableSecretVersionRequest.pb()(name=f"{secret}/versions/{number}")
        self._call("DisableSecretVersion", request)

    def destroy_version(self, secret: str, number: int) -> None:
        """Destroy a version.

        Raises:
            Refusal: as DestroySecretVersion refuses.
        """
        request = service.DestroySecretVersionRequest.pb()(name=f"{secret}/versions/{number}")
        self._call("DestroySecretVersion", request)

    def set_aliases(self, secret: str, aliases: dict[str, int]) -> None:
        """Replace the aliases of a secret.

        Raises:
            Refusal: as UpdateSecret refuses.
        """
        request = service.UpdateSecretRequest.pb()()
        request.secret.name = secret
        request.secret.version_aliases.update(aliases)
        request.update_mask.paths.append("version_aliases")
        self._call("UpdateSecret", request)

    def delete_secret(self, secret: str) -> None:
        """Delete a secret with all its versions.

        Raises:
            Refusal: as DeleteSecret refuses.
        """
        self._call("DeleteSecret", service.DeleteSecretRequest.pb()(name=secret))

    def settle(self) -> None:
        """Let all happen that is due by the clock: rotations, expiries, delayed ends; published when this returns.

        It happens within a twentieth of a second of itself; a test that moves the clock need not wait for that.
        """
        self._due.settle()

    def lag(self, secret: str, *, changes: int | None = None, seconds: float = 0.0) -> None:
        """Let `latest` and aliases answer with the past until `catch_up`; access by number never does.

        Args:
            secret: its full name.
            changes: answer as before the last so many changes (versions, states, aliases); 0 stands still at now.
            seconds: where `changes` is None, answer as things were so many seconds before each read.

        Raises:
            Refusal: NOT_FOUND, there is no such secret.
        """
        self._store.lag(secret_path(secret), changes=changes, seconds=seconds)

    def catch_up(self, secret: str) -> None:
        """Let `latest` and aliases answer as things are."""
        self._store.catch_up(secret_path(secret))

    def fail_accesses(
        self,
        secret: str,
        *,
        times: int = 1,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        message: str = "A failure that was asked for.",
    ) -> None:
        """Refuse the next `times` accesses of a secret with a status."""
        self._faults.fail(secret_path(secret), times=times, code=code, message=message)

    def slow_accesses(self, secret: str, *, seconds: float | None = None, times: int | None = None) -> None:
        """Let accesses of a secret hang for `seconds` (None: until `heal`), `times` of them (None: all)."""
        self._faults.slow(secret_path(secret), seconds=seconds, times=times)

    def damage_accesses(self, secret: str, *, times: int = 1) -> None:
        """Let the next `times` answers carry a checksum that does not fit the value."""
        self._faults.damage(secret_path(secret), times=times)

    def heal(self, secret: str | None = None) -> None:
        """End the faults of accesses, of one secret or of all, and let go those that hang."""
        self._faults.clear(secret_path(secret) if secret else None)

    def limit(self, limits: Limits = _PRODUCTION) -> None:
        """Switch the quotas on, with production's figures where nothing is said; `UNLIMITED` switches them off."""
        self._quotas.limit(limits)

    def grant(self, resource: str, role: str, member: str) -> None:
        """Grant a role of a secret, or of all secrets of `projects/P`, to a member such as `serviceAccount:E`.

        Raises:
            Refusal: NOT_FOUND; INVALID_ARGUMENT, `resource` is the name of neither.
        """
        self._policies.grant(resource, role, member)

    def forbid_topic(self, topic: str, *, forbidden: bool = True) -> None:
        """Let a topic be one that Secret Manager may not publish to, by its full name; or one that it may."""
        self._notifications.forbid(topic, forbidden=forbidden)

    def _call(self, method: str, request: Any) -> Any:
        return self._gate.call(method, request, IN_PROCESS)
