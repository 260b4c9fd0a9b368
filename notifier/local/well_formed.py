"""Whether what came by gRPC can be written as JSON too, as REST's answers and audit entries do.

protobuf carries any numbers as a time and any text as a mask. That such a request is refused is [assumed].
"""

import functools
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from .rpc import Refusal


# The messages that have a form of their own in JSON, and may hold what has none.
_PICKY = frozenset(f"google.protobuf.{name}" for name in ("Any", "Duration", "FieldMask", "Timestamp"))


def check(request: Any) -> None:
    """See to it that every time, length and mask in a request is one; next to nothing where it can hold none.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if request.DESCRIPTOR.full_name in _PICKY:
        try:
            json_format.MessageToDict(request)
        except (json_format.Error, TypeError, ValueError) as exc:
            kind = request.DESCRIPTOR.name
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"The request holds a {kind} that is not valid.") from exc
        return
    for field in _leading(request.DESCRIPTOR):
        if field.is_repeated:
            for one in getattr(request, field.name):
                check(one)
        elif request.HasField(field.name):
            check(getattr(request, field.name))


@functools.cache
def _leading(message: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields by which a message comes to a picky one, however deep; none of the services' lies in a map."""
    return tuple(field for field in message.fields if _leads(field, frozenset({message.full_name})))


def _leads(field: FieldDescriptor, passed: frozenset[str]) -> bool:
    inner = field.message_type
    if inner is None or inner.full_name in passed:
        return False
    deeper = passed | {inner.full_name}
    return inner.full_name in _PICKY or any(_leads(one, deeper) for one in inner.fields)
