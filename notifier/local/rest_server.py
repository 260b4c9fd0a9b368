"""RPCs by HTTP, as the official clients' REST transports and Terraform call them."""

import contextlib
import http.client
import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

from . import rest_routes
from .http_server import OURSELVES, HttpServer, content_length
from .rest_routes import Routes
from .rpc import LOOPBACK, Refusal


# Answers a call: the method's name, its request, what the caller said (names in lower case) and their address.
Answer = Callable[[str, Any, Mapping[str, str], str], Any]

# How long a connection is kept open without a request.
_IDLE = 60.0

# HTTP's number for each status [documented].
_NUMBERS = {
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "CANCELLED": 499,
    "DEADLINE_EXCEEDED": 504,
    "FAILED_PRECONDITION": 400,
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "OUT_OF_RANGE": 400,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "UNAUTHENTICATED": 401,
    "UNAVAILABLE": 503,
    "UNIMPLEMENTED": 501,
}


class RestServer(HttpServer):
    """Serve methods by HTTP on a loopback port.

    Args:
        name: for messages.
        routes: which method a request means.
        answer: calls it.
        largest: bytes of a body.
        port: 0 takes a free one.
        address: to listen on; everybody who reaches it may do everything.

    Raises:
        PortInUse: the port is taken.
    """

    def __init__(
        self, name: str, *, routes: Routes, answer: Answer, largest: int, port: int = 0, address: str = LOOPBACK
    ) -> None:
        members = {
            "routes": routes,
            "answer": staticmethod(answer),
            "largest": largest,
            "anybody": address != LOOPBACK,
        }
        super().__init__(name, type("Handler", (_Handler,), members), port=port, address=address)


class _Handler(BaseHTTPRequestHandler):
    routes: ClassVar[Routes]
    answer: ClassVar["staticmethod[[str, Any, Mapping[str, str], str], Any]"]
    # Whether it was told to serve others than this machine, who call it by any name.
    anybody: ClassVar[bool]
    largest: ClassVar[int]
    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    # An answer goes out at once, headers and body together.
    disable_nagle_algorithm = True
    wbufsize = -1
    server_version = "keyturn-local"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names that the standard library looks for

    def log_message(self, *_: object) -> None:
        """Keep quiet: what is called stands in the audit log."""

    def _answer(self) -> None:
        try:
            body = self._body()
            if body is None:
                return
            found = self.routes.find(self.command, self.path)
            if found is None:
                self._refuse(404, "NOT_FOUND", "There is nothing at this address.")
                return
            rpc, name = found
            asked = rest_routes.read(rpc, name, self.path, body)
            said = {name.lower(): value for name, value in self.headers.items()}
            host, port = self.client_address[:2]
            answer = self.answer(rpc.name, asked.request, said, f"ipv4:{host}:{port}")
        except Refusal as refusal:
            code = refusal.code.name
            self._refuse(_NUMBERS.get(code, 500), code, refusal.message)
        else:
            self._reply(200, rest_routes.written(asked, answer))

    def _body(self) -> bytes | None:
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        stranger = not self.anybody and host.rpartition(":")[0] not in OURSELVES
        if stranger or origin is not None:
            self.close_connection = True
            self._refuse(403, "PERMISSION_DENIED", "This server is for this machine only, and not for browsers.")
            return None
        length = content_length(self.headers.get("Content-Length", "0"))
        if length is None or length > self.largest or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._refuse(413, "INVALID_ARGUMENT", "Content-Length is missing or too large.")
            return None
        return self.rfile.read(length)

    def _refuse(self, status: int, code: str, message: str) -> None:
        error = {"error": {"code": status, "message": message, "status": code}}
        self._reply(status, json.dumps(error).encode())

    def _reply(self, status: int, body: bytes) -> None:
        with contextlib.suppress(OSError):
            self.send_response(status, http.client.responses.get(status, ""))
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
