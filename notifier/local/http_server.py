"""An HTTP server of the standard library on a loopback port, which ends at once when it is told to."""

import contextlib
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from .rpc import LOOPBACK, PortInUse, reached


# A browser that was told that some name is 127.0.0.1 still says that name: such pages get nothing.
OURSELVES = frozenset({LOOPBACK, "localhost"})


def content_length(said: str) -> int | None:
    """The length that a header tells; None where it is no number, or one of more digits than any body's."""
    return int(said) if re.fullmatch("[0-9]{1,12}", said) else None


class HttpServer:
    """Serve requests, each connection in a thread of its own.

    Args:
        name: for messages.
        handler: answers a connection's requests.
        port: 0 takes a free one.
        address: to listen on.

    Raises:
        PortInUse: the port is taken.
    """

    def __init__(self, name: str, handler: type[BaseHTTPRequestHandler], *, port: int, address: str) -> None:
        try:
            self._server = _Server((address, port), handler)
        except OSError as exc:
            raise PortInUse(name, port, address=address) from exc
        self.port = int(self._server.server_address[1])
        self._reached = reached(address)
        self.url = f"http://{self._reached}:{self.port}"
        self._ended = False
        self._thread = threading.Thread(target=self._serve, name=f"local-{name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; requests under way are not waited for."""
        self._ended = True
        # The server waits for a connection, without looking up now and then: so it gets one.
        with contextlib.suppress(OSError):
            socket.create_connection((self._reached, self.port), timeout=1.0).close()
        self._thread.join(1.0)
        self._server.server_close()

    def _serve(self) -> None:
        while not self._ended:
            self._server.handle_request()


class _Server(ThreadingHTTPServer):
    # Threads of requests never hold up the end of the process.
    daemon_threads = True
    block_on_close = False
    # The standard library's 5 is too few for a burst of workers that fetch keys.
    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind without asking DNS for our own name, as the standard library would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def handle_error(self, *_: object) -> None:
        """Say nothing where a client has gone: standard error belongs to the command."""
