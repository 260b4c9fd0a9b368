"""The end of a worker that its siblings talk to.

One thread accepts, reads whole messages and hands each to a thread of its secret; it never fetches, relays or waits
for a peer, so a slow secret holds up no other and two workers that talk to each other cannot lock up. On each
connection it says at once that it has heard, says so again and again while the work goes on, and whether it was done
at the end: silence then means a worker that is stopped, end of file one that is dead.
"""

import logging
import os
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from .jobs import FAILED, Apply, Jobs, send
from .telemetry import entry
from .wire import decode


#: How often a worker that is busy says that it is there, seconds: several times in the second after which it would
#: count as lagging.
BEAT: Final = 0.25
TICK: Final = 1.0

#: Knowledge is a few kilobytes at most; longer lines are not from us.
_LONGEST: Final = 256 * 1024
#: How long a peer may take to finish its line, seconds: it sends it whole as soon as it has connected.
_SLOWEST: Final = 5.0
#: struct ucred: pid, uid, gid [unix(7)].
_CREDENTIALS: Final = struct.Struct("3i")


@dataclass(slots=True)
class _Reading:
    """A connection whose message is not complete yet."""

    since: float
    so_far: bytearray = field(default_factory=bytearray)


class Listener:
    """Hear the siblings on a listening socket, in a daemon thread of its own.

    Args:
        listening: a bound, listening Unix stream socket; closed by `stop` and `abandon`.
        apply: see `Jobs`.
        idle: called about each second, and when all that was told has been applied, unless something is under way.
        tick: called about each second, in the listening thread, so it must be quick.
        clock: the time, seconds.
    """

    def __init__(
        self,
        listening: socket.socket,
        *,
        apply: Apply,
        idle: Callable[[], None],
        tick: Callable[[], None] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listening = listening
        self._jobs = Jobs(apply, idle=idle)
        self._idle = idle
        self._on_tick = tick
        self._clock = clock
        self._reading: dict[socket.socket, _Reading] = {}
        self._stopping = False
        self._wake, self._waker = socket.socketpair()
        for end in (listening, self._wake, self._waker):
            end.setblocking(False)
        # `poll` rather than `epoll`: it keeps nothing in the kernel that a forked child would share with us.
        self._selector = getattr(selectors, "PollSelector", selectors.SelectSelector)()
        self._thread = threading.Thread(target=self._run, name="keyturn-siblings", daemon=True)

    def start(self) -> None:
        """Begin to hear."""
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Hear nothing more and drop every connection; waits `patience` seconds at most for the thread to end."""
        self._stopping = True
        with suppress(OSError):
            self._waker.send(b"x")
        if self._thread is not threading.current_thread():
            self._thread.join(patience)
        self._close()

    def abandon(self) -> None:
        """In a forked child: close our copies of the parent's sockets, so that its death shows as end of file."""
        self._stopping = True
        self._jobs.after_fork()
        self._close()

    def _close(self) -> None:
        self._jobs.drop()
        for end in [self._listening, self._wake, self._waker, *self._reading]:
            end.close()

    def _run(self) -> None:
        next_beat = next_tick = self._clock()
        while not self._stopped():
            now = self._clock()
            due = min(next_tick, next_beat) if self._jobs.busy else next_tick
            try:
                for key, _ in self._selector.select(max(0.0, due - now)):
                    self._serve(key.fileobj)
            except OSError as exc:
                if self._stopped():
                    return
                self._say_trouble(exc)
            now = self._clock()
            if now >= next_beat:
                next_beat = now + BEAT
                self._jobs.beat()
            if now >= next_tick:
                next_tick = now + TICK
                self._tick(now)

    def _stopped(self) -> bool:
        return self._stopping

    def _say_trouble(self, exc: OSError) -> None:
        """Out of descriptors, most likely: said, and not retried in a hot loop."""
        entry(logging.ERROR, "siblings_trouble", "cannot hear the sibling workers", error=exc.strerror or str(exc))
        time.sleep(BEAT)

    def _serve(self, ready: object) -> None:
        if ready is self._listening:
            self._accept()
        elif ready is self._wake:
            with suppress(BlockingIOError):
                self._wake.recv(64)
        elif isinstance(ready, socket.socket):
            self._read(ready)

    def _accept(self) -> None:
        try:
            peer, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return
        peer.setblocking(False)
        if not _is_ours(peer):
            entry(logging.WARNING, "sibling_refused", "a process of another user spoke to this worker")
            peer.close()
            return
        self._reading[peer] = _Reading(self._clock())
        self._selector.register(peer, selectors.EVENT_READ)
        self._read(peer)  # the message is there already, as a rule

    def _read(self, peer: socket.socket) -> None:
        reading = self._reading[peer]
        try:
            chunk = peer.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        reading.so_far += chunk
        line, end, _ = reading.so_far.partition(b"\n")
        if end:
            self._forget(peer)
            self._hear(peer, bytes(line))
        elif not chunk or len(reading.so_far) > _LONGEST:
            self._forget(peer)
            peer.close()

    def _forget(self, peer: socket.socket) -> None:
        del self._reading[peer]
        self._selector.unregister(peer)

    def _hear(self, peer: socket.socket, line: bytes) -> None:
        try:
            name, knowledge = decode(line)
        except ValueError:
            entry(logging.WARNING, "sibling_unreadable", "a sibling worker of another version cannot be understood")
            send(peer, FAILED)
            peer.close()
            return
        self._jobs.take(name, knowledge, peer)

    def _tick(self, now: float) -> None:
        for peer, reading in list(self._reading.items()):
            if now - reading.since > _SLOWEST:
                self._forget(peer)
                peer.close()
        if not self._jobs.busy and not self._reading:
            self._idle()
        if self._on_tick is not None:
            try:
                self._on_tick()
            except Exception as exc:  # noqa: BLE001  # the listener outlives whatever is due
                entry(logging.ERROR, "tick_failed", "what was due could not be done", error=type(exc).__name__)


def _is_ours(peer: socket.socket) -> bool:
    """Whether the peer runs as our user; where the system cannot say, the directory's mode has kept others out."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return bool(uid == os.geteuid())
