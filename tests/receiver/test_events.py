"""Secret Manager's notifications as production sends them, and everything that is none."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.errors import UnreadablePush
from receiver.events import FUTURE_SLACK, MAX_BODY, EventType, decode_push
from receiver.knowledge import LATEST, Claim, Knowledge, Word
from receiver.names import SecretName
from receiver.reading import nanoseconds


SECRET = "projects/82150720798/secrets/X"
REGIONAL = "projects/82150720798/locations/us-central1/secrets/X"
WHEN = "2026-10-02T06:03:43.549786-07:00"
STAMP = 1_790_946_223_549_786_000
PUBLISHED = "2026-10-02T13:03:44.1Z"


def push(kind, *, secret=SECRET, number=None, data=None, when=WHEN, published=PUBLISHED, **more):
    attributes = {"dataFormat": "JSON_API_V1", "eventType": kind, "secretId": secret, "timestamp": when, **more}
    if number is not None:
        attributes["versionId"] = f"{secret}/versions/{number}"
    message = {
        "attributes": {key: value for key, value in attributes.items() if value is not None},
        "messageId": "77",
        "message_id": "77",
        "publishTime": published,
    }
    if data is not None:
        message["data"] = base64.b64encode(json.dumps(data).encode()).decode()
    return json.dumps({"subscription": "projects/p/subscriptions/s", "message": message}).encode()


def decoded(body):
    return decode_push(body, received=STAMP)


VERSIONS = [
    (EventType.ADD, {7: Word(STAMP, unusable=False, claim=Claim.ADDED)}),
    (EventType.ENABLE, {7: Word(STAMP, unusable=False, claim=Claim.ENABLED)}),
    (EventType.DISABLE, {7: Word(STAMP, unusable=True)}),
    (EventType.DESTROY_SCHEDULED, {7: Word(STAMP, unusable=True)}),
    (EventType.DESTROY, {7: Word(STAMP, unusable=True)}),
]


@pytest.mark.parametrize("secret", [SECRET, REGIONAL], ids=["global", "regional"])
@pytest.mark.parametrize(("kind", "words"), VERSIONS, ids=[kind.value for kind, _ in VERSIONS])
def test_version_events_speak_of_one_version(kind, words, secret):
    """Each version event becomes one word on its number, stamped with the event's own time to the nanosecond."""
    event = decoded(push(kind, secret=secret, number=7))

    assert SecretName.parse(secret) == event.secret
    assert words == event.knowledge().words
    assert (7, STAMP, "77", False) == (event.number, event.stamp, event.message_id, event.from_future)


def test_destroyed_is_for_ever_and_scheduled_is_not():
    """DESTROY is remembered as such; a scheduled destruction can still be taken back by enabling."""
    enabled = Knowledge.version(7, STAMP + 1, usable=True, claim=Claim.ENABLED)
    destroyed = decoded(push(EventType.DESTROY, number=7)).knowledge()
    scheduled = decoded(push(EventType.DESTROY_SCHEDULED, number=7)).knowledge()

    assert destroyed.merge(enabled).wanted(LATEST) is None
    assert 7 == scheduled.merge(enabled).wanted(LATEST)


def test_creation_and_deletion_are_boundaries():
    """CREATE and DELETE begin and end a life of the secret."""

    assert Knowledge.born(STAMP) == decoded(push(EventType.CREATE)).knowledge()
    assert Knowledge.deleted(STAMP) == decoded(push(EventType.DELETE, deleteType="EXPIRATION")).knowledge()


def test_an_update_shows_the_whole_alias_map():
    """int64 is text in proto3 JSON; a body without versionAliases says that there are none."""
    update = decoded(push(EventType.UPDATE, data={"name": SECRET, "versionAliases": {"live": "12"}}))
    none = decoded(push(EventType.UPDATE, data={"name": SECRET}))

    assert Knowledge.whole_alias_map({"live": 12}, STAMP) == update.knowledge()
    assert Knowledge.whole_alias_map({}, STAMP) == none.knowledge()


@pytest.mark.parametrize(
    "data",
    [None, [], "text", {"versionAliases": 3}, {"versionAliases": {"live": "x"}}, {"versionAliases": {"l": None}}],
)
def test_an_update_whose_body_cannot_be_read_says_nothing(data):
    """No body is not "no aliases"."""

    assert decoded(push(EventType.UPDATE, data=data)).knowledge() is None


@pytest.mark.parametrize("kind", [EventType.ROTATE, EventType.TOPIC_CONFIGURED, "SECRET_SOMETHING_NEW"])
def test_what_moves_no_value_teaches_nothing(kind):
    """SECRET_ROTATE announces no version; TOPIC_CONFIGURED and unknown types are not about one."""

    assert decoded(push(kind)).knowledge() is None


def test_topic_configured_comes_with_nothing_but_its_type():
    """The test message of a topic has no secret, no time and no data."""
    body = push(EventType.TOPIC_CONFIGURED, secret=None, when=None, dataFormat=None)

    assert decoded(body).knowledge() is None


def test_an_event_from_the_future_is_cut_to_a_minute_after_its_publication():
    """One bad clock must not win for ever."""
    event = decoded(push(EventType.ADD, number=7, when="2999-01-01T00:00:00Z"))

    assert nanoseconds(PUBLISHED) + FUTURE_SLACK == event.stamp
    assert event.from_future


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T01:00:00.000000001+01:00", 1),
        ("2026-10-02T06:03:43.33658-07:00", 1_790_946_223_336_580_000),
    ],
)
def test_times_keep_their_nanoseconds(text, expected):
    """Offsets and dropped trailing zeros are read; nothing is rounded into a tie."""

    assert expected == nanoseconds(text)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"[" * 60_000,
        b'{"message": []}',
        b'{"message": {"attributes": 3}}',
        b'{"message": {"attributes": {"eventType": 3}}}',
        b'{"message": {"attributes": {"eventType": "SECRET_VERSION_ADD"}, "publishTime": 12}}',
        b"9" * 6000,
        b"\xff\xfe",
        push(EventType.ADD),
        push(EventType.ADD, number="latest"),
        push(EventType.ADD, number=0),
        push(EventType.ADD, number=7, when=None),
        push(EventType.ADD, number=7, when="yesterday"),
        push(EventType.ADD, number=7, when="2026-13-45T99:00:00Z"),
        push(EventType.ADD, number=7, secret="projects/1/topics/x"),
        push(EventType.ADD, number=7, secretId="projects/1/secrets/OTHER"),
        push(None),
    ],
)
def test_everything_else_is_unreadable_and_repeats_nothing(body):
    """Whatever is no notification is refused as one error whose text holds nothing of it."""
    with pytest.raises(UnreadablePush) as refused:
        decoded(body)

    assert len(str(refused.value)) < 100


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_body_raises_anything_else(body):
    """Random bodies end as an event or as unreadable."""
    assert MAX_BODY > len(body)
    with suppress(UnreadablePush):
        decoded(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["attributes", "data", "messageId", "publishTime", "message_id"]), json_values),
    st.dictionaries(st.sampled_from(["eventType", "secretId", "versionId", "timestamp", "x"]), json_values),
    st.sampled_from([*EventType, "OTHER"]),
)
def test_no_shape_of_a_push_raises_anything_else(message, attributes, kind):
    """Envelopes with any value in any place end as an event or as unreadable."""
    body = json.dumps({"message": {"attributes": {"eventType": kind, **attributes}, **message}}).encode()
    with suppress(UnreadablePush):
        decoded(body)
