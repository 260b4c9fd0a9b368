"""The envelopes that one route takes: each real one ends in its event, all else is said not to be one."""

import base64
import json
import subprocess
import sys

import pytest

from receiver.envelopes import read_event
from receiver.errors import UnreadablePush
from receiver.events import FUTURE_SLACK, EventType
from receiver.knowledge import LATEST, Knowledge
from receiver.names import SecretName
from receiver.reading import nanoseconds
from tests.envelopes import (
    ADD,
    AUDIT,
    BY_ID,
    BY_NUMBER,
    PUBLISH,
    PUBLISHED,
    REGIONAL,
    STAMP,
    audit,
    binary,
    message,
    resource,
    structured,
    unwrapped,
    wrapped,
)


RECEIVED = nanoseconds("2026-10-02T13:04:00Z")
LOGGED = nanoseconds("2026-10-02T13:03:43.2Z")


def read(request, *, received=RECEIVED):
    headers, body = request
    return read_event({name.lower(): value for name, value in headers.items()}, body, received=received)


def refusal(request):
    with pytest.raises(UnreadablePush) as refused:
        read(request)
    return str(refused.value)


FROM_PUBSUB = {
    "wrapped": wrapped,
    "unwrapped": unwrapped,
    "binary": lambda *args, **named: binary(PUBLISH, message(*args, **named)),
    "structured": lambda *args, **named: structured(PUBLISH, message(*args, **named)),
}
UPDATED = {"name": BY_NUMBER, "versionAliases": {"live": "12"}}


@pytest.mark.parametrize("envelope", FROM_PUBSUB.values(), ids=FROM_PUBSUB)
def test_one_notification_says_the_same_in_every_envelope(envelope):
    """An added version, an alias map and the test message of a topic are the same event, however they were wrapped."""
    for kind, data in ((ADD, None), ("SECRET_VERSION_DESTROY", None), ("SECRET_UPDATE", UPDATED)):
        for secret in (BY_NUMBER, REGIONAL):
            assert read(wrapped(kind, data=data, secret=secret)) == read(envelope(kind, data=data, secret=secret))
    assert "TOPIC_CONFIGURED" == read(envelope("TOPIC_CONFIGURED")).type
    assert (STAMP, 7, "77", nanoseconds(PUBLISHED)) == (
        (event := read(envelope())).stamp,
        event.number,
        event.message_id,
        event.published,
    )


def test_the_data_of_an_unwrapped_push_is_its_body():
    """An unwrapped update shows its alias map as the body; the topic's test message has no body at all."""
    headers, _ = unwrapped("TOPIC_CONFIGURED")

    assert Knowledge.whole_alias_map({"live": 12}, STAMP) == read(unwrapped("SECRET_UPDATE", data=UPDATED)).knowledge()
    assert read((headers, b"")).knowledge() is None


def test_a_publish_time_that_cannot_be_read_loses_no_unwrapped_push():
    """Where the header says no time, the time of receipt stands for it."""
    headers, body = unwrapped()

    assert RECEIVED == read((headers | {"x-goog-pubsub-publish-time": "1790946224"}, body)).published


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(resource()).encode(),
        json.dumps({"name": BY_NUMBER, "replication": {"automatic": {}}}).encode(),
        json.dumps({"name": REGIONAL}).encode(),
        b"",
    ],
)
def test_an_unwrapped_push_without_metadata_says_what_to_set(body):
    """The bare data of a notification does not say what happened; the refusal names the setting that mends it."""

    assert "write_metadata" in refusal((unwrapped(metadata=False)[0], body))


def test_a_push_with_metadata_of_another_publisher_is_no_notification():
    """Metadata without an event type is a message of somebody else."""
    headers, body = unwrapped()
    del headers["eventType"]

    assert "eventType" in refusal((headers, body))


@pytest.mark.parametrize("mode", [binary, structured])
def test_ids_and_versions_are_never_invented(mode):
    """A CloudEvent without one of its four required attributes is none; the package would make them up."""
    for name in ("id", "source", "specversion", "type"):
        header = {f"Ce_{name.title()}" if mode is binary else name: None}
        assert f"a CloudEvent without {name}" == refusal(mode(PUBLISH, message(), **header))


@pytest.mark.parametrize(
    "trap",
    [
        {"Ce_Time": "yesterday"},
        {"Ce_Some_Thing": "x"},
        {"Ce_Time": None},
        {"Content_Type": None},
        {"Content_Type": "text/plain"},
        {"Ce_Recordedtime": PUBLISHED, "Ce_Methodname": "x"},
    ],
)
def test_what_the_package_stumbles_over_costs_no_event(trap):
    """A bad time, an extension of another form, and a missing or other content type are not needed to read an event."""

    assert 7 == read(binary(PUBLISH, message(), **trap)).number


def test_data_in_base64_is_read():
    """Structured mode may carry the data as base64."""
    data = base64.b64encode(json.dumps(message()).encode()).decode()

    assert 7 == read(structured(PUBLISH, None, data_base64=data)).number


@pytest.mark.parametrize(
    "request_",
    [
        binary(PUBLISH, message(), Ce_Specversion="2.0"),
        binary(PUBLISH, message(), Ce_Specversion="0.3"),
        binary("com.example.other", message()),
        binary(PUBLISH, [message()]),
        binary(PUBLISH, "text"),
        binary(PUBLISH, 3),
        binary(AUDIT, message()),
        (binary(PUBLISH, message())[0], b""),
        (binary(PUBLISH, message())[0], b"\xff\xfe{"),
        (binary(PUBLISH, message())[0], b"[" * 60_000),
        structured(PUBLISH, message(), time="yesterday"),
        structured(PUBLISH, message(), time=3),
        structured(PUBLISH, message(), **{"some-thing": "x"}),
        structured(PUBLISH, None),
        structured(PUBLISH, None, data_base64="!"),
        structured(PUBLISH, None, data_base64=3),
        (structured(PUBLISH, message())[0], b""),
        (structured(PUBLISH, message())[0], b"[]"),
        (structured(PUBLISH, message())[0], b"[" * 60_000),
        (structured(PUBLISH, message())[0], b"\xff"),
        ({"Content-Type": "application/cloudevents-batch+json"}, b"[]"),
        ({"Content-Type": "application/cloudevents+avro"}, b"x"),
        (wrapped()[0] | {"ce-id": "1"}, wrapped()[1]),
    ],
)
def test_every_other_cloud_event_is_said_not_to_be_one(request_):
    """Whatever the package raises ends as one refusal that repeats nothing."""

    assert len(refusal(request_)) < 100


def test_only_cloud_events_bring_in_the_package():
    """A service that gets pushes never imports it."""
    code = """
import sys
from receiver.envelopes import read_event
from tests.envelopes import PUBLISH, binary, message, unwrapped, wrapped
seen = []
for headers, body in (wrapped(), unwrapped(), binary(PUBLISH, message())):
    read_event({name.lower(): value for name, value in headers.items()}, body, received=0)
    seen.append("cloudevents" in sys.modules)
print(seen)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[False, False, True]" == ran.stdout.strip()


MODES = pytest.mark.parametrize("mode", [binary, structured])


@MODES
@pytest.mark.parametrize(
    ("method", "state", "wanted"),
    [
        ("AddSecretVersion", "ENABLED", Knowledge.version(7, STAMP, usable=True, claim=1)),
        ("EnableSecretVersion", "ENABLED", Knowledge.version(7, LOGGED, usable=True, claim=2)),
        ("DisableSecretVersion", "DISABLED", Knowledge.version(7, LOGGED, usable=False)),
        ("DestroySecretVersion", "DESTROYED", Knowledge.destruction(7, LOGGED)),
        ("DestroySecretVersion", "DISABLED", Knowledge.version(7, LOGGED, usable=False)),
    ],
)
def test_an_audit_entry_whose_response_shows_the_version_is_its_event(mode, method, state, wanted):
    """The number and the project's number come from the response; an added version carries its notification's stamp."""
    event = read(mode(AUDIT, audit(method, response=resource(state=state))))

    assert SecretName.parse(BY_NUMBER) == event.secret
    assert wanted == event.knowledge()
    assert not event.climb


@MODES
@pytest.mark.parametrize("name", [BY_ID, BY_NUMBER, REGIONAL])
@pytest.mark.parametrize("shown", [{}, {"request": {"parent": BY_ID}}, {"response": {}}, {"response": {"name": "?"}}])
def test_an_audit_entry_of_an_added_version_without_its_number_means_climb(mode, name, shown):
    """There is a new version but nobody says which: the secret is named, global or regional, by id or number."""
    event = read(mode(AUDIT, audit(name=name, **shown)))

    assert (SecretName.parse(name), True, None) == (event.secret, event.climb, event.knowledge())


@pytest.mark.parametrize(("method", "usable"), [("EnableSecretVersion", True), ("DisableSecretVersion", False)])
def test_without_a_response_the_resource_says_which_version(method, usable):
    """Enabling and disabling name the version that they were asked for."""
    event = read(binary(AUDIT, audit(method, name=f"{BY_ID}/versions/7")))

    assert (SecretName.parse(BY_ID), 7, False) == (event.secret, event.number, event.climb)
    assert (7 if usable else None) == event.knowledge().wanted(LATEST)


@pytest.mark.parametrize("name", [f"{BY_ID}/versions/latest", f"{BY_ID}/versions/live", BY_ID])
def test_a_version_that_is_no_number_means_climb(name):
    """An alias says nothing that could be kept."""

    assert read(binary(AUDIT, audit("DisableSecretVersion", name=name))).climb


def test_a_destruction_that_no_response_confirms_can_be_taken_back():
    """With a destroy delay the same call merely disables."""
    event = read(binary(AUDIT, audit("DestroySecretVersion", name=f"{BY_ID}/versions/7")))

    assert (EventType.DESTROY_SCHEDULED, {}) == (event.type, event.knowledge().destroyed)


def test_audit_entries_of_whole_secrets():
    """Creation and deletion are boundaries; an update shows its alias map, or means climb."""
    created = audit("CreateSecret", name="projects/pgp-live", response={**resource(), "name": BY_NUMBER})
    shown = audit("UpdateSecret", response=UPDATED)

    assert Knowledge.born(STAMP) == read(binary(AUDIT, created)).knowledge()
    assert Knowledge.deleted(LOGGED) == read(binary(AUDIT, audit("DeleteSecret"))).knowledge()
    assert Knowledge.whole_alias_map({"live": 12}, LOGGED) == read(binary(AUDIT, shown)).knowledge()
    assert read(binary(AUDIT, audit("UpdateSecret"))).climb
    assert read(binary(AUDIT, audit("UpdateSecret", response={"name": BY_NUMBER}))).climb
    assert read(binary(AUDIT, audit("UpdateSecret", response={"versionAliases": {"live": "0"}}))).climb


@pytest.mark.parametrize(
    "entry",
    [
        audit(status={"code": 7, "message": "canary"}),
        audit(response=resource(), status={"code": 9}),
        audit("AccessSecretVersion", name=f"{BY_ID}/versions/latest"),
        audit("SetIamPolicy"),
        audit("SomethingNew"),
        audit(methodName=None),
        audit(methodName=3),
    ],
)
def test_what_changed_no_secret_is_no_news(entry):
    """A refused call, a read and a policy move no value."""
    event = read(binary(AUDIT, entry))

    assert (None, None, False) == (event.secret, event.knowledge(), event.climb)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {"protoPayload": "x"},
        audit(serviceName="storage.googleapis.com"),
        audit(status="canary"),
        audit(name="projects/pgp-live"),
        audit(name=3),
        audit(name=BY_ID, response={"name": "projects/1/secrets/OTHER/versions/3"}),
        audit("CreateSecret", name="projects/pgp-live"),
        audit(response={"name": f"{BY_NUMBER}/versions/7"}) | {"timestamp": "canary"},
    ],
)
def test_every_other_entry_is_refused_without_repeating_it(entry):
    """Entries of other services, and those that contradict themselves, end as one refusal."""
    text = refusal(binary(AUDIT, entry))

    assert (True, False) == (len(text) < 100, "canary" in text)


def test_an_audit_entry_from_the_future_is_cut():
    """One bad clock must not win for ever, whatever path it comes by."""
    entry = audit("DeleteSecret") | {"timestamp": "2999-01-01T00:00:00Z"}
    event = read(binary(AUDIT, entry))

    assert (event.published + FUTURE_SLACK, True) == (event.stamp, event.from_future)
    assert RECEIVED == read(binary(AUDIT, {**entry, "receiveTimestamp": None})).published


@pytest.mark.parametrize(
    ("kind", "logged"), [("SECRET_SOMETHING_NEW", "SECRET_SOMETHING_NEW"), ("canary 7f3a", "an event of another form")]
)
def test_what_an_event_says_of_itself_is_of_a_known_form(kind, logged):
    """Types and ids of another form than Google's are not taken over, so they cannot be logged."""
    headers, body = wrapped(kind)
    changed = json.loads(body)
    changed["message"] |= {"messageId": "canary 7f3a"}
    event = read((headers, json.dumps(changed).encode()))

    assert (logged, "") == (event.type, event.message_id)
    assert "" == read(binary(AUDIT, audit() | {"insertId": "canary 7f3a"})).message_id
    assert "-1x2y3z4abcd" == read(binary(AUDIT, audit())).message_id
