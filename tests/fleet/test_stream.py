"""The stream of messages: opened again where it breaks, and answered without a call for each message."""

import queue
import threading
from functools import partial

import pytest
from google.api_core import exceptions
from google.pubsub_v1.types import StreamingPullRequest, StreamingPullResponse

from receiver.errors import HearingFailed
from receiver.fleet.stream import Stream
from receiver.knowledge import SECOND
from tests.waiting import until


pytestmark = pytest.mark.promise("nobody left behind")

NAME = "projects/p/subscriptions/s"


class Server:
    """A double at the port: each stream that is opened reads its requests on a thread, as gRPC does."""

    deaf = False

    def __init__(self):
        self.streams = []

    def __call__(self, requests):
        self.streams.append(Call(requests, deaf=self.deaf))
        return self.streams[-1]

    @property
    def newest(self):
        return self.streams[-1]


class Call:
    """One stream as a client sees it; a test sends, breaks and ends it."""

    def __init__(self, requests, *, deaf):
        self.sent, self._deaf = [], deaf
        self._coming = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send, args=(requests,), daemon=True)
        self._sender.start()

    def _send(self, requests):
        for request in requests:
            self.sent.append(request)
        if not self._deaf:
            self.end()  # the client has nothing more to say, so the server ends it too

    @property
    def sending(self):
        return self._sender.is_alive()

    def give(self, *leases):
        message = {"attributes": {"a": "b"}, "publish_time": {"seconds": 7, "nanos": 9}}
        received = [{"ack_id": lease, "message": message | {"message_id": f"m-{lease}"}} for lease in leases]
        self._coming.put(StreamingPullResponse(received_messages=received))

    def end(self, exc=None):
        self._coming.put(exc)

    def cancel(self):
        self.end(exceptions.Cancelled("cancelled"))

    def __iter__(self):
        while (answer := self._coming.get(timeout=10)) is not None:
            if isinstance(answer, BaseException):
                raise answer
            yield answer

    def acknowledged(self):
        return [lease for request in self.sent for lease in request.ack_ids]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def open_stream(server, clock):
    return partial(Stream, server, subscription=NAME, lease=60, clock=clock, jitter=lambda: 0.0)


@pytest.fixture
def stream(server, heard, open_stream):
    stream = open_stream(heard=heard.append)
    until(lambda: server.streams and server.newest.sent, "it is opened")
    yield stream
    stream.close()
    until(lambda: not any(call.sending for call in server.streams), "nobody waits for more to send")


def test_a_message_is_handed_on_as_it_comes(server, stream, heard):
    """What was sent is handed on before anything is asked of the server, with its time to the nanosecond."""
    server.newest.give("1")
    until(lambda: heard, "it came")
    (first,) = server.newest.sent

    assert (NAME, 60) == (first.subscription, first.stream_ack_deadline_seconds)
    assert [({"a": "b"}, "m-1", 7 * SECOND + 9)] == [(m.attributes, m.message_id, m.published) for m in heard]


def test_answers_travel_on_the_stream(server, stream, heard):
    """What was applied is acknowledged, and what was not is asked for again."""
    server.newest.give("1", "2")
    until(lambda: len(heard) == 2, "they came")
    heard[0].answer(True)
    heard[1].answer(False)
    sent = server.newest.sent
    until(lambda: server.newest.acknowledged() and any(r.modify_deadline_ack_ids for r in sent), "they are sent")

    assert ["1"] == server.newest.acknowledged()
    assert [("2", 0)] == [
        (r.modify_deadline_ack_ids[0], r.modify_deadline_seconds[0]) for r in sent if r.modify_deadline_ack_ids
    ]


@pytest.mark.parametrize("end", [None, exceptions.ServiceUnavailable("moved"), exceptions.Unknown("reset")])
def test_a_stream_that_breaks_is_opened_again(server, stream, heard, end):
    """Pub/Sub ends streams as it likes: the next one is opened, and takes the answers that the last one did not."""
    server.newest.give("1")
    until(lambda: heard, "it came")
    before = server.newest
    before.end(end)
    until(lambda: not before.sending, "the old one sends nothing any more")
    heard[0].answer(True)
    until(lambda: server.newest is not before and server.newest.acknowledged(), "the next one answers")

    assert (None, [], ["1"]) == (stream.failure, before.acknowledged(), server.newest.acknowledged())


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (exceptions.NotFound("gone"), "missing"),
        (exceptions.PermissionDenied("no"), "denied"),
        (ValueError("closed channel"), None),
        (SystemExit(), None),
        (HearingFailed("cannot connect"), None),
    ],
)
def test_what_will_not_pass_is_told(server, stream, end, told):
    """A stream that opening again would not mend says why it has ended."""
    server.newest.end(end)
    until(lambda: stream.failure, "it has ended")

    assert told is None or getattr(stream.failure, told)
    assert stream.failure is end or not isinstance(end, HearingFailed)
    assert 1 == len(server.streams)


def test_what_was_answered_is_told_before_the_end(server, stream, heard):
    """Who leaves has acknowledged what was applied: nobody is sent it again."""
    server.newest.give("1")
    until(lambda: heard, "it came")
    heard[0].answer(True)
    stream.close()

    assert ["1"] == server.newest.acknowledged()
    assert None is stream.failure


def test_a_server_that_does_not_hear_the_end(server, open_stream):
    """A stream that the server keeps open is cancelled, so that nobody who leaves waits for it."""
    server.deaf = True
    stream = open_stream(heard=lambda _: None)
    until(lambda: server.streams and server.newest.sent, "it is opened")
    stream.close()
    until(lambda: "keyturn-stream" not in {thread.name for thread in threading.enumerate()}, "it has ended")


def test_an_idle_stream_says_that_somebody_is_there(server, open_stream, monkeypatch):
    """Pub/Sub ends streams on which nothing is sent; a request without anything in it keeps one open."""
    monkeypatch.setattr("receiver.fleet.stream._BEAT", 0.02)
    stream = open_stream(heard=lambda _: None)
    until(lambda: server.streams and len(server.newest.sent) > 2, "it says so")
    stream.close()

    assert StreamingPullRequest() == server.newest.sent[1]


@pytest.mark.parametrize("end", [None, exceptions.ServiceUnavailable("down")])
def test_streams_that_come_to_nothing_are_trouble_after_a_while(server, stream, heard, clock, end):
    """One break is routine; half a minute of them is said, until a stream brings something or lasts."""
    server.newest.end(end)
    until(lambda: len(server.streams) == 2, "it is opened again")
    routine = stream.trouble
    clock.now += 26.0
    server.newest.end(exceptions.ServiceUnavailable("down"))  # it lasted, so it had worked
    until(lambda: len(server.streams) == 3, "it is opened again")
    lasted = stream.trouble
    for count in (4, 5):
        clock.now += 13.0
        server.newest.end(end)
        until(lambda count=count: len(server.streams) == count, "it is opened again")
    trouble = stream.trouble
    server.newest.give("1")
    until(lambda: heard, "it came")

    assert (None, None, None, None) == (routine, lasted, stream.trouble, stream.failure)
    assert "cannot pull" in str(trouble)
