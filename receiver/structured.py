"""A log formatter for structured stdout: one JSON object a line, as the agents of Cloud Run and GKE take it in.

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(StructuredFormatter(project="pgp-live"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])

It is for the whole service: every record becomes an entry with its severity, the trace and span of the request in
which it was written, and the fields that its author gave as `extra={"json_fields": ...}`.
"""

import itertools
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from .tracecontext import CLOUD_TRACE, TRACEPARENT, TraceContext, from_headers


#: The request that is under way in an ASGI application: its scope.
ASGI_SCOPE: Final[ContextVar[Mapping[str, Any] | None]] = ContextVar("keyturn_asgi_scope", default=None)

_PREFIX: Final = "logging.googleapis.com/"
_SEVERITIES: Final = [(50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"), (10, "DEBUG")]


class StructuredFormatter(logging.Formatter):
    """Format records as Cloud Logging's agents read them. Thread-safe.

    Args:
        project: the project's id, which the name of a trace begins with; GOOGLE_CLOUD_PROJECT where it is not given,
            and without either no trace is named.
        labels: labels of every entry.
    """

    def __init__(self, *, project: str | None = None, labels: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._project = os.environ.get("GOOGLE_CLOUD_PROJECT", "") if project is None else project
        self._labels = dict(labels or {})
        # Cloud Logging takes entries of one id and time for one, and shows those of one time by their ids.
        self._id = os.urandom(6).hex()
        self._numbers = itertools.count(1)

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        seconds, rest = divmod(record.created, 1)
        moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        entry: dict[str, Any] = {
            **_fields(record),
            "severity": next((name for level, name in _SEVERITIES if record.levelno >= level), "DEFAULT"),
            "message": self._message(record),
            "time": f"{moment}.{int(rest * 1_000_000):06}Z",
            f"{_PREFIX}insertId": f"{self._id}-{os.getpid():x}-{next(self._numbers):08x}",
            f"{_PREFIX}labels": {**self._labels, "logger": record.name},
        }
        context = current()
        if context is not None and self._project:
            entry[f"{_PREFIX}trace"] = f"projects/{self._project}/traces/{context.trace}"
            entry[f"{_PREFIX}trace_sampled"] = context.sampled
            if context.span:
                entry[f"{_PREFIX}spanId"] = context.span
        return _written(entry)

    def _message(self, record: logging.LogRecord) -> str:
        # With the traceback at its end, as Error Reporting looks for it [cloud.google.com/error-reporting/docs].
        parts = [record.getMessage()]
        if record.exc_info and record.exc_info[0] is not None:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts)


def current() -> TraceContext | None:
    """The trace of what is under way here: OpenTelemetry's current span, else what the request's headers say."""
    # Looked up and never imported: who does not use them pays nothing.
    api = sys.modules.get("opentelemetry.trace")
    span = api.get_current_span().get_span_context() if api is not None else None
    if span is not None and span.is_valid:
        return TraceContext(f"{span.trace_id:032x}", f"{span.span_id:016x}", sampled=bool(span.trace_flags & 1))
    flask = sys.modules.get("flask")
    if flask is not None and flask.has_request_context():
        headers = flask.request.headers
        return from_headers({name: headers.get(name, "") for name in (TRACEPARENT, CLOUD_TRACE)})
    scope = ASGI_SCOPE.get()
    if scope is None:
        return None
    return from_headers({k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope.get("headers", ())})


def _written(entry: dict[str, Any]) -> str:
    try:
        return json.dumps(entry, default=str, allow_nan=False)
    except ValueError:  # infinity is no JSON, and a line that is none would be taken in as text
        return json.dumps(json.loads(json.dumps(entry, default=str), parse_constant=str))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "json_fields", None)
    return dict(fields) if isinstance(fields, dict) else {}
