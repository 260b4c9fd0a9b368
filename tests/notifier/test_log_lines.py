"""What a service prints, as log entries."""

import json

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from notifier.local.log_lines import LONGEST, Printer, entry


AT = 1_790_917_413.25
PRINTER = Printer(project="demo", service="api")


def fields(line):
    return json_format.MessageToDict(entry(line, PRINTER, at=AT))


def test_a_json_line():
    """Members with a meaning of their own move to the entry's fields; all others are the payload."""
    line = {
        "severity": "error",
        "message": "turned",
        "event": "refreshed",
        "version": 7,
        "time": "2026-11-25T10:00:00.123456789Z",
        "httpRequest": {"status": 204, "latency": "0.1s"},
        "logging.googleapis.com/insertId": "i1",
        "logging.googleapis.com/labels": {"worker": "1"},
        "logging.googleapis.com/operation": {"id": "op", "first": True},
        "logging.googleapis.com/sourceLocation": {"file": "a.py", "line": "3"},
        "logging.googleapis.com/spanId": "00f067aa0ba902b7",
        "logging.googleapis.com/trace": "projects/demo/traces/4bf92f3577b34da6a3ce929d0e0e4736",
        "logging.googleapis.com/trace_sampled": True,
    }

    assert {
        "logName": "projects/demo/logs/run.googleapis.com%2Fstdout",
        "resource": {
            "type": "cloud_run_revision",
            "labels": {
                "project_id": "demo",
                "location": "local",
                "service_name": "api",
                "configuration_name": "api",
                "revision_name": "api-00001-dev",
            },
        },
        "severity": "ERROR",
        "timestamp": "2026-11-25T10:00:00.123456789Z",
        "jsonPayload": {"message": "turned", "event": "refreshed", "version": 7},
        "httpRequest": {"status": 204, "latency": "0.100s"},
        "insertId": "i1",
        "labels": {"worker": "1"},
        "operation": {"id": "op", "first": True},
        "sourceLocation": {"file": "a.py", "line": "3"},
        "spanId": "00f067aa0ba902b7",
        "trace": "projects/demo/traces/4bf92f3577b34da6a3ce929d0e0e4736",
        "traceSampled": True,
    } == fields(json.dumps(line) + "\n")


def test_a_plain_line():
    """Any other line is a text, of the time at which it was printed."""
    kept = fields(b"Listening at: http://127.0.0.1\r\n")

    assert ("Listening at: http://127.0.0.1", "2026-10-02T05:03:33.250Z") == (kept["textPayload"], kept["timestamp"])
    assert "severity" not in kept


@pytest.mark.parametrize(
    "member",
    [
        {"severity": 3},
        {"severity": "loud"},
        {"time": "yesterday"},
        {"timestamp": {"seconds": 10**18, "nanos": 0}},
        {"timestamp": {"seconds": 1}},
        {"time": None},
        {"httpRequest": {"nothing": 1}},
        {"httpRequest": [1]},
        {"logging.googleapis.com/labels": {"a": 1}},
        {"logging.googleapis.com/trace": 5},
        {"logging.googleapis.com/trace_sampled": "yes"},
        {"logging.googleapis.com/other": "x"},
        {"trace": "x"},
    ],
    ids=str,
)
def test_members_of_the_wrong_type_stay_in_the_payload(member):
    """What cannot be a field of the entry is kept where it was."""
    kept = fields(json.dumps({"message": "m", **member}))

    assert {"message": "m", **member} == kept["jsonPayload"]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1, 2]",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1' + "0" * 400 + "}",
        '{"a": 1' + "0" * 5000 + "}",
        '{"a": "\\ud800"}',
        '{"\\udfff": 1}',
        '{"a": ' + "[" * 60 + "]" * 60 + "}",
        '{"a": ' + '{"a": ' * 100_000,
        '{"a": "' + "x" * LONGEST + '"}',
    ],
    ids=lambda line: line[:12],
)
def test_hostile_lines_are_text(line):
    """A line that no payload can hold is kept as text, cut to what an entry may have."""

    assert line[:LONGEST] == fields(line)["textPayload"]


def test_bytes_that_are_no_text():
    """Bytes that are no UTF-8 are replaced, not refused."""

    assert "\ufffd\ufffdx" == fields(b"\xff\xfex")["textPayload"]


@pytest.mark.parametrize("line", ["", "\n", "  \r\n", b""])
def test_an_empty_line_is_none(line):
    """Nothing printed is no entry."""

    assert entry(line, PRINTER, at=AT) is None


SPECIAL = ["severity", "time", "timestamp", "httpRequest"] + [
    f"logging.googleapis.com/{name}"
    for name in ("insertId", "labels", "operation", "sourceLocation", "spanId", "trace", "trace_sampled")
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1s", "ERROR", "seconds"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text() | st.sampled_from(["seconds", "nanos", "status", "latency", "line"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text() | st.sampled_from(SPECIAL), VALUES, max_size=6).map(json.dumps)
    | st.text()
    | st.binary().map(lambda raw: raw.replace(b"\n", b""))
)
def test_every_line_becomes_an_entry_that_can_be_read_back(line):
    """Whatever a line is, it is none or an entry that goes over the wire and can be written as JSON."""
    kept = entry(line, PRINTER, at=AT)
    if kept is not None:
        json_format.MessageToJson(type(kept).FromString(kept.SerializeToString()))
        assert kept.WhichOneof("payload") in {"json_payload", "text_payload"}
