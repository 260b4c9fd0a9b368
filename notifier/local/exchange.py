"""An HTTP request on a connection of its own, in steps, so that one thread has many under way."""

import errno
import functools
import re
import selectors
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from .turns import Steps


_T = TypeVar("_T")

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

# Bytes of an answer's head; servers and proxies allow eight to sixty-four thousand.
LONGEST_HEAD = 64 * 1024
_AT_ONCE = 16 * 1024

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r\n]")
_END = re.compile(rb"\r?\n\r?\n")

# Says that the answer is still to come.
_CONTINUE = 100


def connect(host: str, port: int, secure: ssl.SSLContext | None) -> Steps[socket.socket]:
    """Connect to the first address of a host that lets in; `host` is looked up at once, and that alone may wait.

    Args:
        host: name or address.
        port: number.
        secure: for TLS, None for none.

    Raises:
        OSError: nobody listens, or the certificate does not convince.
        UnicodeError: `host` cannot be the name of one.
    """
    refusal = OSError("the host has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            opened = yield from _opened(socket.socket(family, kind, protocol), address)
        except OSError as exc:
            refusal = exc
        else:
            return opened if secure is None else (yield from _secured(opened, host, secure))
    raise refusal


def send(opened: socket.socket, content: bytes) -> Steps[None]:
    """Send all of it.

    Raises:
        OSError: the other side is gone.
    """
    rest = memoryview(content)
    while rest:
        sent = yield from _ready(opened, functools.partial(opened.send, rest), _WRITE)
        rest = rest[sent:]


def status(opened: socket.socket) -> Steps[int]:
    """Read the head of the answer, and return its status. Its body is not read: the connection serves no other.

    Raises:
        OSError: the connection ended before the head did.
        ValueError: the answer is not HTTP, or its head is longer than `LONGEST_HEAD`.
    """
    head, seen = b"", 0
    while True:
        yield opened, _READ
        part = yield from _ready(opened, functools.partial(opened.recv, _AT_ONCE), _READ)
        if not part:
            raise ConnectionError("the connection ended before the answer")
        head += part
        while end := _END.search(head, max(0, seen - 3)):
            found = _status(head)
            if found != _CONTINUE:
                return found
            head, seen = head[end.end() :], 0
        if b"\n" in head:
            _status(head)
        if len(head) > LONGEST_HEAD:
            raise ValueError("the head of the answer is too long")
        seen = len(head)


def _status(head: bytes) -> int:
    found = _STATUS.match(head)
    if found is None:
        raise ValueError("the answer is not HTTP")
    return int(found[1])


def _opened(sock: socket.socket, address: Any) -> Steps[socket.socket]:
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield from _reach(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _reach(sock: socket.socket, address: Any) -> Steps[None]:
    # On the same machine it is there at once.
    failure = sock.connect_ex(address)
    if failure == errno.EINPROGRESS:
        yield sock, _WRITE
        failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failure:
        raise OSError(failure, "no connection")


def _secured(opened: socket.socket, host: str, secure: ssl.SSLContext) -> Steps[ssl.SSLSocket]:
    with opened:
        # This takes the connection over, so that none is left to close behind it.
        wrapped = secure.wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)
    try:
        yield from _ready(wrapped, wrapped.do_handshake, _READ)
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def _ready(opened: socket.socket, call: Callable[[], _T], event: int) -> Steps[_T]:
    """Call until it need not wait; `event` is what it waits for where it does not say so itself."""
    while True:
        try:
            return call()
        except BlockingIOError:
            wanted = event
        except ssl.SSLWantReadError:
            wanted = _READ
        except ssl.SSLWantWriteError:
            wanted = _WRITE
        yield opened, wanted
