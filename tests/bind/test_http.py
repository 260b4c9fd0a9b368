"""Keys in the headers of requests and httpx: the newest is sent, and a refused one is tried once more."""

import asyncio
import base64
import http.server
import io
import threading

import httpx
import pytest
import requests

from receiver.bind import httpx as bind_httpx
from receiver.bind import requests as bind_requests
from receiver.testing import rotate


class Provider(http.server.ThreadingHTTPServer):
    """An API on loopback that takes one key, and notes each request's key and body."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.takes, self.seen, self.sends_on = "one", [], None
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = self.headers.get("x-api-key") or self.headers.get("Authorization")
        self.server.seen.append((given, body))
        if self.server.sends_on:
            return self._answer(307, self.server.sends_on)
        return self._answer(200 if given == self.server.takes else 401)

    do_GET = do_POST  # noqa: N815  # the standard library's names

    def _answer(self, status, where=None):
        self.send_response(status)
        if where:
            self.send_header("Location", where)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    servers = []

    def serve():
        servers.append(Provider())
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def provider(serve):
    return serve()


@pytest.fixture
def key(cache):
    key = cache.secret("API_KEY")
    cache.load()
    return key


def by_requests(auth, url, **kwargs):
    with requests.Session() as session:
        session.auth = auth(bind_requests)
        return session.post(url, timeout=5, **kwargs).status_code


def by_httpx(auth, url, **kwargs):
    if "data" in kwargs:
        kwargs["content"] = kwargs.pop("data")
    with httpx.Client(auth=auth(bind_httpx), follow_redirects=True) as client:
        return client.post(url, **kwargs).status_code


def by_async_httpx(auth, url, **kwargs):
    if "data" in kwargs:
        kwargs["content"] = kwargs.pop("data")

    async def main():
        async with httpx.AsyncClient(auth=auth(bind_httpx), follow_redirects=True) as client:
            return (await client.post(url, **kwargs)).status_code

    return asyncio.run(main())


EACH = pytest.mark.parametrize("post", [by_requests, by_httpx, by_async_httpx])


@EACH
def test_the_newest_key_is_sent(cache, source, provider, key, post):
    """Each request carries what is served at its time."""
    auth = lambda bind: bind.HeaderKey(key, "x-api-key")  # noqa: E731
    assert 200 == post(auth, provider.url)
    rotate(cache, source, "API_KEY", "two")
    provider.takes = "two"

    assert 200 == post(auth, provider.url)
    assert ["one", "two"] == [given for given, _ in provider.seen]


@EACH
def test_a_refused_key_is_tried_once_more_with_the_newer_one(source, provider, key, post):
    """The provider has moved on, the event has not come yet: the request is sent again with what a look finds."""
    source.add("API_KEY", "two")
    provider.takes = "two"

    assert 200 == post(lambda bind: bind.HeaderKey(key, "x-api-key"), provider.url, data=b"body")
    assert [("one", b"body"), ("two", b"body")] == provider.seen


@EACH
def test_a_refusal_without_anything_newer_is_the_answer(provider, key, post):
    """It is sent once."""
    provider.takes = "nothing"

    assert 401 == post(lambda bind: bind.HeaderKey(key, "x-api-key"), provider.url)
    assert 1 == len(provider.seen)


@EACH
def test_bearer_and_basic(source, cache, provider, key, post):
    """The two standard forms; basic authentication takes its user from the secret or beside it."""
    source.add("BOTH", '{"user": "app", "password": "pw"}')
    both = cache.secret("BOTH", type="json")
    for auth, sent in (
        (lambda bind: bind.Bearer(key), "Bearer one"),
        (lambda bind: bind.Basic(key, "me"), "Basic " + base64.b64encode(b"me:one").decode()),
        (lambda bind: bind.Basic(both), "Basic " + base64.b64encode(b"app:pw").decode()),
    ):
        provider.takes = sent
        assert 200 == post(auth, provider.url)
    with pytest.raises(TypeError, match="needs a user"):
        post(lambda bind: bind.Basic(key), provider.url)


def test_a_body_that_is_streamed_is_sent_again_where_that_is_possible(source, provider, key):
    """A file is rewound to where it stood; a generator cannot be, so the refusal is the answer."""
    provider.takes = "two"
    source.add("API_KEY", "two")
    stream = io.BytesIO(b"skipped, body")
    stream.seek(9)
    auth = lambda bind: bind.HeaderKey(key, "x-api-key")  # noqa: E731

    assert 200 == by_requests(auth, provider.url, data=stream)
    assert [b"body", b"body"] == [body for _, body in provider.seen]
    source.add("API_KEY", "three")
    provider.takes = "three"
    assert 401 == by_httpx(auth, provider.url, data=iter([b"body"]), headers={"Content-Length": "4"})


def test_a_newer_key_is_not_sent_to_where_a_redirection_led(source, serve, provider, key):
    """Whoever a provider redirects to cannot ask for the newest key by refusing the old one."""
    elsewhere = serve()
    elsewhere.takes = "whatever"
    provider.sends_on = elsewhere.url
    source.add("API_KEY", "two")

    assert 401 == by_requests(lambda bind: bind.HeaderKey(key, "x-api-key"), provider.url)
    assert "two" not in {given for given, _ in elsewhere.seen}
