"""Metrics and traces by OpenTelemetry's API package alone: without an SDK every call here is one that does nothing.

What is counted is taken from the log's events, so that both always say the same. Where the API package is not
installed, nothing is measured.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakMethod

from .knowledge import SECOND
from .live import LiveEntry
from .telemetry import Field
from .tracecontext import TraceContext


if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation


_NAME: Final = "keyturn"
_MS: Final = 1000  # in a second

#: Events by which a refresh ends, each an outcome.
OUTCOMES: Final = frozenset(
    {
        "loaded",
        "refreshed",
        "stepped_back",
        "backstop_found",
        "would_refresh",
        "fallback_served",
        "held_back",
        "refresh_failed",
        "revoked",
        "waiting",
    }
)
_ANSWERED: Final = frozenset({"push_answered", "pull_answered"})


class Instruments:
    """What is measured of one cache. Thread-safe once started; nothing is imported or measured before.

    Args:
        entries: what is served.
        wall: nanoseconds since the epoch.
    """

    def __init__(self, entries: Callable[[], Iterable[LiveEntry]], *, wall: Callable[[], int]) -> None:
        self._entries = entries
        self._wall = wall
        self._made: _Made | None = None

    def start(self) -> None:
        """Begin to measure, where the API package is installed; not safe to be called twice at once."""
        if self._made is None:
            try:
                from opentelemetry import metrics
            except ImportError:
                return
            self._made = _Made(metrics.get_meter(_NAME), self)

    def record(self, event: str, fields: Mapping[str, Field]) -> None:
        """Count an event of the log; whatever the SDK does, what is measured goes on."""
        if self._made is not None:
            with suppress(Exception):
                self._count(self._made, event, fields)

    def _count(self, made: "_Made", event: str, fields: Mapping[str, Field]) -> None:
        secret = {"secret": str(fields.get("secret", ""))}
        if event in OUTCOMES:
            made.refreshes.add(1, {**secret, "outcome": event})
            if isinstance(took := fields.get("event_ms"), float):
                made.propagation.record(max(0.0, took / _MS), secret)
            if isinstance(took := fields.get("fetch_ms"), float):
                made.fetch.record(took / _MS, secret)
        if event == "backstop_found":
            made.backstop_finds.add(1, secret)
        elif event in _ANSWERED:
            made.pushes.add(1, {"answer": str(fields.get("answer", ""))})
        elif event == "refused_sender":
            made.refused.add(1, {"status": str(fields.get("status", ""))})

    def span(self, name: str, *, parent: TraceContext | None, **attributes: str | int) -> AbstractContextManager[Any]:
        """A span around what is done in a `with`, as a child of `parent` or of what is under way.

        Args:
            name: the span's name.
            parent: the trace that it continues; None for the current one.
            attributes: names and numbers.
        """
        if self._made is None:
            return nullcontext()
        from opentelemetry import trace

        context = None
        if parent is not None and parent.span:
            flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else trace.TraceFlags.DEFAULT)
            remote = trace.SpanContext(int(parent.trace, 16), int(parent.span, 16), is_remote=True, trace_flags=flags)
            context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        tracer = trace.get_tracer(_NAME)
        # What an exception says may hold anything.
        return tracer.start_as_current_span(name, context, attributes=attributes, record_exception=False)

    def behind(self, _: "CallbackOptions") -> "Iterable[Observation]":
        """How many entries of this process know of something that they do not serve."""
        from opentelemetry.metrics import Observation

        yield Observation(sum(entry.behind for entry in self._entries()))

    def age(self, _: "CallbackOptions") -> "Iterable[Observation]":
        """For how many seconds each entry has served its version in this process."""
        from opentelemetry.metrics import Observation

        now = self._wall()
        for entry in self._entries():
            if entry.version is not None:
                age = max(0.0, (now - entry.report.since) / SECOND)
                yield Observation(age, {"secret": str(entry.declaration.name), "version": entry.version})


class _Made:
    """The instruments of a meter."""

    def __init__(self, meter: "Meter", of: Instruments) -> None:
        self.refreshes = meter.create_counter("keyturn.refreshes", "1", "Refreshes by outcome")
        self.propagation = meter.create_histogram(
            "keyturn.propagation", "s", "From an event's own timestamp until this worker served its version"
        )
        self.fetch = meter.create_histogram("keyturn.fetch", "s", "What Secret Manager took to give a version")
        self.backstop_finds = meter.create_counter(
            "keyturn.backstop_finds", "1", "Versions that a safety read found and no event had announced"
        )
        self.pushes = meter.create_counter("keyturn.pushes", "1", "Events by how they were answered")
        self.refused = meter.create_counter("keyturn.pushes_refused", "1", "Pushes of strangers")
        behind, age = _while_kept(of.behind), _while_kept(of.age)
        meter.create_observable_gauge("keyturn.entries_behind", [behind], "1", "Entries that are behind")
        meter.create_observable_gauge("keyturn.version_age", [age], "s", "How long a version has been served")


def _while_kept(observe: "Callable[[CallbackOptions], Iterable[Observation]]") -> Any:
    """The same for as long as its cache is kept: meters keep what they call until the process ends."""
    kept = WeakMethod(observe)

    def observed(options: "CallbackOptions") -> "Iterable[Observation]":
        observe = kept()
        return observe(options) if observe is not None else ()

    return observed
