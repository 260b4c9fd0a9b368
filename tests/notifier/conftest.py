"""A local cloud of its own for each test, and an endpoint that can be told how to answer."""

import contextlib
import json
import math
import re
import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from notifier.local.cloud import LocalCloud


@dataclass(frozen=True)
class Received:
    """One request that came to the endpoint."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self):
        return json.loads(self.raw)

    @property
    def message(self):
        return self.body["message"]


class Endpoint:
    """An HTTP endpoint for pushes: answers from `answers` while there are any, then 204."""

    def __init__(self):
        self.answers = []
        self.hold = None
        self.under_way = 0
        self.received = []
        self.changed = threading.Condition()
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/push?token=abc"

    def take(self, request):
        """Note a request, wait where requests are held, and return (status, headers) of the answer."""
        with self.changed:
            self.received.append(request)
            self.under_way += 1
            self.changed.notify_all()
            answer = self.answers.pop(0) if self.answers else 204
            hold = self.hold
        if hold is not None:
            hold.wait(10)
        with self.changed:
            self.under_way -= 1
        return answer if isinstance(answer, tuple) else (answer, {})

    def wait_for(self, count):
        """The first `count` requests, once they have come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received) >= count, 10), (count, self.received)
            return self.received[:count]

    def events(self, count):
        """The types of the first `count` events, sorted: order is not promised."""
        return sorted(request.message["attributes"]["eventType"] for request in self.wait_for(count))

    def close(self):
        if self.hold is not None:
            self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        status, headers = self.endpoint.take(Received(self.path, dict(self.headers), raw))
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
        except OSError:
            pass  # the pusher has given up

    def log_message(self, *_):
        pass


NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class Wire:
    """An endpoint that answers each request with bytes, and keeps the connection until the other side ends it."""

    def __init__(self, answers, *, secure=None, rest=NO_CONTENT):
        self.requests = []
        self._answers = list(answers)
        self._rest = rest
        self._secure = secure
        self._ended = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http{'s' if secure else ''}://127.0.0.1:{self._listening.getsockname()[1]}/push"
        self._open = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        while True:
            connection, _ = self._listening.accept()
            if self._ended.is_set():
                connection.close()
                return
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection):
        with connection:
            connection.settimeout(10.0)
            try:
                if self._secure is None:
                    self._answer(connection)
                else:
                    with self._secure.wrap_socket(connection, server_side=True) as wrapped:
                        self._answer(wrapped)
            except OSError:
                pass  # the other side has gone

    def _answer(self, connection):
        self.requests.append(_read(connection))
        answer = self._answers.pop(0) if self._answers else self._rest
        for part in answer if isinstance(answer, list) else [answer]:
            if part is None:
                return
            connection.sendall(part)
            time.sleep(0.005 if isinstance(answer, list) else 0.0)
        connection.recv(1)

    def close(self):
        self._ended.set()
        socket.create_connection(self._listening.getsockname()).close()
        self._threads[0].join(10)
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)


def _read(connection):
    """One request as it came."""
    request, ends = b"", math.inf
    while len(request) < ends:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the other side has gone")
        request += part
        if ends == math.inf and (head := re.match(rb"(?is).*?content-length: (\d+).*?\r\n\r\n", request)):
            ends = head.end() + int(head[1])
    return request


class Wall:
    """Wall time that a test moves."""

    def __init__(self, now=1_790_917_413.25):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def cloud():
    with LocalCloud(project="demo") as running:
        yield running


@pytest.fixture
def client(cloud):
    return cloud.secret_manager_client()


@pytest.fixture
def endpoint():
    serving = Endpoint()
    yield serving
    serving.close()


@pytest.fixture
def wire():
    opened = []

    def make(*answers, **how):
        opened.append(Wire(answers, **how))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def pushed():
    """Pushes one message from a cloud to a URL, and returns the statuses of its first `count` pushes."""

    def push(cloud, url, *, count=1, data=b"x", **how):
        cloud.push_to(url, topic="news", backoff=(0.0, 0.0), **how)
        cloud.pubsub.publish(cloud.topic("news"), data, {})
        assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) >= count, timeout=8)
        return [push.status for push in cloud.pubsub.pushes()][:count]

    return push
