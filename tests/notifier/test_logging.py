"""The local Logging, through the official client."""

import itertools
import threading
from datetime import UTC, datetime, timedelta

import google.cloud.logging
import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.audit import audit_log_pb2
from google.cloud.logging_v2 import _gapic
from google.cloud.logging_v2.types import LogEntry, TailLogEntriesRequest, WriteLogEntriesRequest
from google.logging.type import log_severity_pb2
from google.protobuf import any_pb2, duration_pb2

from notifier.local.log_store import LogStore
from notifier.local.names import project_number


PROJECT = ["projects/demo"]
LOG = "projects/demo/logs/test"
RESOURCE = {"type": "global", "labels": {"project_id": "demo"}}
START = datetime(2026, 11, 25, 10, tzinfo=UTC)


@pytest.fixture
def logs(cloud):
    return cloud.logging_client()


def write(logs, *entries, **request):
    return logs.write_log_entries(
        WriteLogEntriesRequest(
            log_name=LOG, resource=RESOURCE, entries=[LogEntry(**entry) for entry in entries], **request
        )
    )


def texts(logs, filter_="", **request):
    found = logs.list_log_entries(request={"resource_names": PROJECT, "filter": filter_, **request})
    return [entry.text_payload for entry in found]


def now(seconds=0.0):
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_what_is_written_can_be_read(logs):
    """An entry comes back with what was said for all entries, a time, an id, and everything of its own."""
    began = now(-1)
    write(logs, {"json_payload": {"a": [1, {"b": None}]}, "severity": "ERROR", "labels": {"x": "own"}},
          labels={"x": "all", "y": "all"})  # fmt: skip
    (entry,) = logs.list_log_entries(resource_names=PROJECT)

    assert LOG == entry.log_name
    assert "global" == entry.resource.type
    assert {"x": "own", "y": "all"} == dict(entry.labels)
    assert log_severity_pb2.ERROR == entry.severity
    assert entry.insert_id
    assert began < entry.timestamp == entry.receive_timestamp < now(1)
    assert {"a": [1, {"b": None}]} == LogEntry.to_dict(entry)["json_payload"]


def test_order_and_pages(logs):
    """Entries come by time, then by id, in either direction, in pages of any size that new entries do not disturb."""
    at = now()
    for second, insert_id in itertools.product((3, 1, 2), "ba"):
        moment = at + timedelta(seconds=second)
        write(logs, {"text_payload": f"{second}{insert_id}", "timestamp": moment, "insert_id": insert_id})
    expected = ["1a", "1b", "2a", "2b", "3a", "3b"]

    assert expected == texts(logs)
    assert expected == texts(logs, order_by="timestamp asc", page_size=1)
    pages = logs.list_log_entries(
        request={"resource_names": PROJECT, "order_by": "timestamp desc", "page_size": 4}
    ).pages
    first = next(pages)
    write(logs, {"text_payload": "new", "timestamp": at + timedelta(seconds=5)})
    assert expected[::-1] == [entry.text_payload for page in (first, *pages) for entry in page.entries]


def test_filters(logs):
    """The filter decides, and one that cannot be read is refused with the reason."""
    write(logs, {"text_payload": "one", "severity": "INFO"}, {"text_payload": "two", "severity": "ERROR"})

    assert ["two"] == texts(logs, "severity>=WARNING AND text_payload:T")
    assert ["one"] == texts(logs, f'NOT two timestamp>="{now(-60).isoformat()}"')
    with pytest.raises(exceptions.InvalidArgument, match="`the end` is not expected"):
        texts(logs, "severity=")


def test_one_entry_is_one(logs):
    """The same id at the same time in the same project is one entry, however often it is written."""
    same = {"text_payload": "x", "timestamp": now(), "insert_id": "same"}
    write(logs, same, same)
    write(logs, same, {**same, "insert_id": "other"})

    assert ["x", "x"] == texts(logs)


def test_projects_are_apart(logs):
    """A question names its projects, by id or by number."""
    write(logs, {"text_payload": "mine"}, {"text_payload": "other", "log_name": "projects/other/logs/x"})
    assert ["mine"] == texts(logs)
    assert ["mine"] == texts(logs, resource_names=[f"projects/{project_number('demo')}"])
    assert ["mine", "other"] == texts(logs, resource_names=[*PROJECT, "projects/other"])
    assert ["mine"] == texts(logs, resource_names=["projects/demo/locations/global/buckets/_Default/views/_AllLogs"])


def test_large_entries_come_in_smaller_pages(logs):
    """A page holds what a client takes in at once, however many entries it was to have."""
    for number in range(5):
        write(logs, *({"text_payload": f"{number}" + "x" * 200_000} for _ in range(8)))
    pages = list(logs.list_log_entries(request={"resource_names": PROJECT, "page_size": 1000}).pages)

    assert 40 == sum(len(page.entries) for page in pages)
    assert len(pages) > 1


@pytest.mark.parametrize(
    "request_",
    [
        {"resource_names": []},
        {"resource_names": ["organizations/1"]},
        {"order_by": "severity"},
        {"page_size": -1},
        {"page_token": "?"},
        {"page_token": "W10="},
        {"page_token": "e30="},
        {"filter": "(" * 500},
    ],
    ids=str,
)
def test_questions_that_are_refused(logs, request_):
    """A question that cannot be right is INVALID_ARGUMENT."""
    with pytest.raises(exceptions.InvalidArgument):
        list(logs.list_log_entries(request={"resource_names": PROJECT, **request_}))


def test_a_token_is_of_one_question(logs):
    """A page token serves the question that it was given for, and no other."""
    write(logs, {"text_payload": "x"}, {"text_payload": "y"})
    page = next(logs.list_log_entries(request={"resource_names": PROJECT, "page_size": 1}).pages)
    with pytest.raises(exceptions.InvalidArgument, match="another question"):
        texts(logs, "x", page_token=page.next_page_token)


@pytest.mark.parametrize(
    "entry",
    [
        {"log_name": "demo"},
        {"log_name": "projects/demo/logs/a b"},
        {"text_payload": "x" * 300_000},
    ],
    ids=["no log", "a space", "too large"],
)
def test_entries_that_are_refused(logs, entry):
    """One entry that is not valid refuses all, or itself alone where that is asked for."""
    with pytest.raises(exceptions.InvalidArgument, match="Entry 1"):
        write(logs, {"text_payload": "good"}, entry)
    assert [] == texts(logs)
    with pytest.raises(exceptions.InvalidArgument, match="of 2 entries 1 are not valid"):
        write(logs, {"text_payload": "good"}, entry, partial_success=True)
    assert ["good"] == texts(logs)


def test_a_dry_run_keeps_nothing(logs):
    """A dry run says what it would say, and keeps nothing; a resource is needed."""
    write(logs, {"text_payload": "x"}, dry_run=True)
    with pytest.raises(exceptions.InvalidArgument, match="resource"):
        logs.write_log_entries(entries=[LogEntry(log_name=LOG, text_payload="x")])

    assert [] == texts(logs)


def test_a_payload_of_an_unknown_type_can_be_read(logs):
    """Whoever knows its type can read it; it matches no filter, and breaks none."""
    unknown = any_pb2.Any(type_url="type.googleapis.com/none.Such", value=b"\x08\x01")
    write(logs, {"proto_payload": unknown, "severity": "ERROR"}, {"text_payload": "x"})

    (entry,) = logs.list_log_entries(request={"resource_names": PROJECT, "filter": "severity=ERROR"})
    assert unknown.value == LogEntry.pb(entry).proto_payload.value
    assert ["x"] == texts(logs, "x")


def test_what_is_too_old_or_from_the_future_is_not_listed(cloud, logs):
    """Entries are read for thirty days, and not before their time."""
    write(
        logs,
        {"text_payload": "old", "timestamp": now(-31 * 86400)},
        {"text_payload": "now"},
        {"text_payload": "future", "timestamp": now(2 * 86400)},
    )
    assert ["now"] == texts(logs)
    cloud.advance(86400 * 1.5)

    assert ["now", "future"] == texts(logs)


def test_the_audit_log_is_there(cloud, logs):
    """What the Secret Manager's audit log says is in Logging, as AuditLog messages under the project's id."""
    cloud.secret_manager.audit.switch_on()
    db = cloud.create_secret("db", b"canary")
    cloud.secret_manager_client().access_secret_version(name=f"{db}/versions/1")
    log = "projects/demo/logs/cloudaudit.googleapis.com%2Factivity"

    written = list(
        logs.list_log_entries(
            request={
                "resource_names": PROJECT,
                "filter": f'logName="{log}" protoPayload.methodName:AddSecretVersion resource.labels.project_id=demo',
            }
        )
    )
    read = list(
        logs.list_log_entries(
            request={"resource_names": PROJECT, "filter": 'log_id("cloudaudit.googleapis.com/data_access")'}
        )
    )
    payload = audit_log_pb2.AuditLog()
    assert LogEntry.pb(written[0]).proto_payload.Unpack(payload)
    assert f"{db}/versions/1" == payload.response["name"]
    assert (1, ["audited_resource"]) == (len(written), [entry.resource.type for entry in read])
    assert "canary" not in f"{written}{read}"


def test_googles_client_for_people(cloud, logs):
    """`google.cloud.logging.Client`, over this connection, writes and reads as it does in the cloud."""
    client = google.cloud.logging.Client(project="demo", credentials=AnonymousCredentials())
    client._logging_api = _gapic._LoggingAPI(logs, client)
    logger = client.logger("mine")
    logger.log_struct({"event": "refreshed", "n": 7}, severity="NOTICE")
    logger.log_text("plain")
    cloud.create_secret("db")
    newest = next(iter(client.list_entries(order_by=google.cloud.logging.DESCENDING, page_size=1)))

    assert "CreateSecret" == newest.payload["methodName"].rpartition(".")[2]
    assert [{"event": "refreshed", "n": 7}] == [one.payload for one in logger.list_entries(filter_="jsonPayload.n>6")]
    assert ["plain"] == [one.payload for one in logger.list_entries(filter_="plain")]


def tail(logs, seconds=0, **request):
    """A listener's answers; the client waits for the first before it gives them out."""
    window = duration_pb2.Duration(seconds=seconds)
    asked = TailLogEntriesRequest(resource_names=PROJECT, buffer_window=window, **request)
    return logs.tail_log_entries(requests=iter([asked]))


def test_tail(logs):
    """Who listens is sent what comes in from then on and matches."""
    write(logs, {"text_payload": "before"})
    heard, got = threading.Event(), []

    def listen():
        answers = tail(logs, filter="NOT no")
        got.extend(entry.text_payload for entry in next(answers).entries)
        answers.cancel()
        heard.set()

    listener = threading.Thread(target=listen)
    listener.start()
    while not heard.wait(0.05):
        # Whether the stream has begun already nobody is told.
        write(logs, {"text_payload": "more"}, {"text_payload": "no"})
    listener.join(10)

    assert not listener.is_alive()
    assert {"more"} == set(got)


@pytest.mark.parametrize("request_", [{"filter": "="}, {"seconds": 61}], ids=str)
def test_tails_that_are_refused(logs, request_):
    """A listener that asks for what cannot be is told so."""
    with pytest.raises(exceptions.InvalidArgument):
        tail(logs, **request_)


def test_lines_by_the_control_endpoint(cloud, logs):
    """Other processes hand in what a service printed, line by line."""
    url = f"{cloud.environment()['KEYTURN_LOCAL_CONTROL']}/logs"
    lines = ['{"severity": "NOTICE", "message": "m", "event": "refreshed"}\n', "plain", ""]
    answer = requests.post(url, json={"service": "api", "revision": "api-00007-x", "lines": lines}, timeout=5)
    wrong = [
        requests.post(url, json=body, timeout=5).status_code
        for body in ({"lines": ["x"]}, {"service": "a", "lines": "x"}, {"service": "a", "lines": [], "stream": "x"})
    ]

    assert (200, [400, 400, 400]) == (answer.status_code, wrong)
    structured, plain = logs.list_log_entries(
        request={"resource_names": PROJECT, "filter": 'resource.labels.revision_name="api-00007-x"'}
    )
    assert ("refreshed", log_severity_pb2.NOTICE) == (
        LogEntry.to_dict(structured)["json_payload"]["event"],
        structured.severity,
    )
    assert ("plain", "api") == (plain.text_payload, plain.resource.labels["service_name"])


@pytest.mark.parametrize("bound", [{"most": 3}, {"most_bytes": 200}], ids=str)
def test_memory_is_bounded(wall, bound):
    """The oldest entries go where there are too many, or too many bytes, and are forgotten altogether."""
    store = LogStore(wall=wall, **bound)
    entries = [LogEntry.pb(LogEntry(log_name=LOG, insert_id=f"{number}", text_payload="x" * 20)) for number in range(9)]
    store.add(entries)
    kept = [entry.message.insert_id for entry in store.matching(lambda _: True)]

    assert kept == [str(number) for number in range(9)][-len(kept) :]
    assert 0 < len(kept) <= 3
    store.add(entries[:1])
    assert "0" == store.after(0)[-1].message.insert_id
