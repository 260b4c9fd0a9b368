"""What the local Pub/Sub says no with, each refusal in one place."""

import grpc

from .rpc import Refusal


def missing(name: str) -> Refusal:
    """No such resource."""
    return Refusal(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name.rpartition('/')[2]}).")


def exists(name: str) -> Refusal:
    """That name is taken."""
    return Refusal(
        grpc.StatusCode.ALREADY_EXISTS,
        f"Resource already exists in the project (resource={name.rpartition('/')[2]}).",
    )


def invalid(text: str) -> Refusal:
    """The request is not one that can be."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, text)


def unready(text: str) -> Refusal:
    """The request could be, but not as things are."""
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, text)


def not_here(field: str) -> Refusal:
    """What this local Pub/Sub does not do is refused, never silently ignored."""
    return Refusal(grpc.StatusCode.UNIMPLEMENTED, f"`{field}` is not something that the local Pub/Sub does.")
