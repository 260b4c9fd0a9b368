"""Which trace a request or a message is part of, as headers and attributes say it; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


#: W3C Trace Context, and the header that Google's front ends set [cloud.google.com/trace/docs/trace-context].
TRACEPARENT: Final = "traceparent"
CLOUD_TRACE: Final = "x-cloud-trace-context"

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)
_CLOUD_TRACE: Final = re.compile(r"([0-9a-f]{32})(?:/([0-9]{1,20}))?(?:;o=([01]))?", re.ASCII | re.IGNORECASE)
_LARGEST_SPAN: Final = 2**64


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A trace, and a span of it.

    Args:
        trace: 32 hexadecimal digits.
        span: 16 hexadecimal digits; "" where none is named.
        sampled: whether the trace is kept.
    """

    trace: str
    span: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        """As W3C's header has it."""
        return f"00-{self.trace}-{self.span}-{'01' if self.sampled else '00'}"


def from_traceparent(text: str) -> TraceContext | None:
    """Read a traceparent; None where it is none."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None or not (int(found[1], 16) and int(found[2], 16)):
        return None
    return TraceContext(found[1], found[2], sampled=bool(int(found[3], 16) & 1))


def from_headers(headers: Mapping[str, str]) -> TraceContext | None:
    """Read what a request's headers say of its trace.

    Args:
        headers: by their names in lower case.
    """
    context = from_traceparent(headers.get(TRACEPARENT, ""))
    if context is not None:
        return context
    found = _CLOUD_TRACE.fullmatch(headers.get(CLOUD_TRACE, ""))
    if found is None or not int(found[1], 16):
        return None
    span = int(found[2] or 0)
    text = f"{span:016x}" if 0 < span < _LARGEST_SPAN else ""
    return TraceContext(found[1].lower(), text, sampled=found[3] == "1")
