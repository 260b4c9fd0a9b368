"""What a request to Secret Manager must satisfy before anything is changed."""

import re
import unicodedata
from typing import Any

import google_crc32c

from .clocks import seconds
from .names import Parent
from .secret_refusals import invalid, not_here


# All bounds are [documented], the words of the refusals are [assumed] where nothing else is said.
_LARGEST_PAYLOAD = 64 * 1024
_MOST_TOPICS = 10
_MOST_LABELS = 64
_MOST_ALIASES = 50
_LARGEST_ANNOTATIONS = 16 * 1024
_LARGEST_LABEL = 128
_SOONEST_ROTATION = 300
_SHORTEST_PERIOD = 3600
_LONGEST = 3_153_600_000

# [assumed]: a day and a thousand days.
_SHORTEST_DELAY, _LONGEST_DELAY = 86_400, 86_400_000

_SECRET_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_TOPIC = re.compile(r"projects/[a-z0-9][a-z0-9:.-]{0,62}/topics/[A-Za-z][A-Za-z0-9_.~+%-]{2,254}")
_ANNOTATION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_RESERVED_ALIASES = frozenset({"latest", "NEW"})

_CLOUD_SQL = 1


def new_secret(parent: Parent, secret_id: str, secret: Any, now: float) -> None:
    """Check a secret that is to be created.

    Raises:
        Refusal: INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    if _SECRET_ID.fullmatch(secret_id) is None:
        raise invalid(f"The secret id [{secret_id}] is not valid.")
    if not parent.location and secret.replication.WhichOneof("replication") is None:
        raise invalid("A global secret needs `replication`.")
    if parent.location and secret.HasField("replication"):
        raise invalid("A regional secret has no `replication`.")
    if secret.replication.HasField("user_managed") and not secret.replication.user_managed.replicas:
        raise invalid("`replication.user_managed` needs replicas.")
    if secret.version_aliases:
        raise invalid("Aliases need versions, and a new secret has none.")
    _no_keys(secret)
    expiry(secret, now)
    rotation(secret, now)
    bounds(secret)


def updated(secret: Any, versions: int) -> None:
    """Check what a secret would be after an update.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    bounds(secret)
    if len(secret.version_aliases) > _MOST_ALIASES:
        raise invalid(f"A secret has at most {_MOST_ALIASES} aliases.")
    for alias, number in secret.version_aliases.items():
        if _ALIAS.fullmatch(alias) is None or alias in _RESERVED_ALIASES:
            raise invalid(f"The alias [{alias}] is not valid.")
        if not 1 <= number <= versions:
            raise invalid(f"The alias [{alias}] points at version {number}, which does not exist.")


def payload(given: Any) -> bytes:
    """Check a value that is to be added, and return it.

    Raises:
        Refusal: INVALID_ARGUMENT: empty, too large, or its checksum is not the one given.
    """
    data = bytes(given.data)
    if not data:
        raise invalid("Secret Payload cannot be empty.")
    if len(data) > _LARGEST_PAYLOAD:
        raise invalid(f"The payload is larger than {_LARGEST_PAYLOAD} bytes.")
    if given.HasField("data_crc32c") and given.data_crc32c != google_crc32c.value(data):
        raise invalid("The payload does not match the CRC-32C given with it.")
    return data


def expiry(secret: Any, now: float) -> None:
    """Check when a secret is to expire: in the future.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if secret.HasField("ttl") and not 0 < secret.ttl.ToSeconds() <= _LONGEST:
        raise invalid("`ttl` is not a time to come.")
    if secret.HasField("expire_time") and not now < seconds(secret.expire_time) <= now + _LONGEST:
        raise invalid("`expire_time` is not a time to come.")


def rotation(secret: Any, now: float) -> None:
    """Check when a secret is to be rotated.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    given = secret.rotation
    if given.HasField("rotation_period"):
        if not given.HasField("next_rotation_time"):
            raise invalid("`rotation.rotation_period` needs `rotation.next_rotation_time`.")
        if not _SHORTEST_PERIOD <= given.rotation_period.ToSeconds() <= _LONGEST:
            raise invalid(f"`rotation.rotation_period` is not between {_SHORTEST_PERIOD}s and {_LONGEST}s.")
    if given.HasField("next_rotation_time"):
        ahead = seconds(given.next_rotation_time) - now
        if not _SOONEST_ROTATION <= ahead <= _LONGEST:
            raise invalid(f"`rotation.next_rotation_time` is not between {_SOONEST_ROTATION}s and {_LONGEST}s ahead.")


def bounds(secret: Any) -> None:
    """Check what must hold for a secret at any time.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if len(secret.topics) > _MOST_TOPICS:
        raise invalid(f"A secret has at most {_MOST_TOPICS} topics.")
    for topic in secret.topics:
        if _TOPIC.fullmatch(topic.name) is None:
            raise invalid(f"The topic name [{topic.name}] is not valid.")
    if secret.rotation.HasField("next_rotation_time") and not secret.topics and secret.secret_type != _CLOUD_SQL:
        # [documented]; that managed rotation needs no topics is [assumed].
        raise invalid("`rotation` needs `topics`.")
    if secret.HasField("version_destroy_ttl"):
        delay = secret.version_destroy_ttl.ToSeconds()
        if not _SHORTEST_DELAY <= delay <= _LONGEST_DELAY:
            raise invalid(f"`version_destroy_ttl` is not between {_SHORTEST_DELAY}s and {_LONGEST_DELAY}s.")
    _labels(secret.labels)
    _annotations(secret.annotations)


def _labels(labels: Any) -> None:
    if len(labels) > _MOST_LABELS:
        raise invalid(f"A secret has at most {_MOST_LABELS} labels.")
    for key, value in labels.items():
        if not (key and _small(key[0]) and not key[0].isnumeric() and key[0] not in "_-" and _small(key)):
            raise invalid(f"The label key [{key}] is not valid.")
        if not _small(value):
            raise invalid(f"The value of the label [{key}] is not valid.")


def _small(text: str) -> bool:
    # `[\p{Ll}\p{Lo}\p{N}_-]{0,63}`, at most 128 bytes.
    fits = len(text) <= 63 and len(text.encode()) <= _LARGEST_LABEL
    return fits and all(
        char in "_-" or unicodedata.category(char)[:2] in {"Ll", "Lo", "Nd", "Nl", "No"} for char in text
    )


def _annotations(annotations: Any) -> None:
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _LARGEST_ANNOTATIONS:
        raise invalid(f"Annotations are larger than {_LARGEST_ANNOTATIONS} bytes.")
    for key in annotations:
        if _ANNOTATION.fullmatch(key) is None:
            raise invalid(f"The annotation key [{key}] is not valid.")


def _no_keys(secret: Any) -> None:
    """Refuse keys of one's own: nothing is encrypted here."""
    replication = secret.replication
    placed = [secret, replication.automatic, *replication.user_managed.replicas]
    if any(place.HasField("customer_managed_encryption") for place in placed):
        raise not_here("customer_managed_encryption")
