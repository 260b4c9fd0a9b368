"""What the Secret Manager writes into the journal, and what it reads back at its start.

    kind     key            record
    secret   full name      google.cloud.secretmanager.v1.Secret
    version  SECRET#NUMBER  four bytes of length, the SecretVersion, and the value
    iam      full name      google.iam.v1.Policy
    managed  full name      a JSON list: instance and user of a managed rotation

What `latest` and aliases were in the past is not written: after a restart versions lag as they were made, and states
and aliases as though they had always been so.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
from google.cloud.secretmanager_v1.types import resources
from google.iam.v1 import policy_pb2  # type: ignore[import-untyped]

from .clocks import seconds
from .journal import Change, Forgetful, Journal
from .secret_records import Stored, Version, VersionMessage


_LENGTH = 4


@dataclass(slots=True)
class Saved:
    """What there was before the restart, by the full name of the secret.

    Args:
        secrets: in the order in which they were made.
        managed: instance and user of those that rotate themselves.
    """

    secrets: dict[str, Stored] = field(default_factory=dict)
    managed: dict[str, tuple[str, str]] = field(default_factory=dict)


class SecretJournal:
    """The store's side of a journal; thread-safe as that is.

    Args:
        journal: where it writes.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # Nothing is made into records where they would be forgotten.
        self._keeps = not isinstance(journal, Forgetful)

    def secret(self, path: str, stored: Stored) -> None:
        """Keep a secret as it is now, without its versions."""
        if self._keeps:
            self._journal.write(Change("secret", path, stored.message.SerializeToString()))

    def version(self, path: str, version: Version) -> None:
        """Keep a version as it is now."""
        if self._keeps:
            self._journal.write(Change("version", f"{path}#{version.number}", _record(version)))

    def policy(self, path: str, policy: Any) -> None:
        """Keep the policy of a secret."""
        if self._keeps:
            self._journal.write(Change("iam", path, policy.SerializeToString()))

    def whole(self, path: str, stored: Stored) -> None:
        """Keep a secret as it is now, with all that belongs to it."""
        self.secret(path, stored)
        if stored.policy is not None:
            self.policy(path, stored.policy)
        for version in stored.versions:
            self.version(path, version)

    def managed(self, path: str, instance: str, username: str) -> None:
        """Keep whose password a secret rotates."""
        self._journal.write(Change("managed", path, json.dumps([instance, username]).encode()))

    def gone(self, path: str, stored: Stored) -> None:
        """Forget a secret with all that belongs to it."""
        if self._keeps:
            versions = [Change("version", f"{path}#{version.number}", None) for version in stored.versions]
            kinds = [Change(kind, path, None) for kind in ("secret", "iam", "managed")]
            self._journal.write(*versions, *kinds)

    def read(self) -> Saved:
        """All that was kept."""
        secrets: dict[str, Stored] = {}
        versions: dict[str, list[Version]] = {}
        policies: dict[str, Any] = {}
        saved = Saved()
        for kind, key, value in self._journal.records("secret", "version", "iam", "managed"):
            if value is None:
                continue
            if kind == "secret":
                secrets[key] = Stored(resources.Secret.pb().FromString(value))
            elif kind == "version":
                path, _, number = key.rpartition("#")
                versions.setdefault(path, []).append(_version(int(number), value))
            elif kind == "iam":
                policies[key] = policy_pb2.Policy.FromString(value)
            elif kind == "managed":
                instance, username = json.loads(value)
                saved.managed[key] = (instance, username)
        for path in sorted(secrets, key=lambda path: secrets[path].message.create_time.ToNanoseconds()):
            saved.secrets[path] = _whole(secrets[path], versions.get(path, []), policies.get(path))
        return saved


def _whole(stored: Stored, versions: list[Version], policy: Any) -> Stored:
    stored.policy = policy
    stored.aliases.append((0, dict(stored.message.version_aliases)))
    for version in sorted(versions, key=lambda version: version.number):
        stored.versions.append(version)
        made = seconds(version.message.create_time)
        stored.changes.append(max([made, *stored.changes[-1:]]))
        version.states.append((len(stored.changes), version.message.state))
        if version.message.HasField("scheduled_destroy_time"):
            stored.doomed[version.number] = seconds(version.message.scheduled_destroy_time)
    return stored


def _record(version: Version) -> bytes:
    message: bytes = version.message.SerializeToString()
    return len(message).to_bytes(_LENGTH, "big") + message + version.data


def _version(number: int, record: bytes) -> Version:
    end = _LENGTH + int.from_bytes(record[:_LENGTH], "big")
    data = record[end:]
    return Version(number, VersionMessage.FromString(record[_LENGTH:end]), data, google_crc32c.value(data))
