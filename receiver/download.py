"""One small download that ends in time, however its server behaves."""

import contextlib
import http.client
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


#: What a server, or whatever answers in its place, can do to a client.
_TROUBLE: Final = (OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a server answered with status 2xx."""

    body: bytes
    cache_control: str


def download(url: str, *, timeout: float, largest: int, headers: Mapping[str, str] | None = None) -> Downloaded | None:
    """Get what is at a URL; None where it is not to be had, and none of the reasons matter to the caller.

    A timeout of `urllib` counts anew at each byte, and none of it covers the look-up of the name. So the work is done
    on a thread of its own, which is waited for and then cut off. Redirects are not followed. Proxies of the
    environment are used for https alone: plain http goes to this machine, and no proxy may answer in its name.

    Args:
        url: http or https.
        timeout: seconds, in all.
        largest: bytes; a longer answer is none.
        headers: of the request.
    """
    work = _Work(url, timeout, largest, headers or {})
    try:
        work.start()
    except RuntimeError:
        return None  # no more threads, or the interpreter is ending
    work.join(timeout)
    if work.is_alive():
        work.cut()
        return None
    return work.answer


class _Work(threading.Thread):
    def __init__(self, url: str, timeout: float, largest: int, headers: Mapping[str, str]) -> None:
        super().__init__(name="keyturn-download", daemon=True)
        self._url, self._timeout, self._largest = url, timeout, largest
        self._headers = headers
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False
        self.answer: Downloaded | None = None

    def run(self) -> None:
        """Download."""
        try:
            self.answer = self._get()
        except urllib.error.HTTPError as refusal:
            refusal.close()
        except _TROUBLE:
            pass  # no answer says it

    def cut(self) -> None:
        """End the connection, so that the thread ends too."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                _shut(self._socket)

    def connected(self, opened: socket.socket) -> None:
        """Note what to cut."""
        with self._lock:
            self._socket = opened
            if self._is_cut:
                _shut(opened)

    def _get(self) -> Downloaded | None:
        handlers = [_NoRedirects(), _HTTP(self), _HTTPS(self)]
        if not self._url.lower().startswith("https:"):
            handlers.append(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self._url, headers=dict(self._headers))  # noqa: S310  # ours
        with urllib.request.build_opener(*handlers).open(request, timeout=self._timeout) as answer:
            body = answer.read(self._largest + 1)
            cache_control = ",".join(answer.headers.get_all("Cache-Control", []))
        return Downloaded(body, cache_control) if len(body) <= self._largest else None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


class _HTTP(urllib.request.HTTPHandler):
    def __init__(self, work: _Work) -> None:
        super().__init__()
        self._work = work

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_noting(http.client.HTTPConnection, self._work), req)


class _HTTPS(urllib.request.HTTPSHandler):
    def __init__(self, work: _Work) -> None:
        super().__init__()
        self._work = work

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        connection = _noting(http.client.HTTPSConnection, self._work)
        return self.do_open(connection, req, context=ssl.create_default_context())


def _noting(kind: Any, work: _Work) -> Any:
    class Connection(kind):  # type: ignore[misc]  # mypy knows no bases that are arguments
        def connect(self) -> None:
            super().connect()
            work.connected(self.sock)

    return Connection


def _shut(opened: socket.socket) -> None:
    # Not TLS's own shutdown: the thread is reading through that object at this moment.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
