"""From headers and body to an answer: the order of the checks, what reaches the cache, and what is counted."""

import logging
import threading
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from receiver import Insecure, SecretCache
from receiver.errors import Answer, BoardError, ConfigurationError, Forbidden, KeysUnavailable, Unauthenticated
from receiver.events import MAX_BODY
from receiver.handler import DEADLINE, PushHandler
from receiver.knowledge import SECOND, Knowledge
from receiver.names import SecretName
from receiver.otel import Instruments
from receiver.spread import Spread
from receiver.telemetry import Voice
from receiver.testing import InMemorySource
from tests.envelopes import (
    AUDIT,
    BY_ID,
    BY_NUMBER,
    PUBLISH,
    STAMP,
    audit,
    binary,
    message,
    structured,
    unwrapped,
    wrapped,
)


class Cache:
    """What the handler asks of a cache; answers as it is told."""

    voice = Voice()
    instruments = Instruments(list, wall=lambda: 0)

    def __init__(self, spread=Spread.SETTLED):
        self.spread = spread
        self.heard = []
        self.hooks = []

    def on_fork(self, hook):
        self.hooks.append(hook)

    def serves(self, name, number):
        return False

    def announce(self, name, news, *, deadline, path):
        return self._hear("announce", name, news, deadline)

    def look(self, name, *, deadline, path):
        return self._hear("look", name, None, deadline)

    def _hear(self, what, name, news, deadline):
        self.heard.append((what, name, news, deadline))
        if isinstance(self.spread, Exception):
            raise self.spread
        return self.spread


class Shown:
    """Lets in who shows the word."""

    def verify(self, authorization):
        if authorization is None:
            raise Unauthenticated("no Authorization header")
        if authorization != "Bearer word":
            raise Forbidden("another sender")
        return "sender"

    def announce(self):
        pass

    def after_fork(self):
        pass


def answering(cache, auth=None, **clocks):
    return PushHandler(cache, auth or Insecure("a test"), **{"wall": lambda: STAMP, **clocks})


def send(handler, request):
    headers, body = request
    return handler(headers, len(body), lambda size: body[:size])


ADDED = Knowledge.version(7, STAMP, usable=True, claim=1)
ENVELOPES = {
    "wrapped": wrapped(),
    "unwrapped": unwrapped(),
    "binary": binary(PUBLISH, message()),
    "structured": structured(PUBLISH, message()),
    "audit": binary(
        AUDIT, audit(response={"name": f"{BY_NUMBER}/versions/7", "createTime": "2026-10-02T13:03:43.549786Z"})
    ),
}


@pytest.mark.promise("targeted")
@pytest.mark.parametrize("request_", ENVELOPES.values(), ids=ENVELOPES)
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_every_envelope_reaches_the_cache_whatever_the_case_of_its_headers(request_, case):
    """One route takes them all, and header names are compared without their case."""
    cache = Cache()
    headers = MappingProxyType({case(name): value for name, value in request_[0].items()})

    assert Answer.APPLIED is send(answering(cache), (headers, request_[1]))
    assert [("announce", SecretName.parse(BY_NUMBER), ADDED)] == [heard[:3] for heard in cache.heard]


@pytest.mark.promise("acked means done")
@pytest.mark.parametrize(("spread", "answer"), [(Spread.SETTLED, "APPLIED"), (Spread.UNSETTLED, "TRY_AGAIN")])
def test_an_event_without_a_number_is_looked_for(spread, answer):
    """An audit entry that does not say which version came makes the cache look upstream, within the same deadline."""
    cache = Cache(spread)

    assert answer == send(answering(cache, clock=lambda: 100.0), binary(AUDIT, audit())).name
    assert [("look", SecretName.parse(BY_ID), None, 100.0 + DEADLINE)] == cache.heard


@pytest.mark.promise("acked means done")
def test_a_new_version_of_an_audit_entry_without_a_number_is_served(tmp_path):
    """Nothing but "a version was added" is said, and the value that follows is the new one."""
    source = InMemorySource({"X": "one"})
    cache = SecretCache("pgp-live", source=source, run_dir=str(tmp_path))
    key = cache.secret("X")
    cache.load()
    source.lag("X")
    source.add("X", "two")

    answer = send(answering(cache), binary(AUDIT, audit()))
    cache.close()

    assert (Answer.APPLIED, "two") == (answer, key.value)


@pytest.mark.promise("only the sender")
@pytest.mark.parametrize("request_", ENVELOPES.values(), ids=ENVELOPES)
def test_a_stranger_is_refused_before_anything_is_read(request_):
    """Whatever the envelope, the header decides first, and a body that is too large comes after it."""
    handler = answering(cache := Cache(), Shown())
    headers, _ = request_

    def read(_):
        pytest.fail("read a stranger's body")

    assert Answer.UNAUTHENTICATED is handler(headers, 10**9, read)
    assert Answer.FORBIDDEN is handler({**headers, "AUTHORIZATION": "Bearer other"}, 10**9, read)
    assert Answer.TOO_LARGE is handler({**headers, "authorization": "Bearer word"}, MAX_BODY + 1, read)
    assert Answer.FORBIDDEN is handler(
        {**headers, "authorization": "Bearer word", "Authorization": "Bearer word"}, 5, read
    )
    assert [] == cache.heard


def test_a_body_that_is_longer_than_it_says_is_cut_off():
    """At most one byte more than the bound is asked for, and what is longer is acknowledged unread."""
    handler = answering(cache := Cache())
    asked = []

    def read(size):
        asked.append(size)
        return b"x" * size

    assert [Answer.TOO_LARGE] * 2 == [handler({}, None, read), handler({}, 3, read)]
    assert ([MAX_BODY + 1] * 2, []) == (asked, cache.heard)


def test_what_authentication_took_is_not_there_for_the_rest():
    """Reading may last, but authenticating and applying share one bound."""
    now = [100.0]

    class Slow(Shown):
        def verify(self, authorization):
            now[0] += 2

    cache = Cache()
    push = answering(cache, Slow(), clock=lambda: now[0]).admit(wrapped()[0], None)
    now[0] = 500.0
    push(wrapped()[1])

    assert 500.0 + DEADLINE - 2 == cache.heard[0][3]


@pytest.mark.parametrize("error", [ConfigurationError("nowhere to meet"), BoardError("the disk is full")])
def test_workers_that_cannot_meet_make_the_push_come_again(error, caplog):
    """A run directory that fails is no traceback: it is said, and the push is sent again."""

    assert Answer.TRY_AGAIN is send(answering(Cache(error)), wrapped())
    assert str(error) in caplog.text


@pytest.mark.promise("acked means done")
def test_an_old_message_is_acknowledged_whatever_happens():
    """Sending it again would slow every other message; what is left to do is retried here."""
    cache = Cache(Spread.UNSETTLED)

    assert Answer.TRY_AGAIN is send(answering(cache, wall=lambda: STAMP + 590 * SECOND), wrapped())
    assert Answer.HELD_BACK is send(answering(cache, wall=lambda: STAMP + 610 * SECOND), wrapped())


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (({}, b"canary"), "not JSON"),
        (unwrapped(metadata=False), "write_metadata"),
        (binary("canary", {"canary": 1}), "a type that brings no news"),
        (({"Ce-Type": "canary"}, b"canary"), "without id and source and specversion"),
        (wrapped("canary 7f3a"), "an event of another form"),
        (binary(AUDIT, audit(status={"code": 7, "message": "canary"})), "AUDIT_OF_A_FAILURE"),
    ],
)
def test_anything_else_that_is_authentic_is_acked_counted_and_said(request_, said, caplog):
    """It is acknowledged, shows up in the count, and the log says what it was without repeating it."""
    handler = answering(cache := Cache())

    with caplog.at_level(logging.INFO, "keyturn"):
        answer = send(handler, request_)

    record = caplog.records[-1]
    assert (204, {answer.name: 1}, []) == (answer.status, handler.answers, cache.heard)
    assert said in caplog.text
    assert "canary" not in caplog.text + str(record.json_fields)


def test_a_push_without_metadata_is_an_error_of_the_wiring(caplog):
    """The entry is an ERROR that names the setting."""
    send(answering(Cache()), unwrapped(metadata=False))

    assert [("ERROR", True)] == [
        (record.levelname, "write_metadata" in record.getMessage())
        for record in caplog.records
        if record.json_fields["event"] == "push_unreadable"
    ]


def test_answers_are_counted_by_name_whatever_the_number_of_threads():
    """Refused and unknown pushes are counted too, none is lost, and the count that is handed out is a copy."""
    handler = answering(Cache(), Shown())
    start = threading.Barrier(8)

    def pushing():
        start.wait()
        for _ in range(50):
            send(handler, ({"Authorization": "Bearer word"}, b"?"))
            send(handler, ({}, b"?"))

    threads = [threading.Thread(target=pushing) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.answers.clear()

    assert {"UNREADABLE": 400, "UNAUTHENTICATED": 400} == handler.answers


def test_keys_that_cannot_be_had_are_counted():
    """A token that can be neither believed nor refused is answered 503 and counted."""

    class NoKeys(Shown):
        def verify(self, authorization):
            raise KeysUnavailable("the keys could not be had")

    handler = answering(Cache(), NoKeys())

    assert (Answer.TRY_AGAIN, {"TRY_AGAIN": 1}) == (send(handler, wrapped()), handler.answers)


def test_a_forked_child_counts_for_itself():
    """It starts at nothing and never waits for a lock of its parent's."""
    handler = answering(cache := Cache())
    send(handler, wrapped())

    with handler._lock:
        for hook in cache.hooks:
            hook()
        assert {} == handler.answers
    assert isinstance(handler.answers, Mapping)
