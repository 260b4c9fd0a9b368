"""`command` and `python`: rotators of the user's own."""

import contextlib
import importlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from ..rotator import BadSettings, Job, Overlap, Rotator, RotatorError


#: Bytes of a value [Secret Manager's limit of a payload].
_LARGEST: Final = 64 * 1024
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Command:
    """Run a program of the user's own for each step.

    It is called with the step as its last argument: create, apply, test or revoke. The value goes over file descriptor
    3: `create` writes the candidate to it, the others read theirs from it. Arguments and environment never hold it;
    KEYTURN_SECRET is the secret's name, KEYTURN_KEY is the same for each repetition of one rotation. What it prints
    is thrown away, since it may hold a value; its exit status says whether the step is done.

    Args:
        command: the program and its first arguments; no shell.
        overlap: "until revoked", or "none" where the new value ends the old one.
        one_at_a_time: whether the old version must be ended before the next rotation begins.
    """

    def __init__(
        self, *, command: Sequence[str] = (), overlap: Overlap = "until revoked", one_at_a_time: bool = False
    ) -> None:
        if isinstance(command, str) or not command or not all(isinstance(part, str) for part in command):
            raise BadSettings("command: command is a list, the program and its arguments; no shell reads it")
        if any("\0" in part for part in command):
            raise BadSettings("command: a part of the command holds a NUL, which no argument can")
        if overlap not in {"until revoked", "none"}:
            raise BadSettings("command: overlap is 'until revoked' or 'none'")
        self._command = tuple(command)
        self.overlap: Overlap = overlap
        self.one_at_a_time = one_at_a_time

    def create(self, job: Job) -> bytes:
        """See `Rotator.create`."""
        value = self._run("create", job, None)
        if not value:
            raise RotatorError("the command wrote no candidate to file descriptor 3")
        return value

    def apply(self, job: Job, candidate: bytes) -> None:
        """See `Rotator.apply`."""
        self._run("apply", job, candidate)

    def test(self, job: Job, candidate: bytes) -> None:
        """See `Rotator.test`."""
        self._run("test", job, candidate)

    def revoke(self, job: Job, old: bytes) -> None:
        """See `Rotator.revoke`."""
        self._run("revoke", job, old)

    def _run(self, step: str, job: Job, value: bytes | None) -> bytes:
        deadline = time.monotonic() + job.timeout
        ours, theirs = os.pipe() if value is None else os.pipe()[::-1]
        try:
            process = self._start(step, job, theirs)
        except OSError as exc:
            os.close(ours)
            raise RotatorError(f"the command could not be started: {exc.strerror}") from None
        finally:
            os.close(theirs)
        try:
            given = _read(ours, deadline) if value is None else _write(ours, value, deadline)
            if value is not None:
                os.close(ours)  # the end of the value
                ours = -1
            status = process.wait(max(0.1, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise RotatorError(f"the command did not end its step {step} in {job.timeout:.0f} s") from None
        finally:
            if ours >= 0:
                os.close(ours)
            _end(process)
        if status:
            raise RotatorError(f"the command ended its step {step} with status {status}", refused=step == "test")
        return given

    def _start(self, step: str, job: Job, end: int) -> "subprocess.Popen[bytes]":
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return subprocess.Popen(  # noqa: S603  # the manifest's command, no shell
            [sys.executable, "-I", "-S", "-c", _MOVE, str(end), *self._command, step],
            env={**environment, "KEYTURN_SECRET": job.secret.path, "KEYTURN_KEY": job.key},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[end],
            start_new_session=True,
        )


#: Programs find the descriptor by its number, so an interpreter of its own moves it there and becomes the program.
_MOVE: Final = """
import os, sys
end = int(sys.argv[1])
os.dup2(end, 3)
if end != 3:
    os.close(end)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def _end(process: "subprocess.Popen[bytes]") -> None:
    # The group holds what the command started, too.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(end: int, deadline: float) -> bytes:
    os.set_blocking(end, False)
    parts: list[bytes] = []
    while sum(map(len, parts)) <= _LARGEST:
        _wait(end, deadline, select.POLLIN)
        part = os.read(end, _LARGEST)
        if not part:
            return b"".join(parts)
        parts.append(part)
    raise RotatorError(f"the command wrote more than {_LARGEST} bytes")


def _write(end: int, value: bytes, deadline: float) -> bytes:
    os.set_blocking(end, False)
    left = value
    while left:
        _wait(end, deadline, select.POLLOUT)
        try:
            left = left[os.write(end, left) :]
        except BrokenPipeError:
            return b""  # it does not want to know; its status says how it ended
    return b""


def _wait(end: int, deadline: float, what: int) -> None:
    poll = select.poll()
    poll.register(end, what)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


def python(*, callable: str = "", **settings: Any) -> Rotator:  # noqa: A002  # the setting's name
    """Make a rotator of the user's own class, which is called with the other settings.

    Args:
        callable: where it is, as `package.module:name`.
        settings: what it is called with.

    Raises:
        BadSettings: there is no such thing, or it does not take the settings.
    """
    module, _, name = callable.partition(":")
    try:
        made: Rotator = getattr(importlib.import_module(module), name)(**settings)
    except (ImportError, AttributeError, ValueError, TypeError) as exc:
        raise BadSettings(f"python: {callable!r} could not be made a rotator ({type(exc).__name__})") from exc
    missing = [
        part for part in ("create", "apply", "test", "revoke", "overlap", "one_at_a_time") if not hasattr(made, part)
    ]
    if missing:
        raise BadSettings(f"python: {callable!r} has no {missing[0]}")
    return made
