"""The Logging query language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.local.log_filter import NotAFilter, parse


FIELDS = {
    "logName": "projects/demo/logs/cloudaudit.googleapis.com%2Factivity",
    "resource": {"type": "cloud_run_revision", "labels": {"service_name": "api"}},
    "severity": "WARNING",
    "timestamp": "2026-11-25T10:00:00.250Z",
    "labels": {"a.b/c": "x", "instance": "i-1"},
    "jsonPayload": {"message": "It Turned", "version": 7.0, "ok": True, "list": ["one", "two"], "odd name": "y"},
    "httpRequest": {"status": 503, "latency": "1.500s", "requestSize": "20"},
    "operation": {"id": "op"},
}

TRUE = [
    "",
    "  -- only a comment\n",
    'resource.type="cloud_run_revision"',
    "resource.type=CLOUD_RUN_REVISION",
    "resource.labels.service_name = api severity=warning",
    "severity>=WARNING AND severity<ERROR",
    "severity>=400",
    "severity=(ERROR OR WARNING)",
    'logName="projects/demo/logs/cloudaudit.googleapis.com%2Factivity"',
    'log_id("cloudaudit.googleapis.com/activity")',
    'timestamp>="2026-11-25T10:00:00Z"',
    "timestamp>=2026-11-25T10:00:00.25Z AND timestamp<=2026-11-25T10:00:00.250Z",
    "timestamp>=2026-11-25T11:00:00.25+01:00 AND timestamp<2026-11-26",
    "jsonPayload.message:turned",
    'jsonPayload.message="it turned"',
    "jsonPayload.version=7 AND jsonPayload.version>6.5 AND jsonPayload.version!=8",
    "jsonPayload.ok=true",
    "jsonPayload.list=two",
    'jsonPayload."odd name"=y',
    'labels."a.b/c"=x',
    "labels:instance",
    "labels.instance:*",
    "jsonPayload.message:*",
    "http_request.status>=500 AND httpRequest.request_size>3 AND httpRequest.latency>0.9s",
    "turned",
    '"it turned"',
    "NOT nothing",
    "-severity=ERROR",
    "NOT jsonPayload.none=1",
    "NOT jsonPayload.none:*",
    # What LogEntry defines is there by default, a member of a payload is not.
    'trace="" AND traceSampled=false',
    "jsonPayload.version=7 (severity=ERROR OR severity=WARNING)",
    # OR binds tighter than AND.
    "severity=ERROR OR severity=WARNING AND jsonPayload.version=7",
    "jsonPayload.version=7 AND severity=WARNING OR severity=ERROR",
    "jsonPayload.message=(NOT other AND turned OR 'it turned')",
    'jsonPayload.message:"It" -- and a comment "\n AND severity=WARNING',
    r'jsonPayload.message="\It Turned"',
]

FALSE = [
    "severity>WARNING",
    "severity=none",
    "jsonPayload.none!=1",
    "jsonPayload.none=1 OR jsonPayload.version=8",
    "timestamp<2026-11-25T10:00:00.249999999Z",
    "NOT turned",
    "labels.none:*",
    "trace:*",
    "jsonPayload=x",
    "jsonPayload.version.deeper=7",
    "severity=ERROR AND severity=WARNING OR jsonPayload.version=7",
    "and",
    'log_id("other")',
]

REFUSED = [
    "severity=",
    "=ERROR",
    "AND",
    "a AND",
    "a OR OR b",
    "NOT",
    "(a",
    "a)",
    "()",
    '"open',
    "severity==ERROR",
    "nothing.like.it=1",
    "resource.none=1",
    "timestamp.seconds=1",
    "jsonPayload.a =~ b",
    'jsonPayload.a !~ "b"',
    "sample(insertId, 0.5)",
    'log_id("a"',
    "log_id(AND)",
    '"severity"=ERROR',
    "a.",
    "a, b",
    "severity=(ERROR OR )",
    "(" * 65 + "a" + ")" * 65,
    "NOT " * 70 + "a",
    "a" * 20_001,
]


@pytest.mark.parametrize("text", TRUE)
def test_lets_through(text):
    """Filters that the entry passes."""

    assert parse(text)(FIELDS)


@pytest.mark.parametrize("text", FALSE)
def test_keeps_out(text):
    """Filters that it does not pass."""

    assert not parse(text)(FIELDS)


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_refuses(text):
    """What is not of the language, or not served here, is refused with a reason."""
    with pytest.raises(NotAFilter) as refused:
        parse(text)

    assert str(refused.value)


PIECES = st.sampled_from(
    [*"()<>=!:,-.*\"' ", "AND", "OR", "NOT", "severity", "jsonPayload.version", "log_id", ">=", "=~", "7", "--", "\n"]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=30).map("".join) | st.text())
def test_whatever_is_asked_is_a_filter_or_refused(text):
    """No text breaks the parser, and no filter that it makes breaks on an entry."""
    try:
        test = parse(text)
    except NotAFilter:
        return
    assert test(FIELDS) in {True, False}
