"""`keyturn dev`: the local cloud in the foreground, until SIGINT or SIGTERM."""

import contextlib
import json
import shlex
import threading
from collections.abc import Callable, Mapping
from typing import TextIO

from .cloud import LocalCloud


class Teller:
    """Write one line at a time, from any thread; a reader that has gone is no reason to stop."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        """Write the line."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()


def environment_text(variables: Mapping[str, str], *, as_json: bool) -> str:
    """The variables as one line of JSON, or as lines for a shell."""
    if as_json:
        return json.dumps(variables)
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def run(cloud: LocalCloud, *, out: TextIO, tell: Teller, as_json: bool, until: Callable[[], str]) -> None:
    """Run the cloud until it is to end.

    Args:
        cloud: not started yet.
        out: where the environment is written, once all is ready.
        tell: where people are told.
        as_json: one line of JSON instead of lines for a shell.
        until: waits until it is to end, and says why.

    Raises:
        PortInUse: a port that was asked for is taken.
    """
    with cloud:
        out.write(environment_text(cloud.environment(), as_json=as_json) + "\n")
        out.flush()
        tell("The local cloud is up: for this machine only, in memory, never for production. Ctrl-C ends it.")
        tell(f"{until()}: ending.")
