"""`keyturn dev`: the local cloud in the foreground, until SIGINT or SIGTERM, or until the service beside it ends."""

import contextlib
import json
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from . import dev_faults
from .cloud import LocalCloud
from .dev_faults import NotFaults
from .dev_service import NotStarted, Service
from .names import project_number
from .ports import Wall
from .rpc import LOOPBACK, Unreachable
from .sqlite_journal import StoreUnusable


# What a start fails with where it was asked for what cannot be: each says what to do, in a line.
UNUSABLE = (NotFaults, NotStarted, StoreUnusable, Unreachable)

# The verb that each line begins with stands in a column.
_VERB = 9


class Teller:
    """Write one line at a time, from any thread; a reader that has gone is no reason to stop.

    Args:
        stream: where to.
        wall: wall time, which stands before each event.
        project: the project whose resources are called by their short names.
    """

    def __init__(self, stream: TextIO, *, wall: Wall, project: str) -> None:
        self._stream = stream
        self._wall = wall
        self._own = re.compile(rf"projects/(?:{re.escape(project)}|{project_number(project)})/")
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        """Write what happened, with the time."""
        at = self._wall()
        verb, _, rest = self._own.sub("", line).partition(" ")
        clock = time.strftime("%H:%M:%S", time.localtime(at))
        # Callers choose names, and must not choose what a terminal does.
        shown = rest if rest.isprintable() else "".join(char if char.isprintable() else "?" for char in rest)
        self.say(f"{clock}.{int(at * 1000) % 1000:03d}  {verb:<{_VERB}}  {shown}")

    def say(self, text: str) -> None:
        """Write a line as it is."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{text}\n")
            self._stream.flush()


def environment_text(variables: Mapping[str, str], *, as_json: bool) -> str:
    """The variables as one line of JSON, or as lines for a shell."""
    if as_json:
        return json.dumps(variables)
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def run(
    cloud: LocalCloud,
    *,
    out: TextIO,
    tell: Teller,
    as_json: bool,
    until: Callable[[], str],
    faults: Sequence[dict[str, Any]] = (),
    command: Sequence[str] = (),
) -> int:
    """Run the cloud until it is to end, and return the exit status.

    Args:
        cloud: not started yet.
        out: where the environment is written, once all is ready.
        tell: where people are told.
        as_json: one line of JSON instead of lines for a shell.
        until: waits until it is to end, and says why.
        faults: set at once, see `dev_faults`.
        command: a service to run beside it; its status is returned where it ends by itself.

    Raises:
        PortInUse: a port that was asked for is taken.
        StoreUnusable: the directory cannot be used.
        Unreachable: nor can the Pub/Sub that runs elsewhere.
        NotFaults: a fault cannot be set.
        NotStarted: the command cannot be run.
    """
    with cloud:
        dev_faults.apply(list(faults), cloud.control.routes())
        out.write(environment_text(cloud.environment(), as_json=as_json) + "\n")
        out.flush()
        for line in _welcome(cloud):
            tell.say(line)
        if not command:
            tell.say(f"{until()}: ending.")
            return 0
        return _beside(cloud, command, tell=tell, until=until)


def _welcome(cloud: LocalCloud) -> list[str]:
    kept = f"All that is acknowledged is kept in {cloud.data}." if cloud.data else "Nothing is kept."
    elsewhere = [f"Pub/Sub is the one at {cloud.pubsub_host}: what it pushes bears no token of ours."]
    reaches = "this machine's loopback" if cloud.address == LOOPBACK else f"{cloud.address} OVER THE NETWORK"
    return [
        "This is keyturn's LOCAL cloud, for development and tests, NEVER for production:",
        f"whoever reaches {reaches} may read and change every secret in it.",
        *(elsewhere if cloud.pubsub_host else []),
        f"{kept} Ctrl-C ends it.",
    ]


def _beside(cloud: LocalCloud, command: Sequence[str], *, tell: Teller, until: Callable[[], str]) -> int:
    ended_itself = threading.Event()

    def ended() -> None:
        ended_itself.set()
        # Whoever waits for a signal gets one.
        os.kill(os.getpid(), signal.SIGTERM)

    name = Path(command[0]).name

    def take(line: bytes, stream: str) -> None:
        try:
            cloud.logging.take_lines([line], service=name, stream=stream)
        except OSError as exc:
            tell(f"lost a line of {name}: {exc}")

    service = Service(
        command,
        environment={**os.environ, **cloud.environment()},
        out=sys.stdout.buffer,
        err=sys.stderr.buffer,
        take=take,
        ended=ended,
    )
    asked = until()
    if ended_itself.is_set():
        service.end()
        tell.say(f"{name} has ended with {service.status}: ending.")
        return service.status
    tell.say(f"{asked}: ending, {name} first.")
    service.end()
    return 0
