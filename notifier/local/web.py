"""A small HTTP server on loopback: routes are plain functions of a JSON body."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from .http_server import OURSELVES, HttpServer, content_length
from .rpc import LOOPBACK


# Larger than any request that a route takes.
_LARGEST_BODY = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What a route answers."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bad(Exception):
    """The request cannot be answered; the message says why."""

    message: str
    status: int = 400


Route = Callable[[Mapping[str, Any]], Reply]


def told(body: Any) -> Reply:
    """Answer with JSON."""
    return Reply(json.dumps(body).encode() + b"\n")


class WebServer(HttpServer):
    """Serve routes on a loopback port.

    Args:
        routes: (method, path) -> route. A GET's route is given the query, a POST's the JSON object in the body.
        port: 0 takes a free one.
        address: to listen on; everybody who reaches it may do everything.

    Raises:
        PortInUse: the port is taken.
    """

    def __init__(self, routes: Mapping[tuple[str, str], Route], *, port: int, address: str = LOOPBACK) -> None:
        handler = type("Handler", (_Handler,), {"routes": routes, "anybody": address != LOOPBACK})
        super().__init__("keys", handler, port=port, address=address)


class _Handler(BaseHTTPRequestHandler):
    """One request a connection (HTTP/1.0), so that nothing stays open."""

    routes: ClassVar[Mapping[tuple[str, str], Route]] = {}
    # Whether it was told to serve others than this machine, who call it by any name.
    anybody: ClassVar[bool] = False
    timeout = 5.0
    server_version = "keyturn-local"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer(lambda: dict(parse_qsl(self.path.partition("?")[2])))

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer(self._json)

    def log_message(self, *_: object) -> None:
        """Keep quiet: what changes something is reported where it changes."""

    def _answer(self, given: Callable[[], Mapping[str, Any]]) -> None:
        try:
            reply = self._route()(given())
        except Bad as bad:
            reply = Reply(json.dumps({"error": bad.message}).encode() + b"\n", bad.status)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def _route(self) -> Route:
        if not self.anybody and self.headers.get("Host", "").rpartition(":")[0] not in OURSELVES:
            raise Bad("This server is for this machine only.", 403)
        route = self.routes.get((self.command, self.path.partition("?")[0]))
        if route is None:
            raise Bad("There is nothing here.", 404)
        return route

    def _json(self) -> Mapping[str, Any]:
        # A page in a browser cannot send this type elsewhere without asking first, and is never allowed.
        if self.headers.get_content_type() != "application/json":
            raise Bad("Content-Type must be application/json.", 415)
        length = content_length(self.headers.get("Content-Length", ""))
        if length is None or length > _LARGEST_BODY:
            raise Bad("Content-Length is missing or too large.", 413)
        try:
            given = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError) as exc:
            raise Bad("The body is not JSON.") from exc
        if not isinstance(given, dict):
            raise Bad("The body is not a JSON object.")
        return given
