"""The ASGI skin, driven without a server: what it answers, what it lets pass, and that it never holds up the loop."""

import asyncio
import json
import threading

import pytest

from receiver import Insecure, RefreshMiddleware, SecretCache, SharedToken
from receiver.errors import ConfigurationError, Unauthenticated
from receiver.events import MAX_BODY
from receiver.otel import Instruments
from receiver.telemetry import Voice
from receiver.testing import InMemorySource
from tests.envelopes import AUDIT, audit, binary, unwrapped, wrapped


PATH = "/secrets/events"


class Cache:
    """A cache whose fence is opened by hand."""

    voice = Voice()
    instruments = Instruments(list, wall=lambda: 0)

    def __init__(self):
        self.current = True
        self.fences = 0
        self.began = threading.Semaphore(0)
        self.opened = threading.Semaphore(0)
        self.trouble = None

    def on_fork(self, hook):
        pass

    def behind(self):
        """Something new has happened: a fence is needed, and ends when it is opened."""
        self.current = False

    def fence(self):
        self.fences += 1
        self.began.release()
        assert self.opened.acquire(timeout=10)
        if self.trouble:
            raise self.trouble


class Nobody:
    """Lets nobody in."""

    def verify(self, authorization):
        raise Unauthenticated("no Authorization header")

    def serves(self, name, number):
        return False

    def announce(self):
        pass

    def after_fork(self):
        pass


class App:
    """Remembers what reached it."""

    def __init__(self):
        self.seen = []

    async def __call__(self, scope, receive, send):
        self.seen.append((scope["type"], scope.get("path")))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"app"})


async def ask(middleware, *, method="POST", path=PATH, headers=(), chunks=(b"",), kind="http", **more):
    """Send one request; returns the messages that were sent and how many chunks were received."""
    scope = {"type": kind, "method": method, "path": path, "headers": list(headers), **more}
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": place < len(chunks)}
        if isinstance(chunk, bytes)
        else {"type": chunk}
        for place, chunk in enumerate(chunks, 1)
    ]
    received, sent = [], []

    async def receive():
        received.append(waiting.pop(0))
        return received[-1]

    async def send(message):
        sent.append(message)

    await middleware(scope, receive, send)
    return sent, len(received)


def raw(headers):
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def status(middleware, request, **more):
    headers, body = request
    sent, _ = asyncio.run(ask(middleware, headers=raw(headers), chunks=[body], **more))
    return sent[0]["status"]


@pytest.fixture
def source():
    return InMemorySource({"X": "one"})


@pytest.fixture
def cache(source, tmp_path):
    made = SecretCache("pgp-live", source=source, run_dir=str(tmp_path))
    yield made
    made.close()


@pytest.mark.promise("acked means done")
@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_a_push_is_answered_as_by_flask(cache, source, pieces):
    """The value is there when the answer is, in however many pieces the body came; a 204 has no body and no length."""
    key = cache.secret("X")
    cache.load()
    source.add("X", "two")
    headers, body = wrapped(secret=f"projects/{source.project_number}/secrets/X", number=2, when="2030-01-01T00:00:00Z")
    size = -(-len(body) // pieces)
    chunks = [body[start : start + size] for start in range(0, len(body), size)]

    middleware = RefreshMiddleware(App(), cache, auth=Insecure("a test"))
    sent, _ = asyncio.run(ask(middleware, headers=raw(headers), chunks=chunks))

    assert [
        {"type": "http.response.start", "status": 204, "headers": []},
        {"type": "http.response.body", "body": b""},
    ] == sent
    assert "two" == key.value


@pytest.mark.parametrize("request_", [unwrapped(), binary(AUDIT, audit()), ({}, b"garbage"), ({}, b"")])
def test_every_envelope_is_taken(cache, request_):
    """The same handler stands behind both skins."""

    assert 204 == status(RefreshMiddleware(App(), cache, auth=Insecure("a test")), request_)


@pytest.mark.promise("only the sender")
def test_a_strangers_body_is_never_received(cache):
    """A refusal comes before the first piece of the body, and says its length."""
    middleware = RefreshMiddleware(App(), cache, auth=Nobody())

    sent, received = asyncio.run(ask(middleware, chunks=[b"x"] * 3))

    assert (401, [(b"content-length", b"0")], 0) == (sent[0]["status"], sent[0]["headers"], received)


def test_two_tokens_are_none(cache):
    """Header fields that come twice are one list, which is no token."""
    shown = []

    class Remembers(Nobody):
        def verify(self, authorization):
            shown.append(authorization)
            super().verify(authorization)

    headers = [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")]
    asyncio.run(ask(RefreshMiddleware(App(), cache, auth=Remembers()), headers=headers))

    assert ["Bearer a, Bearer b"] == shown


@pytest.mark.parametrize(
    ("headers", "most"),
    [
        ([(b"content-length", b"70000")], 0),
        ([(b"content-length", b"9" * 30)], MAX_BODY // 1000 + 1),
        ([(b"content-length", "٣".encode())], MAX_BODY // 1000 + 1),
        ([], MAX_BODY // 1000 + 1),
    ],
)
def test_no_more_than_the_bound_is_received(cache, headers, most):
    """A body that says it is too large is not received at all; one that does not say is cut off at the bound."""
    middleware = RefreshMiddleware(App(), cache, auth=Insecure("a test"))

    sent, received = asyncio.run(ask(middleware, headers=headers, chunks=[b"x" * 1000] * 1000))

    assert (204, most) == (sent[0]["status"], received)


def test_a_sender_who_goes_away_is_not_answered(cache):
    """A connection that ends in the middle of the body is no event and no error."""
    middleware = RefreshMiddleware(App(), cache, auth=Insecure("a test"))

    assert ([], 2) == asyncio.run(ask(middleware, chunks=[b"x", "http.disconnect"]))


@pytest.mark.parametrize(
    ("request_", "ours"),
    [
        ({"method": "GET"}, False),
        ({"path": "/"}, False),
        ({"path": PATH + "/"}, False),
        ({"path": "/v1" + PATH}, False),
        ({"path": "/v1" + PATH, "root_path": "/v1"}, True),
        ({"path": PATH, "root_path": "/v1"}, True),
        ({"kind": "websocket"}, False),
        ({"kind": "lifespan"}, False),
    ],
)
def test_everything_but_a_push_is_the_applications(cache, request_, ours):
    """Other methods, paths, WebSockets and the lifespan reach the application as they came."""
    app = App()

    asyncio.run(ask(RefreshMiddleware(app, cache, auth=Insecure("a test")), **request_))

    assert ours is (not app.seen)


def test_the_route_is_where_it_was_put(cache):
    """Another path can be named, and the usual one then is the application's."""
    app = App()
    middleware = RefreshMiddleware(app, cache, auth=Insecure("a test"), path="/news")

    assert [204, 200] == [status(middleware, ({}, b"?"), path=path) for path in ("/news", PATH)]


@pytest.mark.promise("free to read")
def test_where_nothing_is_new_no_thread_is_made():
    """A request that finds its worker current passes without a fence; so does the lifespan at any time."""
    cache, app = Cache(), App()
    middleware = RefreshMiddleware(app, cache, auth=Insecure("a test"))

    asyncio.run(ask(middleware, method="GET"))
    cache.behind()
    asyncio.run(ask(middleware, kind="lifespan"))

    assert (0, 2) == (cache.fences, len(app.seen))


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_request_waits_for_the_fence_and_the_loop_does_not(kind):
    """While the fence is shut, requests wait, share it, and the loop goes on; afterwards all pass."""
    cache, app = Cache(), App()
    cache.behind()
    middleware = RefreshMiddleware(app, cache, auth=Insecure("a test"))

    async def run():
        asked = [asyncio.ensure_future(ask(middleware, method="GET", kind=kind)) for _ in range(50)]
        await asyncio.to_thread(cache.began.acquire)  # the loop runs while the fence is shut
        assert [] == app.seen
        cache.current = True
        cache.opened.release()
        await asyncio.gather(*asked)

    asyncio.run(run())

    assert (1, 50) == (cache.fences, len(app.seen))


@pytest.mark.promise("nobody left behind")
def test_who_comes_during_a_fence_waits_for_the_next():
    """A fence that began before the latest news may have missed it, so a later request needs one of its own."""
    cache, app = Cache(), App()
    cache.behind()
    middleware = RefreshMiddleware(app, cache, auth=Insecure("a test"))

    async def run():
        first = asyncio.ensure_future(ask(middleware, path="/first", method="GET"))
        await asyncio.to_thread(cache.began.acquire)
        second = asyncio.ensure_future(ask(middleware, path="/second", method="GET"))
        await asyncio.sleep(0)  # it has found the fence of the first
        cache.opened.release()
        await first
        await asyncio.to_thread(cache.began.acquire)
        assert [("http", "/first")] == app.seen
        cache.opened.release()
        await second

    asyncio.run(run())

    assert 2 == cache.fences


@pytest.mark.promise("last good")
def test_a_fence_that_does_not_end_is_waited_for_a_second_at_most(monkeypatch):
    """Then the last good value serves."""
    monkeypatch.setattr("receiver.asgi.CATCH_UP", 0.01)
    cache, app = Cache(), App()
    cache.behind()

    asyncio.run(ask(RefreshMiddleware(app, cache, auth=Insecure("a test")), method="GET"))
    cache.opened.release()

    assert 1 == len(app.seen)


def test_workers_that_cannot_meet_are_said_to_each_request():
    """What the fence raises reaches the server as it does under Flask, and the next request tries again."""
    cache, app = Cache(), App()
    cache.behind()
    cache.trouble = ConfigurationError("nowhere to meet")
    middleware = RefreshMiddleware(app, cache, auth=Insecure("a test"))

    for _ in range(2):
        cache.opened.release()
        with pytest.raises(ConfigurationError):
            asyncio.run(ask(middleware, method="GET"))

    assert (2, []) == (cache.fences, app.seen)


def test_pushes_are_worked_on_a_few_at_a_time(monkeypatch):
    """More pushes than slots wait for one, and all are answered."""
    monkeypatch.setattr("receiver.asgi.PUSHES", 2)
    under_way, most, lock = [0], [0], threading.Lock()
    both = threading.Barrier(2)

    class Slow(Nobody):
        def verify(self, authorization):
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            both.wait(10)
            with lock:
                under_way[0] -= 1
            return "sender"

    middleware = RefreshMiddleware(App(), Cache(), auth=Slow())

    async def run():
        return await asyncio.gather(*(ask(middleware) for _ in range(10)))

    answers = asyncio.run(run())

    assert (2, [204] * 10) == (most[0], [sent[0]["status"] for sent, _ in answers])


class TestOperators:
    """The routes for people, beside the push route."""

    TOKEN = "canary-token-of-the-operators"
    BEARER = ((b"authorization", f"Bearer {TOKEN}".encode()),)

    def answer(self, middleware, method, path, headers=BEARER, body=b""):
        sent, _ = asyncio.run(ask(middleware, method=method, path=path, headers=headers, chunks=[body]))
        return sent[0]["status"], json.loads(sent[1]["body"] or b"null") if sent[1]["body"] != b"app" else "app"

    def test_they_are_the_applications_unless_somebody_is_named(self, cache):
        """Without operators the paths are the application's."""
        middleware = RefreshMiddleware(App(), cache, auth=Insecure("a test"))

        assert (200, "app") == self.answer(middleware, "GET", "/secrets/status")
        assert (200, "app") == self.answer(middleware, "POST", "/secrets/refresh")

    def test_they_answer_operators(self, cache, source):
        """Status and refresh, for those who show the token; strangers have no body read."""
        cache.secret("X")
        cache.load()
        source.add("X", "two")
        middleware = RefreshMiddleware(App(), cache, auth=Insecure("a test"), operators=SharedToken(self.TOKEN))

        status, refreshed = self.answer(middleware, "POST", "/secrets/refresh", body=b'{"secret": "X"}')
        again, _ = self.answer(middleware, "POST", "/secrets/refresh", body=b'{"secret": "X"}')
        told, shown = self.answer(middleware, "GET", "/secrets/status")
        refused, received = asyncio.run(ask(middleware, path="/secrets/refresh"))

        assert [200, 429, 200, 401] == [status, again, told, refused[0]["status"]]
        assert (2, "this container", 0) == (shown["entries"][0]["version"], refreshed["scope"], received)
        assert "canary" not in json.dumps(shown)
