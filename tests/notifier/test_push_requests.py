"""What endpoints are sent: the bytes of a push, of what size and in what order, over TLS too."""

import socket
import ssl
import threading
import time

import pytest
from google.pubsub_v1 import PublisherClient

from notifier.local import delivery
from notifier.local.backlog import Backlog
from notifier.local.cloud import LocalCloud
from notifier.local.push import Endpoint, Pusher
from notifier.local.push_pace import Pace
from tests.certificates import self_signed


AT_ONCE = (0.0, 0.0)
GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"


def test_a_large_message(cloud, wire, pushed):
    """A message that no buffer takes whole arrives whole."""
    data = bytes(range(256)) * (9 * 4096)
    endpoint = wire()

    assert [204] == pushed(cloud, endpoint.url, data=data, unwrapped=True)
    assert endpoint.requests[0].endswith(b"\r\n\r\n" + data)


def test_a_name_with_several_addresses(cloud, wire, pushed, monkeypatch):
    """Where one address of a name lets nobody in, the next one is tried."""
    endpoint = wire()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        good = int(endpoint.url.rpartition(":")[2].partition("/")[0])
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (taken.getsockname()[1], good)
        ]
        look_up = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda name, *more, **how: found if name == "db" else look_up(name, *more, **how)
        )

        assert [204] == pushed(cloud, "http://db/")


def test_a_refusal_in_the_middle_of_a_large_message(cloud):
    """An endpoint that closes before it has read all is one that does not answer; the message comes again."""
    data = bytes(9_000_000)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        cloud.push_to(f"http://127.0.0.1:{port}/", topic="news", backoff=AT_ONCE, unwrapped=True)
        cloud.pubsub.publish(cloud.topic("news"), data, {})
        for _ in range(2):
            connection, _ = listening.accept()
            connection.recv(10)
            connection.close()
        assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) >= 2)

    assert {None} == {push.status for push in cloud.pubsub.pushes()}


def test_one_at_a_time_along_a_key(cloud, wire):
    """Messages of one ordering key are under way one after the other, those of another beside them."""
    endpoint = wire(rest=[GOOD])
    topic = cloud.create_topic("news")
    cloud.subscriber().create_subscription(
        request={
            "name": "projects/demo/subscriptions/ordered",
            "topic": topic,
            "push_config": {"push_endpoint": endpoint.url, "no_wrapper": {}},
            "enable_message_ordering": True,
        }
    )
    publisher = cloud.publisher()
    messages = [{"data": f"{'ab'[n % 2]}{n:02}".encode(), "ordering_key": "ab"[n % 2]} for n in range(20)]
    PublisherClient.publish(publisher, topic=topic, messages=messages)
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 20)

    came = [request[-3:] for request in endpoint.requests]
    for key in (b"a", b"b"):
        mine = [one for one in came if one.startswith(key)]
        assert sorted(mine) == mine
        assert 10 == len(mine)


@pytest.mark.parametrize(
    ("url", "first"),
    [
        ("http://db.example", "POST / HTTP/1.1\r\nHost: db.example\r\n"),
        ("http://db.example:80/a?b=c&d", "POST /a?b=c&d HTTP/1.1\r\nHost: db.example\r\n"),
        ("https://DB.example:443/a#b", "POST /a HTTP/1.1\r\nHost: db.example\r\n"),
        ("https://db.example:80/", "POST / HTTP/1.1\r\nHost: db.example:80\r\n"),
        ("http://me:secret@db.example:8080/", "POST / HTTP/1.1\r\nHost: db.example:8080\r\n"),
        ("http://[::1]:8080/", "POST / HTTP/1.1\r\nHost: [::1]:8080\r\n"),
        ("http://bücher.example/", "POST / HTTP/1.1\r\nHost: xn--bcher-kva.example\r\n"),
    ],
)
def test_the_first_lines(url, first):
    """A request names the path and the host of its URL, the port where it is not the usual one, and nobody's name."""
    assert first == delivery.target(url).head


@pytest.mark.parametrize("url", ["http://x/a b", "http://x/\x7f", "http://x/ü", "http://a b/", f"http://{'x' * 64}.y/"])
def test_urls_that_no_request_can_name(url):
    """A URL that cannot be written into a request is refused rather than written otherwise."""
    with pytest.raises(ValueError, match=r"request|label|idna"):
        delivery.target(url)


def test_a_key_that_cannot_be_a_header(cloud, wire):
    """An ordering key with the end of a line in it adds no header of its own: it is left out."""
    endpoint = wire()
    topic = cloud.create_topic("news")
    cloud.push_to(endpoint.url, topic="news", unwrapped=True, write_metadata=True)
    publisher = cloud.publisher()
    message = {"data": b"x", "ordering_key": "k\r\nAuthorization: forged"}
    PublisherClient.publish(publisher, topic=topic, messages=[message])
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 1)

    assert b"forged" not in endpoint.requests[0]
    assert b"ordering-key" not in endpoint.requests[0]


def test_a_report_that_fails(wire, caplog):
    """Who is told of pushes and fails is logged; the pushes go on, and so does their end."""

    def report(line):
        if line.startswith("pushed"):
            raise LookupError

    with LocalCloud(project="demo", report=report) as cloud:
        cloud.push_to(wire().url, topic="news")
        for _ in range(3):
            cloud.pubsub.publish(cloud.topic("news"), b"x", {})
        assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 3)

    assert ["LookupError"] * 3 == [record.exc_info[0].__name__ for record in caplog.records]


def test_no_thread_for_the_pushes(monkeypatch):
    """Where the thread that pushes cannot be started, the next change tries again, and the end needs none."""
    backlog = Backlog(clock=time.monotonic)
    pusher = Pusher("s", backlog, done=print, pace=Pace(clock=time.monotonic), fault=lambda *_: None)
    endpoint = Endpoint("http://127.0.0.1/", 1.0)
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", _out_of_threads)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="thread"):
                pusher.aim(endpoint)

    pusher.close(time.monotonic())


def _out_of_threads(_):
    raise RuntimeError("can't start new thread")


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that signs itself, and its key, in one file."""
    return self_signed(tmp_path / "endpoint.pem")


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_https(cloud, wire, certificate, secure, monkeypatch, pushed):
    """A push goes over TLS where the URL says so, large ones too, and its answer may come in pieces."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    data = bytes(3_000_000)
    endpoint = wire([b"HTTP/1.1 2", b"04 No Content\r\n\r", b"\n"], secure=secure)

    assert [204] == pushed(cloud, endpoint.url, data=data, unwrapped=True)
    assert endpoint.requests[0].endswith(data)


def test_a_certificate_of_a_stranger(cloud, wire, secure, pushed):
    """An endpoint whose certificate nobody vouches for is sent nothing."""
    endpoint = wire(secure=secure)

    assert [None, None] == pushed(cloud, endpoint.url, count=2)
    assert [] == endpoint.requests


def test_https_that_says_nothing():
    """An endpoint that accepts and then says nothing of TLS is given up at the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as silent, LocalCloud(project="demo", push_timeout=0.1) as cloud:
        cloud.push_to(f"https://127.0.0.1:{silent.getsockname()[1]}/", topic="news", backoff=AT_ONCE)
        cloud.pubsub.publish(cloud.topic("news"), b"x", {})

        assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) >= 2)
        assert {None} == {push.status for push in cloud.pubsub.pushes()}
