"""How long after a version was added the last of four workers serves it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from place import AUDIENCE, local_cloud
from timing import Call, Rounds, Row, compare

from notifier.local.cloud import LocalCloud


_HERE: Final = Path(__file__).parent
_WORKERS: Final = 4
_PATIENCE: Final = 20.0
#: Seconds between two rotations, for the answer of one to be over before the next begins.
_PAUSE: Final = 0.02


def rows(rounds: Rounds) -> list[Row]:
    with local_cloud() as cloud, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(_PATIENCE)
        told = heard.getsockname()[1]
        for name in ("ROTATED", "FLOOR", "READ"):
            cloud.create_secret(name, b"value", topic=name)
        with _bare(told) as bare, _bare(told, "read") as reader, _service(told) as service:
            _hear(heard, version=1, count=_WORKERS)
            cloud.push_to(bare, topic="FLOOR", name="floor", audience=AUDIENCE)
            cloud.push_to(reader, topic="READ", name="reader", audience=AUDIENCE)
            cloud.push_to(service, topic="ROTATED", name="service", audience=AUDIENCE)
            return compare(
                {
                    "add to last of 4 workers": _rotation(cloud, heard, "ROTATED", count=_WORKERS),
                    "add to bare HTTP server": _rotation(cloud, heard, "FLOOR", count=1),
                    "add to bare HTTP server that reads it": _rotation(cloud, heard, "READ", count=1),
                },
                [
                    ("add to last of 4 workers", "add to bare HTTP server"),
                    ("add to last of 4 workers", "add to bare HTTP server that reads it"),
                ],
                rounds=rounds(100),
            )


def _rotation(cloud: LocalCloud, heard: socket.socket, name: str, *, count: int) -> Call:
    def call() -> float:
        time.sleep(_PAUSE)
        start = time.monotonic_ns()
        version = cloud.add_version(name, b"value")
        return _hear(heard, version=version, count=count) - start

    return call


def _hear(heard: socket.socket, *, version: int, count: int) -> int:
    """Wait until so many have told of this version; returns when the last of them had it."""
    told: list[int] = []
    while len(told) < count:
        message = json.loads(heard.recv(1024))
        if message.get("version", version) == version:
            told.append(message["at"])
    return max(told)


@contextlib.contextmanager
def _bare(told: int, *how: str) -> Iterator[str]:
    command = [sys.executable, str(_HERE / "bare.py"), str(told), *how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/"
        finally:
            server.kill()


@contextlib.contextmanager
def _service(told: int) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--workers", str(_WORKERS), "--bind", f"127.0.0.1:{port}"]
    command += ["--chdir", str(_HERE), "--no-control-socket", "--log-level", "error", "service:create_app()"]
    with subprocess.Popen(command, env={**os.environ, "BENCH_PORT": str(told)}) as gunicorn:
        try:
            yield f"http://127.0.0.1:{port}/secrets/events"
        finally:
            gunicorn.terminate()
