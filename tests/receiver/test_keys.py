"""The issuer's keys: how often they are asked for, for how long they serve, and what a server can do about it."""

import base64
import contextlib
import itertools
import json
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from notifier.local.issuer import Issuer, SigningKey
from receiver import OIDC
from receiver.errors import Answer, ConfigurationError, KeysUnavailable, Unauthenticated
from receiver.keys import COOLDOWN, FAILURE_COOLDOWN, KEYS_VARIABLE, PublishedKeys
from tests.certificates import self_signed


pytestmark = pytest.mark.promise("only the sender")

HOUR, DAY = 3600, 86_400

#: Seconds: a download's own bound in tests of slow servers, and what a caller may take beyond it.
SHORT, SLACK = 0.3, 1.0


class Clock:
    """A clock that a test moves."""

    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def jwk():
    """One good key; its id is k1."""
    return {**SigningKey().jwk(), "kid": "k1"}


class KeyServer:
    """Answers what it is told: status, headers and body."""

    def __init__(self, jwk):
        self.status, self.headers, self.keys, self.body = 200, {}, {"k1": jwk}, None
        self.asked = []
        self.arrived, self.go = threading.Semaphore(0), threading.Event()
        self.go.set()
        handler = type("Handler", (_Handler,), {"told": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/certs"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def publish(self, *ids):
        (any_key, *_) = self.keys.values()
        self.keys = {kid: {**any_key, "kid": kid} for kid in ids}

    def close(self):
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_):
        pass


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        told = self.told
        told.asked.append(self.path)
        told.arrived.release()
        told.go.wait(10)
        body = json.dumps({"keys": list(told.keys.values())}).encode() if told.body is None else told.body
        self.send_response(told.status)
        for name, value in told.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(jwk):
    serving = KeyServer(jwk)
    yield serving
    serving.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def published(server, clock):
    return PublishedKeys(server.url, clock=clock)


def refusal(published, kid):
    with pytest.raises((Unauthenticated, KeysUnavailable)) as refused:
        published.find(kid)
    return type(refused.value)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("public, max-age=7200, must-revalidate, no-transform", 2 * HOUR),
        ("max-age=600", 600),
        ("MAX-AGE=600", 600),
        ("s-maxage=5,max-age=120", 120),
        ("max-age=0", 60),
        ("max-age=59", 60),
        ("max-age=86401", DAY),
        ("max-age=999999999", DAY),
        ("max-age=99999999999999999999", HOUR),
        ("max-age=-1", HOUR),
        ("max-age=1e9", HOUR),
        ("max-age=soon", HOUR),
        ("s-maxage=5", HOUR),
        ("no-store", HOUR),
        (None, HOUR),
    ],
)
def test_keys_are_kept_for_as_long_as_is_said(server, clock, published, said, kept):
    """Keys are kept for their max-age, from a minute to a day, and renewed at the first use after it."""
    server.headers = {"Cache-Control": said} if said else {}
    published.find("k1")
    clock.now = kept - 0.1
    published.find("k1")
    before = len(server.asked)
    clock.now = kept
    published.find("k1")

    assert (1, 2) == (before, len(server.asked))


def test_a_key_that_is_withdrawn_serves_until_its_age(server, clock, published):
    """A key that the issuer has withdrawn is refused from the next download on."""
    published.find("k1")
    server.publish("k2")
    clock.now = HOUR

    assert Unauthenticated is refusal(published, "k1")
    assert published.find("k2")


def test_strangers_cost_a_download_a_minute(server, clock, published):
    """A thousand tokens of unknown keys cost one download in a cooldown, and known keys stay at hand."""
    published.find("k1")
    clock.now = COOLDOWN - 0.1
    for number in range(1000):
        assert Unauthenticated is refusal(published, f"unknown-{number}")
    before = len(server.asked)
    clock.now = COOLDOWN
    for number in range(1000):
        assert Unauthenticated is refusal(published, f"unknown-{number}")

    assert (1, 2) == (before, len(server.asked))
    assert published.find("k1")


def test_strangers_cost_no_more_while_keys_grow_old(server, clock, published):
    """However short the keys' age is, there is a minute between two downloads."""
    server.headers = {"Cache-Control": "max-age=0"}
    for second in range(601):
        clock.now = second
        assert Unauthenticated is refusal(published, "unknown")

    assert 11 == len(server.asked)


def test_a_new_key_is_found_at_its_first_token(server, clock, published):
    """After a change of keys the first token of the new one brings it in; nobody waits for an age to end."""
    published.find("k1")
    server.publish("k1", "k2")
    clock.now = COOLDOWN

    assert published.find("k2")
    assert published.find("k1")
    assert 2 == len(server.asked)


def test_a_stranger_cannot_hold_a_new_key_off_for_longer_than_the_cooldown(server, clock, published):
    """Who shows unknown ids without end delays a new key by one cooldown: 401 until then, and Pub/Sub sends again."""
    published.find("k1")
    clock.now = 1000.0
    assert Unauthenticated is refusal(published, "stranger")  # spends the download, just before ...
    server.publish("k1", "k2")  # ... the issuer publishes
    for tenth in range(int(COOLDOWN * 10)):
        clock.now = 1000 + tenth / 10
        assert Unauthenticated is refusal(published, "stranger")
        assert Unauthenticated is refusal(published, "k2")
    downloads = len(server.asked)
    clock.now = 1000 + COOLDOWN
    assert Unauthenticated is refusal(published, "stranger")  # is the one who brings the new key in

    assert published.find("k2")
    assert (2, 3) == (downloads, len(server.asked))
    assert 401 == Answer.UNAUTHENTICATED.status


def test_a_stranger_cannot_hold_our_sender_off(server):
    """The same with real tokens: the sender's first token of a new key is let in once the cooldown is over."""
    wall = Clock(1_790_917_413)
    issuer = Issuer(wall=wall)
    claims = issuer.claims(audience="https://db.example", email="pusher@demo.example")
    clock = Clock()
    server.keys = {issuer.kid: issuer._keys[-1].jwk()}
    oidc = OIDC(
        audience="https://db.example", sender="pusher@demo.example", keys_url=server.url, clock=clock, wall=wall
    )
    for _ in range(1000):
        with pytest.raises(Unauthenticated):
            oidc.verify(f"Bearer {issuer.sign(claims)[:-40]}{'A' * 40}")
    issuer.rotate()
    server.keys = {key.kid: key.jwk() for key in issuer._keys}
    with pytest.raises(Unauthenticated, match="did not publish"):
        oidc.verify(f"Bearer {issuer.sign(claims)}")
    clock.now = COOLDOWN

    assert "pusher@demo.example" == oidc.verify(f"Bearer {issuer.sign(claims)}")
    assert 2 == len(server.asked)


def test_one_download_for_all_who_wait(server, published):
    """32 threads that need the keys at once cause one download, and each has its key."""
    server.go.clear()
    with ThreadPoolExecutor(32) as pool:
        found = [pool.submit(published.find, "k1") for _ in range(32)]
        assert server.arrived.acquire(timeout=10)
        server.go.set()

        assert all(future.result(10) for future in found)
    assert 1 == len(server.asked)


@pytest.mark.promise("one fetch")
def test_a_failure_is_shared_and_not_repeated_at_once(server, clock, published):
    """After a download that failed the next is tried when a few seconds have passed, whoever asks meanwhile."""
    server.status = 500
    for tenth in range(int(FAILURE_COOLDOWN * 10)):
        clock.now = tenth / 10
        assert KeysUnavailable is refusal(published, "k1")
    before = len(server.asked)
    server.status = 200
    clock.now = FAILURE_COOLDOWN

    assert published.find("k1")
    assert (1, 2) == (before, len(server.asked))


@pytest.mark.promise("last good")
def test_the_last_good_keys_serve_while_there_are_no_newer_ones(server, clock, published):
    """While the issuer is down, the keys serve beyond their age, for a day from their download and no longer."""
    published.find("k1")
    server.status = 503
    for now in (HOUR, 2 * HOUR, DAY - 1):
        clock.now = now
        assert published.find("k1")
        assert KeysUnavailable is refusal(published, "k2")
    clock.now = DAY

    assert KeysUnavailable is refusal(published, "k1")
    clock.now = DAY + FAILURE_COOLDOWN
    server.status = 200
    assert published.find("k1")


def test_an_unknown_key_is_not_refused_by_an_issuer_that_did_not_answer(server, clock, published):
    """Where the question could not be asked, a token of an unknown key is answered 503, not 401."""
    published.find("k1")
    server.status = 503
    clock.now = COOLDOWN

    assert KeysUnavailable is refusal(published, "k2")
    assert KeysUnavailable is refusal(published, "k2")
    assert published.find("k1")
    assert 2 == len(server.asked)


def test_redirects_are_not_followed(server, published):
    """A redirect is no answer, wherever it leads."""
    for status in (301, 302, 303, 307, 308):
        server.status, server.headers = status, {"Location": "/elsewhere"}
        assert KeysUnavailable is refusal(PublishedKeys(server.url), "k1")

    assert {"/certs"} == set(server.asked)


def test_no_proxy_stands_in_for_this_machine(server, published, monkeypatch):
    """Plain http goes to this machine, whatever proxy the environment names."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")

    assert published.find("k1")


BAD_ADDRESSES = [
    "http://example.com/certs",
    "http://127.0.0.1@example.com/certs",
    "http://localhost.example.com/certs",
    "http://0.0.0.0/certs",
    "http://2130706433/certs",
    "http:///certs",
    "https:///certs",
    "https://",
    "//example.com/certs",
    "ftp://localhost/certs",
    "file:///etc/passwd",
    "data:application/json,{}",
    "https://[::1/certs",
    "https://example.com:port/certs",
    "example.com",
    "certs",
]


@pytest.mark.parametrize("url", BAD_ADDRESSES)
def test_addresses_that_are_not_trusted(url, monkeypatch):
    """Keys come over https, or from this machine: anything else is told where the route is made, and never asked."""
    with pytest.raises(ConfigurationError, match=KEYS_VARIABLE):
        PublishedKeys(url)
    monkeypatch.setenv(KEYS_VARIABLE, url)
    oidc = OIDC(audience="https://db.example", sender="pusher@demo.example")

    with pytest.raises(ConfigurationError, match=KEYS_VARIABLE):
        oidc.announce()
    with pytest.raises(KeysUnavailable, match=KEYS_VARIABLE):
        PublishedKeys().find("k1")


@pytest.mark.parametrize(
    "url",
    ["https://example.com/x", "HTTPS://example.com", "http://127.8.9.1:80/", "http://[::1]:1/", "http://localhost"],
)
def test_addresses_that_are_trusted(url, monkeypatch):
    """https to anywhere and http to this machine are trusted, as an argument and in the environment."""
    monkeypatch.setenv(KEYS_VARIABLE, url)

    assert url == PublishedKeys(url).address() == PublishedKeys().address()


def test_google_is_asked_where_nothing_is_said(monkeypatch):
    """Without an argument or a variable the keys are Google's; an empty variable says nothing."""
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    unset = PublishedKeys().address()
    monkeypatch.setenv(KEYS_VARIABLE, "")

    assert "https://www.googleapis.com/oauth2/v3/certs" == unset == PublishedKeys().address()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b"{}",
        b'{"keys": null}',
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": "k1"}',
        b'{"keys": [1, null, "k1", []]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"keys": ' + b"1" * 10_000 + b"}",
    ],
    ids=lambda body: body[:20],
)
def test_what_is_no_key_set(server, published, body):
    """An answer that holds no key is a download that failed."""
    server.body = body

    assert KeysUnavailable is refusal(published, "k1")


def test_a_body_that_is_too_large(server, published, jwk):
    """An answer of more than a quarter of a megabyte is a download that failed, also where the keys come first."""
    server.body = json.dumps({"keys": [jwk]}).encode() + b" " * 256 * 1024

    assert KeysUnavailable is refusal(published, "k1")


ODD = {
    "another kind": {"kty": "EC"},
    "no kind": {"kty": None},
    "for encryption": {"use": "enc"},
    "another algorithm": {"alg": "RS512"},
    "no n": {"n": None},
    "n a number": {"n": 3},
    "n empty": {"n": ""},
    "n not base64": {"n": "é"},
    "e even": {"e": "AAAA"},
    "e one": {"e": "AQ"},
    "id a number": {"kid": 1},
    "id a list": {"kid": []},
    "short": None,
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD.keys())
def test_one_odd_key_takes_nothing_from_the_others(server, published, jwk, changes):
    """A key that cannot be used is passed over, so that a new kind of key never takes the good ones away."""
    given = {**jwk, "kid": "odd", **(changes or short_key())}
    odd = {name: value for name, value in given.items() if value is not None}
    server.body = json.dumps({"keys": [odd, jwk, odd]}).encode()

    assert published.find("k1")
    assert Unauthenticated is refusal(published, "odd")


def short_key():
    """A key that is too short to be safe."""
    number = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers().n
    return {"n": base64.urlsafe_b64encode(number.to_bytes(128, "big")).rstrip(b"=").decode()}


def test_a_published_private_key_is_used_as_a_public_one(server, published, jwk):
    """Of a key only its public members are taken, whatever else is published with it."""
    server.body = json.dumps({"keys": [{**jwk, "d": "AQAB", "p": "AQAB", "x5c": "?", "k": "?"}]}).encode()

    assert "RSAPublicKey" == type(published.find("k1").key).__name__


class RawServer:
    """Writes bytes to each connection, one chunk after the other, until there are none or the client has gone."""

    def __init__(self, chunks, pause=0.0):
        self.ended = threading.Event()
        self._chunks, self._pause = chunks, pause
        self._stop = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                opened, _ = self._listening.accept()
                with opened:
                    self._write(opened)
                self.ended.set()

    def _write(self, opened):
        with contextlib.suppress(OSError):
            opened.recv(65536)
            for chunk in self._chunks():
                if not chunk:
                    opened.recv(1)  # nothing comes until the client goes
                    return
                opened.sendall(chunk)
                if self._stop.wait(self._pause):
                    return

    def close(self):
        self._stop.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


@pytest.fixture
def raw():
    started = []

    def start(chunks, pause=0.0):
        started.append(RawServer(chunks, pause))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0" * 100,
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 what 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
    ],
    ids=lambda answer: answer[:40],
)
def test_whatever_a_server_says(raw, answer):
    """A server that does not speak HTTP, or breaks off, is one that gives no keys: nothing else is ever raised."""
    server = raw(lambda: [answer] if answer else [])

    assert KeysUnavailable is refusal(PublishedKeys(server.url), "k1")


def drips(start, drop):
    return lambda: itertools.chain([start] if start else [], itertools.repeat(drop))


DRIPS = {
    "silence": drips(b"", b""),
    "status": drips(b"", b"H"),
    "header": drips(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "headers": drips(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": drips(b'HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{"keys": [', b" "),
    "endless body": drips(b'HTTP/1.1 200 OK\r\n\r\n{"keys": [', b" "),
    "chunks": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "size of a chunk": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "error": drips(b"HTTP/1.1 500 Oops\r\nX: ", b"x"),
}


@pytest.mark.parametrize("chunks", DRIPS.values(), ids=DRIPS.keys())
def test_a_server_that_drips_is_cut_off(raw, chunks):
    """A server that sends a byte now and then is waited for as long as any other, by all who wait, and then cut off."""
    server = raw(chunks, 0.02)
    published = PublishedKeys(server.url, timeout=SHORT)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        refusals = set(pool.map(lambda _: refusal(published, "k1"), range(8)))
    took = time.monotonic() - began

    assert {KeysUnavailable} == refusals
    assert took < SHORT + SLACK
    assert server.ended.wait(5)


def test_a_server_that_takes_its_time_is_waited_for(raw, jwk):
    """An answer that comes in many small pieces is read to its end, where that is soon enough."""
    body = json.dumps({"keys": [jwk]}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    server = raw(lambda: [answer[at : at + 7] for at in range(0, len(answer), 7)])

    assert PublishedKeys(server.url).find("k1")


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A certificate for 127.0.0.1 that the environment declares trusted, and its key, in one file."""
    path = self_signed(tmp_path / "both.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("no_proxy", "*")
    return path


def test_https_is_checked(server, certificate, monkeypatch):
    """Keys come over https from whoever has a trusted certificate of that name, and from nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    url = server.url.replace("http:", "https:")

    assert PublishedKeys(url).find("k1")
    assert KeysUnavailable is refusal(PublishedKeys(url.replace("127.0.0.1", "localhost")), "k1")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert KeysUnavailable is refusal(PublishedKeys(url), "k1")
    assert 1 == len(server.asked)


def test_https_in_name_only(raw, monkeypatch):
    """A server that speaks something else than TLS, or drips, gives no keys, and takes no longer to do so."""
    monkeypatch.setenv("no_proxy", "*")
    began = time.monotonic()
    for server in (raw(lambda: [b"HTTP/1.1 200 OK\r\n\r\n{}"]), raw(drips(b"", b"\x16"), 0.02), raw(drips(b"", b""))):
        published = PublishedKeys(server.url.replace("http:", "https:"), timeout=SHORT)
        assert KeysUnavailable is refusal(published, "k1")
        assert server.ended.wait(5)

    assert time.monotonic() - began < 3 * (SHORT + SLACK)


def test_nobody_listens():
    """An address where nobody listens is one that gives no keys."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"

    assert KeysUnavailable is refusal(PublishedKeys(url), "k1")


def test_no_thread_for_a_download(server, published, clock, monkeypatch):
    """Where no thread can be started, as at the end of the interpreter, the keys cannot be had, and later they can."""
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", _no_thread)
        assert KeysUnavailable is refusal(published, "k1")
    clock.now = FAILURE_COOLDOWN

    assert published.find("k1")


def _no_thread(_):
    raise RuntimeError("can't start new thread")


def test_a_thread_that_dies_in_its_download_holds_nobody(published, clock, monkeypatch):
    """Whoever is killed while it downloads, as a worker is at its timeout, leaves the next one free to do it."""

    def killed(*_, **__):
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr("receiver.download.download", killed)
        with pytest.raises(SystemExit):
            published.find("k1")
    clock.now = FAILURE_COOLDOWN

    assert published.find("k1")


@pytest.mark.promise("nobody left behind")
def test_a_forked_child_waits_for_no_thread_of_its_parent(server, published):
    """A child that was forked in the middle of a download and of a lock has neither of the two."""
    server.go.clear()
    with ThreadPoolExecutor(1) as pool:
        parent = pool.submit(published.find, "k1")
        assert server.arrived.acquire(timeout=10)
        published._lock.acquire()
        held = published._lock
        published.after_fork()
        server.go.set()

        assert published.find("k1")
        held.release()
        assert parent.result(10)
    assert 2 == len(server.asked)
