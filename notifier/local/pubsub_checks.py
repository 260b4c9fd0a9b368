"""What a request to Pub/Sub must satisfy before anything is changed."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import grpc

from .clocks import length
from .filters import NotAFilter, parse
from .pubsub_refusals import invalid as _invalid
from .pubsub_refusals import not_here as _not_here
from .rpc import Refusal


_PROJECT = re.compile(r"projects/[a-z0-9][a-z0-9:.-]{0,62}")
# [documented]: 3 to 255 characters, begins with a letter, not with `goog`.
_ID = r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
_TOPIC = re.compile(_PROJECT.pattern + "/topics/" + _ID)
_SNAPSHOT = re.compile(_PROJECT.pattern + "/snapshots/" + _ID)
_SUBSCRIPTION = re.compile(_PROJECT.pattern + "/subscriptions/" + _ID)

# Bounds of a message and of times, all [documented].
_MOST_ATTRIBUTES, _LONGEST_KEY, _LONGEST_VALUE = 100, 256, 1024
_LONGEST_ORDERING_KEY = 1024
_LARGEST_MESSAGE = 10_000_000
_SHORTEST_DEADLINE, _LONGEST_DEADLINE = 10, 600
_LONGEST_BACKOFF = 600
_SHORTEST_RETENTION, _LONGEST_RETENTION = 600, 31 * 86400
_SHORTEST_EXPIRATION = 86400
_FEWEST_ATTEMPTS, _MOST_ATTEMPTS = 5, 100

# What this local Pub/Sub does not do is refused, never silently ignored.
_NOT_HERE = frozenset(
    {
        "bigquery_config",
        "bigtable_config",
        "cloud_storage_config",
        "enable_exactly_once_delivery",
        "message_transforms",
    }
)
_NOT_HERE_OF_TOPICS = frozenset({"ingestion_data_source_settings", "message_transforms", "schema_settings"})

# [documented] for all of Google Cloud.
_MOST_LABELS = 64
_LABEL_KEY = re.compile(r"[^\W\d_][\w-]{0,62}")
_LABEL_VALUE = re.compile(r"[\w-]{0,63}")


def topic_name(name: str) -> None:
    """Check the name of a topic that is to be created.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if _TOPIC.fullmatch(name) is None:
        raise _invalid(f"Invalid resource name given (name={name}).")


def topic(given: Any) -> None:
    """Check a topic that is to be created or has been changed.

    Raises:
        Refusal: INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    topic_name(given.name)
    _here(given, _NOT_HERE_OF_TOPICS)
    labels(given.labels)
    retention(given)


def labels(given: Mapping[str, str]) -> None:
    """Check labels.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    good = all(
        _LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(value) and f"{key}{value}".lower() == f"{key}{value}"
        for key, value in given.items()
    )
    if not good or len(given) > _MOST_LABELS:
        raise _invalid(f"Invalid labels given: at most {_MOST_LABELS}, of lower case letters, digits, `_` and `-`.")


def project_name(name: str) -> None:
    """Check the name of a project.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if _PROJECT.fullmatch(name) is None:
        raise _invalid(f"Invalid resource name given (name={name}).")


def message(data: bytes, attributes: Mapping[str, str], ordering_key: str) -> None:
    """Check a message that is to be published.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if len(ordering_key.encode()) > _LONGEST_ORDERING_KEY:
        raise _invalid("The ordering key is too long.")
    if not data and not attributes:
        raise _invalid("The message is empty: it needs data or attributes.")
    if len(data) > _LARGEST_MESSAGE:
        raise _invalid("The message is too large.")
    if len(attributes) > _MOST_ATTRIBUTES:
        raise _invalid(f"A message has at most {_MOST_ATTRIBUTES} attributes.")
    for key, value in attributes.items():
        if not key or len(key.encode()) > _LONGEST_KEY or len(value.encode()) > _LONGEST_VALUE:
            raise _invalid("An attribute's key or value is empty or too long.")
        if key.startswith("goog"):
            raise _invalid("An attribute's key begins with `goog`, which is reserved.")


def subscription(given: Any) -> None:
    """Check a subscription that is to be created.

    Raises:
        Refusal: INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    if _SUBSCRIPTION.fullmatch(given.name) is None:
        raise _invalid(f"Invalid resource name given (name={given.name}).")
    _here(given, _NOT_HERE)
    labels(given.labels)
    deadline = given.ack_deadline_seconds
    if deadline:
        ack_deadline(deadline)
    push_config(given.push_config)
    try:
        parse(given.filter)
    except NotAFilter as exc:
        raise _invalid(f"Invalid filter given: {exc}") from exc
    retention(given)
    if given.expiration_policy.HasField("ttl") and given.expiration_policy.ttl.seconds < _SHORTEST_EXPIRATION:
        raise _invalid("A subscription expires after a day at the earliest.")
    if given.HasField("retry_policy"):
        _retry_policy(given.retry_policy)
    if given.HasField("dead_letter_policy"):
        _dead_letter_policy(given.dead_letter_policy)


def retention(given: Any) -> None:
    """Check how long a topic or a subscription retains messages.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    seconds = given.message_retention_duration.seconds
    if given.HasField("message_retention_duration") and not _SHORTEST_RETENTION <= seconds <= _LONGEST_RETENTION:
        raise _invalid(f"Invalid message retention given ({seconds} s): it is between 10 minutes and 31 days.")


def snapshot_name(name: str) -> None:
    """Check the name of a snapshot that is to be created.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if _SNAPSHOT.fullmatch(name) is None:
        raise _invalid(f"Invalid resource name given (name={name}).")


def changed(current: Any, given: Any, mask: Any, allowed: frozenset[str]) -> Any:
    """What becomes of a resource that is updated with a mask.

    Raises:
        Refusal: INVALID_ARGUMENT, the mask is empty, or names what cannot be changed.
    """
    fields = {path.partition(".")[0] for path in mask.paths}
    if not fields or not fields <= allowed or not mask.IsValidForDescriptor(current.DESCRIPTOR):
        raise _invalid(f"Invalid update_mask provided in the request ({', '.join(mask.paths)}).")
    result = type(current)()
    result.CopyFrom(current)
    mask.MergeMessage(given, result, replace_message_field=True, replace_repeated_field=True)
    return result


def _dead_letter_policy(policy: Any) -> None:
    attempts = policy.max_delivery_attempts
    if attempts and not _FEWEST_ATTEMPTS <= attempts <= _MOST_ATTEMPTS:
        # The bounds are [documented], the code is [seen in Google's emulator].
        raise Refusal(grpc.StatusCode.OUT_OF_RANGE, f"Invalid `max_delivery_attempts` given ({attempts}).")
    topic_name(policy.dead_letter_topic)


def ack_deadline(seconds: int) -> None:
    """Check an ack deadline.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if not _SHORTEST_DEADLINE <= seconds <= _LONGEST_DEADLINE:
        raise _invalid(f"Invalid ack deadline given (ackDeadlineSeconds={seconds}).")


def push_config(config: Any) -> None:
    """Check where and how a subscription pushes.

    Plain http is let through, as by Google's emulator; the real service wants https.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    url = config.push_endpoint
    if url and not _reachable(url):
        raise _invalid(f"Invalid push endpoint given (endpoint={url}).")
    if config.HasField("oidc_token") and not config.oidc_token.service_account_email:
        raise _invalid("An OIDC token needs `service_account_email`.")


def modified_deadline(seconds: int) -> None:
    """Check a deadline given for leased messages: 0 hands them back.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if not 0 <= seconds <= _LONGEST_DEADLINE:
        raise _invalid(f"Invalid ack deadline given (ackDeadlineSeconds={seconds}).")


def _reachable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _here(given: Any, fields: frozenset[str]) -> None:
    for descriptor, _ in given.ListFields():
        if descriptor.name in fields:
            raise _not_here(descriptor.name)


def _retry_policy(policy: Any) -> None:
    shortest = length(policy.minimum_backoff)
    longest = length(policy.maximum_backoff)
    if policy.HasField("maximum_backoff") and policy.HasField("minimum_backoff") and longest < shortest:
        raise _invalid("The maximum backoff is less than the minimum.")
    if not (0 <= shortest <= _LONGEST_BACKOFF and 0 <= longest <= _LONGEST_BACKOFF):
        raise _invalid(f"A backoff is between 0 and {_LONGEST_BACKOFF} seconds.")
