"""The sentences with which Secret Manager says no, worded as production words them where that is known."""

from typing import Any

import grpc

from .rpc import Refusal
from .secret_records import State


def missing(path: str) -> Refusal:
    """No such secret, or none of its versions: production tells these two alike.

    [seen in production by a third party]
    """
    return Refusal(grpc.StatusCode.NOT_FOUND, f"Secret [{path}] not found or has no versions.")


def version_missing(path: str, asked: str) -> Refusal:
    """The secret has versions, and not this one [assumed]."""
    return Refusal(grpc.StatusCode.NOT_FOUND, f"Secret Version [{path}/versions/{asked}] not found.")


def in_state(version: Any) -> Refusal:
    """The version exists, and its state forbids what was asked [seen in production by a third party]."""
    state = State(version.state).name
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, f"Secret Version [{version.name}] is in {state} state.")


def exists(path: str) -> Refusal:
    """The secret is there already: the code is [documented], the words are [assumed]."""
    return Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{path}] already exists.")


def stale(message: Any) -> Refusal:
    """The etag given is not the current one: the code is [documented], the words are [assumed]."""
    return Refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        f"The etag given for [{message.name}] is not its current one.",
    )


def invalid(message: str) -> Refusal:
    """The request cannot be right, whatever there is."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def precondition(message: str) -> Refusal:
    """The request could be right, and what there is forbids it."""
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, message)


def not_here(what: str) -> Refusal:
    """The local Secret Manager does not do this, and says so rather than ignore it."""
    return Refusal(grpc.StatusCode.UNIMPLEMENTED, f"`{what}` is not something that the local Secret Manager does.")
