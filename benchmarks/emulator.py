"""Google's Pub/Sub emulator, where it is installed: part of the Google Cloud SDK, and in no package registry."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final


_PATIENCE: Final = 25.0


def find() -> Path | None:
    """Its jar; None where it, or Java, is not installed."""
    gcloud = shutil.which("gcloud")
    if gcloud is None or shutil.which("java") is None:
        return None
    root = Path(gcloud).resolve().parents[1]
    return next(iter(sorted(root.glob("platform/pubsub-emulator/lib/*-all.jar"))), None)


@contextlib.contextmanager
def running(jar: Path, *flags: str) -> Iterator[tuple[str, int]]:
    """Run it on a free port; gives its address and its process id once it accepts connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["java", *flags, "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(process, port)
            yield f"127.0.0.1:{port}", process.pid
        finally:
            process.kill()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        time.sleep(0.01)
    raise TimeoutError("Google's Pub/Sub emulator does not accept connections")
