"""What a request to Secret Manager must satisfy before anything is changed."""

import re
from typing import Any

import google_crc32c
import grpc

from .names import Parent
from .rpc import Refusal


# All bounds are [documented].
_LARGEST_PAYLOAD = 64 * 1024
_MOST_TOPICS = 10
_MOST_LABELS = 64
_MOST_ALIASES = 50
_LARGEST_ANNOTATIONS = 16 * 1024

_SECRET_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_RESERVED_ALIASES = frozenset({"latest", "NEW"})
_UPDATABLE = frozenset({"labels", "annotations", "topics", "version_aliases"})

# What this local Secret Manager does not do is refused, never silently ignored.
_NOT_HERE = ("expire_time", "ttl", "rotation", "version_destroy_ttl", "customer_managed_encryption", "tags")


def new_secret(parent: Parent, secret_id: str, secret: Any) -> None:
    """Check a secret that is to be created.

    Raises:
        Refusal: INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    if _SECRET_ID.fullmatch(secret_id) is None:
        raise _invalid(f"The secret id [{secret_id}] is not valid.")
    if not parent.location and secret.replication.WhichOneof("replication") is None:
        raise _invalid("A global secret needs `replication`.")
    if parent.location and secret.HasField("replication"):
        raise _invalid("A regional secret has no `replication`.")
    if secret.version_aliases:
        raise _invalid("Aliases need versions, and a new secret has none.")
    for field in _NOT_HERE:
        if field in {descriptor.name for descriptor, _ in secret.ListFields()}:
            raise _not_here(field)
    _bounds(secret)


def update(paths: list[str]) -> None:
    """Check which fields an update names.

    Raises:
        Refusal: INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    if not paths:
        raise _invalid("`update_mask` is needed.")
    for path in paths:
        if path in _NOT_HERE:
            raise _not_here(path)
        if path not in _UPDATABLE:
            raise _invalid(f"The field [{path}] of a secret cannot be updated.")


def updated(secret: Any, versions: int) -> None:
    """Check what a secret would be after an update.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    _bounds(secret)
    if len(secret.version_aliases) > _MOST_ALIASES:
        raise _invalid(f"A secret has at most {_MOST_ALIASES} aliases.")
    for alias, number in secret.version_aliases.items():
        if _ALIAS.fullmatch(alias) is None or alias in _RESERVED_ALIASES:
            raise _invalid(f"The alias [{alias}] is not valid.")
        if not 1 <= number <= versions:
            raise _invalid(f"The alias [{alias}] points at version {number}, which does not exist.")


def payload(given: Any) -> bytes:
    """Check a value that is to be added, and return it.

    Raises:
        Refusal: INVALID_ARGUMENT: empty, too large, or its checksum is not the one given.
    """
    data = bytes(given.data)
    if not data:
        raise _invalid("Secret Payload cannot be empty.")
    if len(data) > _LARGEST_PAYLOAD:
        raise _invalid(f"The payload is larger than {_LARGEST_PAYLOAD} bytes.")
    if given.HasField("data_crc32c") and given.data_crc32c != google_crc32c.value(data):
        raise _invalid("The payload does not match the CRC-32C given with it.")
    return data


def no_filter(filter_: str) -> None:
    """Refuse a list with a filter.

    Raises:
        Refusal: UNIMPLEMENTED.
    """
    if filter_:
        raise _not_here("filter")


def _bounds(secret: Any) -> None:
    if len(secret.topics) > _MOST_TOPICS:
        raise _invalid(f"A secret has at most {_MOST_TOPICS} topics.")
    if len(secret.labels) > _MOST_LABELS:
        raise _invalid(f"A secret has at most {_MOST_LABELS} labels.")
    if sum(len(key) + len(value) for key, value in secret.annotations.items()) > _LARGEST_ANNOTATIONS:
        raise _invalid(f"Annotations are larger than {_LARGEST_ANNOTATIONS} bytes.")


def _invalid(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def _not_here(field: str) -> Refusal:
    return Refusal(grpc.StatusCode.UNIMPLEMENTED, f"`{field}` is not something that the local Secret Manager does.")
