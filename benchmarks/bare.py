"""The floor of a push: an HTTP server that reads it and says when.

`python bare.py PORT [read]` tells a UDP port, with `read` once it has read the announced version with the official
client; it prints its own port once it listens.
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from official import official_client


#: Told when a push was there (monotonic nanoseconds), and its headers and body.
Received = Callable[[int, dict[str, str], bytes], None]


def server(received: Received) -> HTTPServer:
    """A server on a free port of loopback, listening but not served yet."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            at = time.monotonic_ns()
            self.send_response(204)
            self.end_headers()
            received(at, dict(self.headers), body)

        def log_message(self, *_: Any) -> None:
            pass

    return HTTPServer(("127.0.0.1", 0), Handler)


def capture(cause: Callable[[str], object]) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the push that `cause` brings about at the URL that it is given."""
    caught: list[tuple[dict[str, str], bytes]] = []
    with server(lambda _, headers, body: caught.append((headers, body))) as listening:
        thread = threading.Thread(target=listening.handle_request)
        thread.start()
        cause(f"http://127.0.0.1:{listening.server_port}/secrets/events")
        thread.join(10)
    return caught[0]


def main() -> None:
    told = ("127.0.0.1", int(sys.argv[1]))
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def tell(at: int, *_: object) -> None:
        out.sendto(b'{"at": %d}' % at, told)

    def read(_: int, __: object, body: bytes) -> None:
        client.access_secret_version(name=json.loads(body)["message"]["attributes"]["versionId"])
        tell(time.monotonic_ns())

    with official_client() as client, server(read if "read" in sys.argv else tell) as listening:
        print(listening.server_port, flush=True)
        listening.serve_forever()


if __name__ == "__main__":
    main()
