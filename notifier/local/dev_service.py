"""A service that `keyturn dev -- COMMAND` runs beside the cloud: its lines go to Logging, as on Cloud Run."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from .log_lines import LONGEST


# Seconds that a service has after SIGTERM, as on Cloud Run [documented].
_GRACE = 10.0

# Once it has ended, a grandchild may still hold its output open: seconds that are waited for that.
_REST = 1.0

# Takes one line, and whether it came from `stdout` or `stderr`.
Take = Callable[[bytes, str], None]


class NotStarted(Exception):
    """The command cannot be run."""


class Service:
    """A running command. What it prints is handed on and goes its usual way, too.

    Args:
        command: the program and its arguments; no shell.
        environment: all of its variables.
        out: where its `stdout` goes, besides.
        err: where its `stderr` goes, besides.
        take: given each line.
        ended: called when it has ended by itself.

    Raises:
        NotStarted: there is no such program.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        out: IO[bytes],
        err: IO[bytes],
        take: Take,
        ended: Callable[[], None],
    ) -> None:
        self.status = 0
        self._ended = ended
        self._over = threading.Event()
        readers, writers = zip(os.pipe(), os.pipe(), strict=True)
        try:
            # Not `subprocess`: this process holds signals back, which its child must not inherit, and has threads,
            # beside which nothing of Python's may run between fork and exec.
            self._pid = os.posix_spawnp(
                command[0],
                list(command),
                dict(environment),
                file_actions=[(os.POSIX_SPAWN_DUP2, writer, number) for number, writer in enumerate(writers, 1)],
                setsigmask=[],
            )
        except OSError as exc:
            for reader in readers:
                os.close(reader)
            raise NotStarted(f"{command[0]} cannot be run: {exc.strerror}") from exc
        finally:
            for writer in writers:
                os.close(writer)
        streams = zip(readers, (out, err), ("stdout", "stderr"), strict=True)
        self._reading = [threading.Thread(target=_hand_on, args=(*stream, take), daemon=True) for stream in streams]
        self._waiting = threading.Thread(target=self._wait, name="local-service", daemon=True)
        for thread in (*self._reading, self._waiting):
            thread.start()

    def end(self) -> None:
        """Ask it to end, wait ten seconds, and then do not ask."""
        for asked, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
            if self._over.is_set():
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, asked)
            self._over.wait(patience)
        for thread in self._reading:
            thread.join(_REST)

    def _wait(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        # As a shell says it: the death by a signal is 128 and its number.
        self.status = code if code >= 0 else 128 - code
        self._over.set()
        self._ended()


def _hand_on(source: int, besides: IO[bytes], stream: str, take: Take) -> None:
    with open(source, "rb") as lines:
        # A line without an end comes in parts.
        while line := lines.readline(LONGEST):
            take(line, stream)
            with contextlib.suppress(OSError, ValueError):
                besides.write(line)
                besides.flush()
