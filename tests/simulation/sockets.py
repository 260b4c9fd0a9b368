"""Unix stream sockets in memory: the parts of `socket` and `selectors` that the package uses.

A fork shares the ends; the other side sees the end of the stream when the last process that has this one closes it
or dies.
"""

import errno
import socket as real_socket
import struct
from types import SimpleNamespace
from typing import Any, NamedTuple

from .files import error, files_here
from .scheduler import SCHEDULER, Task


class End:
    """One end of a connection, or a listening socket."""

    __slots__ = ("backlog", "buffer", "listening", "other", "over", "references", "room", "watchers")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.over = False  # the other side has closed
        self.other: End | None = None
        self.listening = False
        self.backlog: list[End] = []
        self.room = 0
        self.references = 1
        self.watchers: list[Task] = []

    @property
    def readable(self) -> bool:
        return bool(self.buffer or self.over or self.backlog)

    def stir(self) -> None:
        for task in self.watchers:
            SCHEDULER.wake(task)

    def released(self) -> None:
        self.references -= 1
        if self.references:
            return
        for waiting in self.backlog:
            waiting.released()
        self.listening = False
        if self.other is not None:
            self.other.over = True
            self.other.stir()


class Socket:
    """`socket.socket`: one process's handle of an end."""

    def __init__(self, family: int = 0, kind: int = 0, end: End | None = None) -> None:
        self.end: End | None = end or End()
        SCHEDULER.process.sockets[self] = None

    def setblocking(self, flag: bool) -> None:
        pass

    def bind(self, address: str) -> None:
        files_here().make(address, 0o140600).listener = self._open()

    def listen(self, backlog: int) -> None:
        end = self._open()
        end.listening, end.room = True, backlog

    def accept(self) -> tuple["Socket", str]:
        SCHEDULER.step()
        backlog = self._open().backlog
        if not backlog:
            raise error(errno.EAGAIN)
        return Socket(end=backlog.pop(0)), ""

    def connect(self, address: str) -> None:
        listener = files_here().get(address).listener
        if listener is None or not listener.listening:
            raise error(errno.ECONNREFUSED)
        if len(listener.backlog) >= listener.room:
            raise error(errno.EAGAIN)
        mine, theirs = self._open(), End()
        mine.other, theirs.other = theirs, mine
        listener.backlog.append(theirs)
        listener.stir()

    def send(self, data: bytes, flags: int = 0) -> int:
        SCHEDULER.step()
        other = self._open().other
        if other is None or other.references == 0:
            raise error(errno.EPIPE)
        other.buffer += data
        other.stir()
        return len(data)

    def recv(self, most: int) -> bytes:
        SCHEDULER.step()
        end = self._open()
        if not end.buffer:
            if end.over:
                return b""
            raise error(errno.EAGAIN)
        data = bytes(end.buffer[:most])
        del end.buffer[:most]
        return data

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        return struct.pack("3i", 0, 1000, 1000)

    def close(self) -> None:
        if self.end is not None:
            end, self.end = self.end, None
            SCHEDULER.process.sockets.pop(self, None)
            end.released()

    def _open(self) -> End:
        if self.end is None:
            raise error(errno.EBADF)
        return self.end

    def forked(self, _copied: Any) -> "Socket":
        """As in a forked child, which is the running process: the same end once more."""
        if self.end is None:
            child = Socket()
            child.close()
            return child
        self.end.references += 1
        return Socket(end=self.end)


def socketpair() -> tuple[Socket, Socket]:
    """Two ends that are connected."""
    one, two = Socket(), Socket()
    one.end.other, two.end.other = two.end, one.end
    return one, two


class Key(NamedTuple):
    """`selectors.SelectorKey`."""

    fileobj: Socket
    data: Any


class Selector:
    """`selectors.PollSelector`."""

    def __init__(self) -> None:
        self._keys: dict[Socket, Key] = {}

    def register(self, fileobj: Socket, events: int, data: Any = None) -> Key:
        if fileobj.end is None:
            raise ValueError("Invalid file descriptor: -1")
        self._keys[fileobj] = Key(fileobj, data)
        return self._keys[fileobj]

    def unregister(self, fileobj: Socket) -> Key:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[Key, int]]:
        SCHEDULER.step()
        found = self._ready()
        if found or (timeout is not None and timeout <= 0):
            return found
        ends = [socket.end for socket in self._keys if socket.end is not None]
        for end in ends:
            end.watchers.append(SCHEDULER.current)
        try:
            SCHEDULER.block(timeout)
        finally:
            for end in ends:
                end.watchers.remove(SCHEDULER.current)
        return self._ready()

    def close(self) -> None:
        self._keys.clear()

    def _ready(self) -> list[tuple[Key, int]]:
        return [(key, 1) for sock, key in self._keys.items() if sock.end is not None and sock.end.readable]


socket = SimpleNamespace(
    socket=Socket,
    socketpair=socketpair,
    AF_UNIX=real_socket.AF_UNIX,
    SOCK_STREAM=real_socket.SOCK_STREAM,
    MSG_DONTWAIT=real_socket.MSG_DONTWAIT,
    MSG_NOSIGNAL=real_socket.MSG_NOSIGNAL,
    SOL_SOCKET=real_socket.SOL_SOCKET,
    SO_PEERCRED=real_socket.SO_PEERCRED,
)
selectors = SimpleNamespace(
    PollSelector=Selector, SelectSelector=Selector, BaseSelector=Selector, EVENT_READ=1, EVENT_WRITE=2
)
