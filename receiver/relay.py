"""Telling the sibling workers, and hearing from them, for a bounded time.

Every sibling is told at once; what each then does decides whether it is waited for:

- it says that it has heard, and goes on saying so: it is busy, and is waited for until the caller's deadline;
- it says whether it has applied what it was told: that is the answer;
- it says nothing for a second: it is *lagging*, and is marked so in the directory, where every other worker sees it.
  Nobody waits for it again until it takes the mark away itself. The board and the generation make it harmless;
- its connection ends: it is dead (its sign of life is unlocked, and its files are removed) or is leaving, and there
  is nobody to wait for. One that is alive and hung up has not understood, which counts as failed.
"""

import errno
import json
import logging
import os
import selectors
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from .locks import LAG, SOCKET, bury
from .rundir import RunDir
from .telemetry import entry


#: How often one that waits looks whether others have found the same sibling to be lagging, seconds.
_LOOK: Final = 0.1
#: A dying process closes its sockets and drops its locks within this time of each other, seconds; looked at so often.
_DYING: Final = 0.25
_LOOK_AT_DYING: Final = 0.005


@dataclass(frozen=True, slots=True)
class Confirmations:
    """What came of telling the siblings, each named by its random member name; those that died or left are nowhere."""

    applied: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    lagging: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every sibling that was to be waited for serves what it was told."""
        return not self.failed


@dataclass(slots=True, eq=False)
class _Peer:
    """One sibling that was told."""

    name: str
    line: socket.socket
    heard_at: float
    heard: bool = False
    so_far: bytes = b""
    ended_at: float | None = None


class Relay:
    """One message on its way to the siblings; made by `Siblings.relay`, used by one thread, and closed by `wait`.

    Args:
        run_dir: where the siblings' sockets are.
        names: the members to tell.
        message: one whole line.
        timeout: after how long a silence a sibling is lagging, seconds.
        clock: the time, seconds.
    """

    def __init__(
        self, run_dir: RunDir, names: Iterable[str], message: bytes, *, timeout: float, clock: Callable[[], float]
    ) -> None:
        self._run_dir = run_dir
        self._timeout = timeout
        self._clock = clock
        self._pending: dict[str, _Peer] = {}
        self._applied: list[str] = []
        self._failed: list[str] = []
        self._lagging: list[str] = []
        self._look_again = clock() + _LOOK
        # `poll` rather than `epoll`: it keeps nothing in the kernel that a forked child would share with us.
        self._selector: selectors.BaseSelector = getattr(selectors, "PollSelector", selectors.SelectSelector)()
        for name in names:
            self._tell(name, message)

    def wait(self, deadline: float) -> Confirmations:
        """Wait until every sibling has answered, died or proved to be lagging, or until `deadline` by the clock.

        A sibling that is still busy at the deadline has failed.
        """
        try:
            self._listen(deadline)
            self._failed += list(self._pending)
        finally:
            self.close()
        return Confirmations(tuple(self._applied), tuple(self._failed), tuple(self._lagging))

    def close(self) -> None:
        """Wait for nobody; what was told stays told."""
        for peer in list(self._pending.values()):
            self._drop(peer)
        self._selector.close()

    def _drop(self, peer: _Peer) -> None:
        del self._pending[peer.name]
        if peer.ended_at is None:
            self._selector.unregister(peer.line)
        peer.line.close()

    def _tell(self, name: str, message: bytes) -> None:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.setblocking(False)
        told = False
        try:
            with self._run_dir.address(f"{name}{SOCKET}") as address:
                line.connect(address)
            told = line.send(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) == len(message)
        except OSError as exc:
            if exc.errno in {errno.ECONNREFUSED, errno.ENOENT, errno.EPIPE, errno.ECONNRESET}:
                line.close()
                self._bury(name)
                return
            # EAGAIN: its backlog is full of what it was told before.
        if told and not self._marked(name):
            self._pending[name] = peer = _Peer(name, line, self._clock())
            self._selector.register(line, selectors.EVENT_READ, peer)
            return
        line.close()
        if told:
            self._lagging.append(name)
        else:
            self._mark(name)

    def _listen(self, deadline: float) -> None:
        while self._pending:
            # Before the answers are read: had this process itself been stopped in between, they would still count.
            now = self._clock()
            for key, _ in self._selector.select(0):
                self._read(key.data, now)
            for peer in list(self._pending.values()):
                self._judge(peer, now)
            if now >= self._look_again:
                self._look_again = now + _LOOK
                self._look_for_marks()
            if not self._pending or now >= deadline:
                return
            self._selector.select(max(0.0, self._pause(now, deadline)))

    def _pause(self, now: float, deadline: float) -> float:
        if any(peer.ended_at is not None for peer in self._pending.values()):
            return _LOOK_AT_DYING
        silent = min(peer.heard_at for peer in self._pending.values()) + self._timeout
        return min(silent, deadline, self._look_again) - now

    def _read(self, peer: _Peer, now: float) -> None:
        try:
            chunk = peer.line.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            peer.ended_at = now
            self._selector.unregister(peer.line)
            return
        peer.heard, peer.heard_at = True, now
        *lines, peer.so_far = (peer.so_far + chunk).split(b"\n")
        for line in lines:
            applied = _applied(line)
            if applied is not None:
                self._drop(peer)
                (self._applied if applied else self._failed).append(peer.name)
                return

    def _judge(self, peer: _Peer, now: float) -> None:
        if peer.ended_at is not None:
            if self._bury(peer.name):
                self._drop(peer)
            elif now - peer.ended_at >= _DYING:
                self._drop(peer)
                self._failed.append(peer.name)
        elif now - peer.heard_at >= self._timeout:
            self._drop(peer)
            if not self._bury(peer.name):
                self._mark(peer.name)

    def _look_for_marks(self) -> None:
        for peer in list(self._pending.values()):
            if not peer.heard and self._marked(peer.name):
                self._drop(peer)
                self._lagging.append(peer.name)

    def _marked(self, name: str) -> bool:
        return (self._run_dir.path / f"{name}{LAG}").exists()

    def _mark(self, name: str) -> None:
        self._lagging.append(name)
        path = self._run_dir.path / f"{name}{LAG}"
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError:  # marked already, no space, or the directory is gone: this push has paid its second
            return
        entry(logging.WARNING, "sibling_lagging", "a sibling worker is silent and is not waited for", member=name)

    def _bury(self, name: str) -> bool:
        with suppress(OSError):
            return bury(self._run_dir.path, name)
        return False


def _applied(line: bytes) -> bool | None:
    """What a line says of the outcome; None where it says nothing of it, or is of another version."""
    try:
        said: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    applied = said.get("applied") if isinstance(said, dict) else None
    return applied if isinstance(applied, bool) else None
