"""The formatter for structured stdout: what Cloud Run's agent makes of its lines, and which trace they are part of."""

import json
import logging
import sys

import flask
import pytest

from notifier.local import log_lines
from receiver import StructuredFormatter
from receiver.structured import ASGI_SCOPE
from receiver.tracecontext import from_headers, from_traceparent


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def line():
    """Format one record, and read the line as an agent does."""
    formatter = StructuredFormatter(project="pgp-live", labels={"team": "payments"})

    def made(message="hello %s", *args, level=logging.WARNING, **extra):
        record = logging.LogRecord(
            "keyturn", level, __file__, 1, message, args or ("you",), extra.pop("exc_info", None)
        )
        record.__dict__.update(extra)
        text = formatter.format(record)
        assert "\n" not in text
        return json.loads(text)

    return made


def test_an_agent_reads_what_it_writes():
    """Severity, message, time, labels, id and trace end in the entry's own fields, the rest in its payload."""
    formatter = StructuredFormatter(project="pgp-live", labels={"team": "payments"})
    record = logging.LogRecord("keyturn", logging.ERROR, __file__, 1, "held_back: x", (), None)
    record.json_fields = {"event": "held_back", "version": 7}
    ASGI_SCOPE.set({"headers": [(b"traceparent", PARENT.encode())]})
    try:
        text = formatter.format(record)
    finally:
        ASGI_SCOPE.set(None)
    entry = log_lines.entry(text, log_lines.Printer(project="pgp-live", service="payments"), at=0)

    assert {"event": "held_back", "version": 7, "message": "held_back: x"} == dict(entry.json_payload)
    assert {"team": "payments", "logger": "keyturn"} == dict(entry.labels)
    assert (f"projects/pgp-live/traces/{TRACE}", SPAN, True) == (entry.trace, entry.span_id, entry.trace_sampled)
    assert 500 == entry.severity
    assert int(record.created) == entry.timestamp.seconds
    assert entry.insert_id


def test_ids_are_never_the_same(line):
    """Cloud Logging takes entries of one id and one time for one."""
    ids = [line()["logging.googleapis.com/insertId"] for _ in range(50)]

    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    ("headers", "context"),
    [
        ({"Traceparent": PARENT}, (TRACE, SPAN)),
        ({"X-Cloud-Trace-Context": f"{TRACE}/255;o=1"}, (TRACE, "00000000000000ff")),
        ({"X-Cloud-Trace-Context": TRACE.upper()}, (TRACE, None)),
        ({"Traceparent": "nonsense", "X-Cloud-Trace-Context": f"{TRACE}/1"}, (TRACE, "0000000000000001")),
        ({"Traceparent": f"00-{'0' * 32}-{SPAN}-01"}, (None, None)),
        ({"X-Cloud-Trace-Context": f"{TRACE}/{10**30}"}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_a_request_of_flask_names_its_trace(line, headers, context):
    """By W3C's header, or by the one that Google's front ends set; what is of neither form names none."""
    with flask.Flask("x").test_request_context("/", headers=headers):
        found = line()
    trace = found.get("logging.googleapis.com/trace")

    assert context == (trace and trace.rpartition("/")[2], found.get("logging.googleapis.com/spanId"))


def test_without_a_project_no_trace_is_named(monkeypatch):
    """The name of a trace begins with its project's."""
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "x", (), None)
    with flask.Flask("x").test_request_context("/", headers={"Traceparent": PARENT}):
        text = StructuredFormatter().format(record)

    assert "trace" not in text


def test_an_exception_ends_the_message(line):
    """Where Error Reporting looks for it."""
    try:
        int("broken")
    except ValueError:
        found = line("failed: %s", "why", exc_info=sys.exc_info())

    assert found["message"].startswith("failed: why\nTraceback (most recent call last):")
    assert found["message"].endswith("ValueError: invalid literal for int() with base 10: 'broken'")


def test_what_is_no_json_is_written_as_text(line):
    """A field may be anything; fields that are no mapping are left out."""
    assert "<object object" in line(json_fields={"odd": object()})["odd"]
    assert ["Infinity", "NaN"] == line(json_fields={"odd": [float("inf"), float("nan")]})["odd"]
    assert "WARNING" == line(json_fields=["not", "fields"])["severity"]


@pytest.mark.parametrize(
    "text", ["", "00", PARENT[:-1], f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", PARENT + "\n"]
)
def test_what_is_no_traceparent(text):
    """Only W3C's form is read; zeros and version ff are none."""
    assert from_traceparent(text) is None
    assert from_headers({"traceparent": text}) is None


def test_a_traceparent_is_written_as_it_was_read():
    """Whoever continues a trace names it in the same form."""
    assert PARENT == from_traceparent(PARENT).traceparent
    assert from_traceparent(f"01-{TRACE}-{SPAN}-00-more").traceparent.endswith("-00")
