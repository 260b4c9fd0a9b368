"""Whatever an authentic sender sends ends as an answer: no traceback, no 5xx of ours, and nothing of it in the log."""

import asyncio
import base64
import json
import logging
import random

import flask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver import Insecure, RefreshMiddleware, refresh_blueprint
from receiver.handler import PushHandler
from receiver.otel import Instruments
from receiver.spread import Spread
from receiver.telemetry import LOGGER, Voice
from tests.envelopes import (
    AUDIT,
    BY_ID,
    BY_NUMBER,
    PUBLISH,
    REGIONAL,
    WHEN,
    audit,
    binary,
    message,
    resource,
    structured,
    unwrapped,
    wrapped,
)


pytestmark = [
    pytest.mark.promise("silent"),
    pytest.mark.timeout(0),  # `make prove` takes as long as it takes
]

#: A million in all where the profile is "prove", some thousands in each run of the tests.
MOST = settings.default.max_examples * 16
MANY = settings.default.max_examples * 4
FEW = settings.default.max_examples * 2

#: In no name, number, time or type can this stand, so wherever it shows up something was repeated.
CANARY = "canary+7f3a/Zz=="
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.canary-of-a-signature"

KINDS = [
    "SECRET_CREATE", "SECRET_UPDATE", "SECRET_DELETE", "SECRET_VERSION_ADD", "SECRET_VERSION_ENABLE",
    "SECRET_VERSION_DISABLE", "SECRET_VERSION_DESTROY", "SECRET_VERSION_DESTROY_SCHEDULED", "SECRET_ROTATE",
    "TOPIC_CONFIGURED", "SECRET_SOMETHING_NEW",
]  # fmt: skip
METHODS = [
    "AddSecretVersion", "EnableSecretVersion", "DisableSecretVersion", "DestroySecretVersion", "UpdateSecret",
    "CreateSecret", "DeleteSecret", "AccessSecretVersion",
]  # fmt: skip
UPDATED = {"name": BY_NUMBER, "versionAliases": {"live": "12"}}

REAL = [
    *(envelope(kind, data=data) for kind in KINDS for data in (None, UPDATED) for envelope in (wrapped, unwrapped)),
    *(mode(PUBLISH, message(kind)) for kind in KINDS for mode in (binary, structured)),
    *(
        mode(AUDIT, audit(method, name=name, response=response))
        for method in METHODS
        for name in (BY_ID, REGIONAL, f"{BY_ID}/versions/7")
        for response in (None, resource(), UPDATED)
        for mode in (binary, structured)
    ),
    unwrapped(metadata=False),
    binary("google.cloud.storage.object.v1.finalized", {"name": "x"}),
    ({}, b""),
]

NASTY = [
    CANARY, "", "\x00", "\ud800", "²", "٣", " ", "\r\nx: y", None, True, False, 0, -1, 7, 2**63, 10**400, 0.5,
    float("nan"), float("inf"), [], {}, [[]], {"": None}, json.loads("[" * 400 + "]" * 400), {CANARY: CANARY},
    BY_ID, BY_NUMBER, REGIONAL, f"{BY_NUMBER}/versions/8", f"{BY_NUMBER}/versions/latest", f"{BY_NUMBER}/versions/0",
    f"{BY_NUMBER}/versions/{10**19}", f"projects/1/secrets/{CANARY}", "projects/1/secrets/OTHER", WHEN,
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999999-23:59", "2026-02-30T00:00:00Z", {"live": "1"},
    {"live": CANARY}, {"live": -1}, {"code": 7, "message": CANARY}, {"name": f"{BY_NUMBER}/versions/9"}, *KINDS,
    base64.b64encode(CANARY.encode()).decode(), base64.b64encode(b'{"versionAliases": {"live": 1e400}}').decode(),
    base64.b64encode(b"[" * 5_000).decode(),
]  # fmt: skip

FIELDS = [
    "eventType", "secretId", "versionId", "timestamp", "dataFormat", "x-goog-pubsub-message-id",
    "x-goog-pubsub-publish-time", "x-goog-pubsub-subscription-name", "ce-id", "ce-source", "ce-type", "ce-specversion",
    "ce-time", "ce-data", "ce-some-thing", "ce-", "Content-Type", "content-TYPE", "X-Other",
]  # fmt: skip
CONTENTS = [
    CANARY, f"%{CANARY}", "%ff%00", "", " ", "1.0", "0.3", "77", PUBLISH, AUDIT, WHEN, BY_NUMBER,
    f"{BY_NUMBER}/versions/7", "application/json", "application/cloudevents+json", "application/cloudevents-batch+json",
    "application/cloudevents", "text/plain", "é\xff", *KINDS,
]  # fmt: skip


class Cache:
    """Answers as it is told."""

    voice = Voice()
    instruments = Instruments(list, wall=lambda: 0)

    current = True
    spread = Spread.SETTLED

    def on_fork(self, hook):
        pass

    def fence(self):
        pass

    def fenced(self, app):
        return app

    def serves(self, name, number):
        return False

    def announce(self, name, news, *, deadline, path):
        return self.spread

    def look(self, name, *, deadline, path):
        return self.spread


class Said(logging.Handler):
    """All that is logged, with its fields."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.levelname} {record.getMessage()} {vars(record)}")


@pytest.fixture(scope="module")
def said():
    handler, root = Said(), logging.getLogger()
    levels = root.level, LOGGER.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    LOGGER.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(levels[0])
    LOGGER.setLevel(levels[1])


@pytest.fixture(scope="module")
def handler():
    return PushHandler(Cache(), Insecure("a test"))


def check(handler, said, headers, body, spread):
    """Send one request: it is answered, in a line of the log that holds nothing of it."""
    handler._cache.spread = spread
    said.lines.clear()

    answer = handler({**headers, "Authorization": f"Bearer {TOKEN}"}, len(body), lambda size: body[:size])

    assert answer.status == 204 or (answer.status == 503 and spread is Spread.UNSETTLED)
    assert said.lines
    for line in said.lines:
        assert "canary" not in line
        assert "Traceback" not in line
        assert TOKEN not in line


def places(tree):
    """Every (container, key) of a JSON value."""
    found, left = [], [tree]
    while left:
        node = left.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in items:
            found.append((node, key))
            left.append(child)
    return found


def mutate_tree(chance, body):
    """Change the JSON of a body in one place, inside of a message's data too; bodies that are none stay."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return body
    found = places(tree)
    if not found:
        return json.dumps(chance.choice(NASTY)).encode()
    node, key = chance.choice(found)
    how = chance.randrange(5)
    if how == 0:
        del node[key]
    elif how == 1 and isinstance(node[key], str):
        cut = chance.randrange(len(node[key]) + 1)
        node[key] = node[key][:cut] + CANARY + node[key][cut:]
    elif how == 2 and isinstance(node, dict):
        node[chance.choice([*(name for _, name in found if isinstance(name, str)), CANARY])] = chance.choice(NASTY)
    elif how == 3:
        node[key] = chance.choice(found)[0] if chance.random() < 0.1 else json.loads(json.dumps(tree))
    else:
        node[key] = chance.choice(NASTY)
    try:
        return json.dumps(tree).encode()
    except (ValueError, RecursionError):
        return body  # it would hold itself, or is too deep


def mutate_bytes(chance, body):
    at = chance.randrange(len(body) + 1)
    how = chance.randrange(4)
    if how == 0:
        return body[:at]
    if how == 1:
        return body[:at] + CANARY.encode() + body[at:]
    if how == 2:
        return body[:at] + chance.randbytes(chance.randrange(1, 9)) + body[at + 1 :]
    return chance.choice([body + body, b"[" * 20_000, b'{"message":' * 5_000, b'{"x": "' + b"x" * 70_000])


def mutate_headers(chance, headers):
    changed = dict(headers)
    name = chance.choice([*headers, *FIELDS])
    how = chance.randrange(4)
    if how == 0:
        changed.pop(name, None)
    elif how == 1:
        changed[name] = changed.get(name, "") + CANARY
    elif how == 2:
        changed[chance.choice(FIELDS)] = chance.choice(list(headers.values()) or [""])
    else:
        changed[name] = chance.choice(CONTENTS)
    return changed


def mutated(seed, changes):
    chance = random.Random(seed)
    headers, body = chance.choice(REAL)
    for _ in range(changes):
        how = chance.random()
        if how < 0.6:
            body = mutate_tree(chance, body)
        elif how < 0.75:
            body = mutate_bytes(chance, body)
        else:
            headers = mutate_headers(chance, headers)
    if chance.random() < 0.05:
        body = chance.choice(REAL)[1]
    return headers, body


seeds = st.integers(0, 2**64 - 1)
spreads = st.sampled_from(Spread)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(NASTY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
fields = st.dictionaries(
    st.sampled_from(FIELDS) | st.text(st.characters(codec="ascii"), max_size=12),
    st.sampled_from(CONTENTS) | st.text(st.characters(codec="latin-1"), max_size=30),
    max_size=6,
)


@settings(max_examples=MOST)
@given(seeds, st.integers(0, 6), spreads)
def test_real_envelopes_with_changes(handler, said, seed, changes, spread):
    """Requests as Google sends them, with up to six changes to their headers, their bytes and their JSON."""
    headers, body = mutated(seed, changes)

    check(handler, said, headers, body, spread)


@settings(max_examples=MANY)
@given(fields, st.binary(max_size=300) | values.map(lambda value: json.dumps(value).encode()), spreads)
def test_any_headers_with_any_body(handler, said, headers, body, spread):
    """Random header sets, of names that matter and of others, with random bytes or random JSON."""

    check(handler, said, headers, body, spread)


@settings(max_examples=MANY)
@given(
    st.sampled_from(METHODS),
    st.dictionaries(
        st.sampled_from(["serviceName", "methodName", "resourceName", "request", "response", "status"]), values
    ),
    st.dictionaries(st.sampled_from(["protoPayload", "insertId", "timestamp", "receiveTimestamp"]), values, max_size=2),
    st.sampled_from([binary, structured]),
    spreads,
)
def test_audit_entries_with_any_value_in_any_place(handler, said, method, call, entry, mode, spread):
    """What an audit entry shows is nobody's promise, so any value may stand in any of its places."""
    shown = audit(method)
    shown["protoPayload"] |= call
    headers, body = mode(AUDIT, shown | entry)

    check(handler, said, headers, body, spread)


@settings(max_examples=MANY)
@given(
    st.sampled_from(
        [wrapped, unwrapped, *(lambda *a, mode=m, **k: mode(PUBLISH, message(*a, **k)) for m in (binary, structured))]
    ),
    st.sampled_from(KINDS),
    values,
    st.dictionaries(st.sampled_from(["attributes", "data", "messageId", "publishTime"]), values, max_size=2),
    spreads,
)
def test_messages_with_any_value_in_any_place(handler, said, envelope, kind, data, changes, spread):
    """Any data behind any event type, and any value in the places of a message."""
    headers, body = envelope(kind, data=data)
    tree = json.loads(body)
    inner = tree.get("data", tree) if isinstance(tree, dict) else {}
    if isinstance(inner, dict) and isinstance(inner.get("message"), dict):
        inner["message"] |= changes

    check(handler, said, headers, json.dumps(tree).encode(), spread)


@pytest.fixture(scope="module")
def skins():
    cache = Cache()
    app = flask.Flask(__name__)
    app.register_blueprint(refresh_blueprint(cache, auth=Insecure("a test")))
    return cache, app.test_client(), RefreshMiddleware(None, cache, auth=Insecure("a test"))


def by_asgi(middleware, headers, body):
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(part):
        sent.append(part)

    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/secrets/events", "headers": raw}
    asyncio.run(middleware(scope, receive, send))
    return sent[0]["status"]


@settings(max_examples=FEW)
@given(seeds, st.integers(0, 3), spreads)
def test_both_skins_give_the_same_answer(skins, said, seed, changes, spread):
    """Flask and ASGI are two skins of one handler."""
    cache, client, middleware = skins
    cache.spread = spread
    headers, body = mutated(seed, changes)
    headers = {name: value for name, value in headers.items() if "\n" not in value and name.lower() != "content-length"}
    said.lines.clear()

    answers = {
        client.post("/secrets/events", data=body, headers=headers).status_code,
        by_asgi(middleware, headers, body),
    }

    assert answers == ({204} if 503 not in answers else {503})
    assert not [line for line in said.lines if "canary" in line]
