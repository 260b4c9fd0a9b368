"""The demo's processes: gunicorn with an application, away from what the user has set, and ended whatever happens."""

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final


#: Seconds that gunicorn may take to end by itself.
_PATIENCE: Final = 3.0


def surroundings(directory: Path) -> dict[str, str]:
    """The environment of the demo's processes, before what each is told.

    Args:
        directory: what they may write to.
    """
    # What the user has set for other services must not change what is shown here; nor is there a proxy to loopback.
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("KEYTURN_", "GUNICORN_", "K_", "GOOGLE_")) and not k.lower().endswith("_proxy")
    }
    home = str(Path(__file__).parents[2])
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, (home, kept.get("PYTHONPATH", "")))),
        "KEYTURN_RUN_DIR": str(directory / "run"),
        "PYTHONUNBUFFERED": "1",
    }


def serve(
    app: str,
    listening: socket.socket,
    *,
    workers: int,
    directory: Path,
    environment: Mapping[str, str],
    output: "int | IO[bytes]",
    more: Sequence[str] = (),
) -> "subprocess.Popen[bytes]":
    """Start gunicorn with an application.

    Args:
        app: as gunicorn is told it.
        listening: handed over, so that the port cannot be taken by somebody else in between.
        workers: how many.
        directory: what they may write to.
        environment: all of it.
        output: where both outputs go.
        more: further arguments.
    """
    command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listening.fileno()}", "--workers", str(workers)]
    command += ["--graceful-timeout", "1", "--worker-tmp-dir", str(directory), *_without_control_socket(), *more]
    return subprocess.Popen(  # noqa: S603  # this interpreter, fixed arguments, no shell
        [*command, app],
        # Not where the user stands: gunicorn would import what lies there before what is ours.
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=[listening.fileno()],
        start_new_session=True,
    )


def end(*processes: "subprocess.Popen[bytes]") -> None:
    """End them and their workers, all at once, within a few seconds."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        # The group holds the workers too, whatever became of their master.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_PATIENCE)


def _without_control_socket() -> list[str]:
    # Newer versions of gunicorn put a socket into the home directory, where two demos would meet.
    known = importlib.import_module("gunicorn.config").KNOWN_SETTINGS
    return ["--no-control-socket"] if any(s.name == "control_socket_disable" for s in known) else []
