"""Managed rotation, simulated: there is no Cloud SQL here, so a new password changes nowhere but in the secret."""

import contextlib
import json
import secrets
import threading
from collections.abc import Mapping
from typing import Any

from google.cloud.secretmanager_v1.types import resources, service

from .names import secret_path
from .ports import Report
from .rpc import Caller, Method, Refusal
from .secret_events import Notifications
from .secret_journal import Saved, SecretJournal
from .secret_refusals import invalid, precondition
from .secret_store import SecretStore


_ACTIVE = int(resources.Rotation.ManagedRotationStatus.State.ACTIVE)
_CLOUD_SQL = int(resources.Secret.SecretType.CLOUD_SQL_DB_CREDENTIALS)


class ManagedRotation:
    """EnableManagedRotation and RotateSecret, and what a rotation that is due does to a managed secret.

    For regional secrets of the type CLOUD_SQL_DB_CREDENTIALS, enabled once, with a version added at each rotation and
    a random password where none is given [documented]. The form of the value is [assumed].

    Args:
        store: whose secrets.
        notifications: where new versions are announced.
        report: told of each change.
        journal: where it is kept whose password a secret rotates.
        saved: what there was before a restart.
    """

    def __init__(
        self, *, store: SecretStore, notifications: Notifications, report: Report, journal: SecretJournal, saved: Saved
    ) -> None:
        self._store = store
        self._notify = notifications
        self._report = report
        self._lock = threading.Lock()
        self._journal = journal
        self._users = saved.managed

    def methods(self) -> Mapping[str, Method]:
        """The methods by their name on the wire."""
        return {
            "EnableManagedRotation": Method(service.EnableManagedRotationRequest.pb(), self.enable),
            "RotateSecret": Method(service.RotateSecretRequest.pb(), self.rotate),
        }

    def enable(self, request: Any, _caller: Caller) -> Any:
        """Begin: the first version is made of the credentials given."""
        path = secret_path(request.parent)
        secret, given = self._store.get(path), request.cloud_sql_single_user_credentials
        if "/locations/" not in path:
            raise invalid("Managed rotation is for regional secrets only.")
        if secret.secret_type != _CLOUD_SQL:
            raise invalid("Managed rotation needs a secret of the type CLOUD_SQL_DB_CREDENTIALS.")
        if not given.instance_id or not given.username:
            raise invalid("`instance_id` and `username` are needed.")
        with self._lock:
            self._store.update(path, etag="", change=_activate)
            self._users[path] = (given.instance_id, given.username)
            self._journal.managed(path, given.instance_id, given.username)
        return self._add(path, given.password)

    def rotate(self, request: Any, _caller: Caller) -> Any:
        """Add a version with another password."""
        path = secret_path(request.parent)
        if not _managed(self._store.get(path)):
            raise precondition(f"Managed rotation of [{path}] has not been enabled.")
        return self._add(path)

    def due(self, secret: Any) -> None:
        """Rotate where that is managed: the time has come."""
        if _managed(secret):
            # It may have been deleted since.
            with contextlib.suppress(Refusal):
                self._add(secret.name)

    def _add(self, path: str, password: str = "") -> Any:
        with self._lock:
            instance, username = self._users[path]
        value = {"instance_id": instance, "password": password or secrets.token_urlsafe(24), "username": username}
        change = self._store.add(path, json.dumps(value).encode(), crc_given=False)
        self._report(f"added {change.version.name}")
        self._notify.announce("SECRET_VERSION_ADD", change)
        return change.version


def _managed(secret: Any) -> bool:
    return bool(secret.rotation.managed_rotation_status.state == _ACTIVE)


def _activate(secret: Any, _versions: int) -> None:
    if _managed(secret):
        raise precondition(f"Managed rotation of [{secret.name}] is enabled already.")
    secret.rotation.managed_rotation_status.state = _ACTIVE
