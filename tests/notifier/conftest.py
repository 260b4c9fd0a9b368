"""A local cloud of its own for each test, and an endpoint that can be told how to answer."""

import json
import threading
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
