"""What siblings told, at work: one run at a time for each secret, and an answer to everybody who waits for it."""

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from .knowledge import Knowledge
from .names import SecretName
from .telemetry import entry


Apply = Callable[[SecretName, Knowledge], bool]

HEARD: Final = b'{"heard": true}\n'
APPLIED: Final = b'{"applied": true}\n'
FAILED: Final = b'{"applied": false}\n'

_NO_WAIT: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


@dataclass(slots=True)
class _Work:
    """What is to be applied next for one secret, and who waits to hear of it."""

    knowledge: Knowledge
    waiting: list[socket.socket]


@dataclass(slots=True)
class _Job:
    """One secret that a thread is busy with: those who wait for the present run, and the next run."""

    waiting: list[socket.socket] = field(default_factory=list)
    following: _Work | None = None


class Jobs:
    """Apply what is told, each secret in a short-lived daemon thread of its own. Thread-safe; never waits for a peer.

    Args:
        apply: merges what was told and does what follows from it; True when this worker now serves it. Called at most
            one at a time for a secret; what is told meanwhile is merged into one more call.
        idle: called when all that was told has been applied.
    """

    def __init__(self, apply: Apply, *, idle: Callable[[], None]) -> None:
        self._apply = apply
        self._idle = idle
        self._lock = threading.Lock()
        self._jobs: dict[SecretName, _Job] = {}

    @property
    def busy(self) -> bool:
        """Whether something is being applied."""
        with self._lock:
            return bool(self._jobs)

    def take(self, name: SecretName, knowledge: Knowledge, peer: socket.socket) -> None:
        """Apply what `peer` has told, and answer it when that is done; its connection ends with the answer."""
        send(peer, HEARD)
        with self._lock:
            job = self._jobs.get(name)
            if job is not None:
                _queue(job, knowledge, peer)
                return
            self._jobs[name] = job = _Job(following=_Work(knowledge, [peer]))
        try:
            threading.Thread(target=self._work, args=(name, job), name="keyturn-apply", daemon=True).start()
        except RuntimeError:  # out of threads, or the interpreter is going down
            self._give_up(name, job)

    def beat(self) -> None:
        """Say to everybody who waits that the work goes on."""
        with self._lock:
            for job in self._jobs.values():
                for peer in _all_waiting(job):
                    send(peer, HEARD)

    def drop(self) -> None:
        """Answer nobody any more, and end their connections; the threads go on and find nobody to tell."""
        with self._lock:
            waiting = [peer for job in self._jobs.values() for peer in _all_waiting(job)]
            for job in self._jobs.values():
                job.waiting = []
                if job.following is not None:
                    job.following.waiting = []
        for peer in waiting:
            peer.close()

    def after_fork(self) -> None:
        """In a forked child: a lock of its own."""
        self._lock = threading.Lock()

    def _give_up(self, name: SecretName, job: _Job) -> None:
        with self._lock:
            del self._jobs[name]
            _answer(_all_waiting(job), FAILED)

    def _work(self, name: SecretName, job: _Job) -> None:
        while True:
            with self._lock:
                work, job.following = job.following, None
                if work is None:
                    del self._jobs[name]
                    idle = not self._jobs
                    break
                job.waiting = work.waiting
            answer = APPLIED if self._applied(name, work.knowledge) else FAILED
            with self._lock:
                _answer(job.waiting, answer)
                job.waiting = []
        if idle:
            self._idle()

    def _applied(self, name: SecretName, knowledge: Knowledge) -> bool:
        try:
            return self._apply(name, knowledge)
        except Exception as exc:  # noqa: BLE001  # whatever it is, the sibling that waits is answered
            entry(
                logging.ERROR,
                "sibling_apply_failed",
                "what a sibling worker told could not be applied",
                secret=name.path,
                error=type(exc).__name__,
            )
            return False


def _queue(job: _Job, knowledge: Knowledge, peer: socket.socket) -> None:
    if job.following is None:
        job.following = _Work(knowledge, [peer])
    else:
        job.following.knowledge = job.following.knowledge.merge(knowledge)
        job.following.waiting.append(peer)


def _all_waiting(job: _Job) -> list[socket.socket]:
    return job.waiting + (job.following.waiting if job.following is not None else [])


def _answer(peers: list[socket.socket], line: bytes) -> None:
    for peer in peers:
        send(peer, line)
        peer.close()


def send(peer: socket.socket, line: bytes) -> None:
    """Send a line that fits into the socket's buffer; a peer that is gone or reads nothing does not hear it."""
    with suppress(OSError):
        peer.send(line, _NO_WAIT)
