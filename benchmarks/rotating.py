"""How long after a version was added the last of four workers serves it."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from place import AUDIENCE, local_cloud
from timing import Call, Pair, Plan, Reach, Row, compare

from notifier.local.cloud import LocalCloud


_HERE: Final = Path(__file__).parent
_WORKERS: Final = 4
_PATIENCE: Final = 20.0
#: Seconds between two rotations, for the answer of one to be over before the next begins.
_PAUSE: Final = 0.02


_LAST: Final = "add to the last of 4 workers"
_POSTED: Final = "a post + 4 reads by 4 processes"
_READ: Final = "add to a bare server that reads it"
_PAIRS: Final = [Pair(_LAST, _POSTED, Reach(2.5)), Pair(_LAST, _READ)]


def rows(plan: Plan) -> list[Row]:
    if not any(plan.wants(ours, floor) for ours, floor, _ in _PAIRS):
        return []
    with local_cloud() as cloud, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(_PATIENCE)
        told = heard.getsockname()[1]
        for name in ("ROTATED", "FLOOR", "READ"):
            cloud.create_secret(name, b"value", topic=name)
        with contextlib.ExitStack() as running:
            reader = running.enter_context(script("bare.py", told, "read"))
            bare = running.enter_context(script("bare.py", told))
            readers = [running.enter_context(script("reader.py", told)) for _ in range(_WORKERS)]
            service = running.enter_context(_service(told))
            hear(heard, version=1, count=_WORKERS)
            cloud.push_to(f"http://127.0.0.1:{reader}/", topic="READ", name="reader", audience=AUDIENCE)
            cloud.push_to(service, topic="ROTATED", name="service", audience=AUDIENCE)
            calls = {
                _LAST: _rotation(cloud, heard, "ROTATED", count=_WORKERS),
                _POSTED: _post_and_read(cloud, heard, bare, readers),
                _READ: _rotation(cloud, heard, "READ", count=1),
            }
            return compare(plan, calls, _PAIRS, rounds=100)


def _post_and_read(cloud: LocalCloud, heard: socket.socket, bare: int, readers: Sequence[int]) -> Call:
    def call() -> float:
        time.sleep(_PAUSE)
        version = cloud.secret("FLOOR") + f"/versions/{cloud.add_version('FLOOR', b'value')}"
        start = time.monotonic_ns()
        connection = http.client.HTTPConnection("127.0.0.1", bare, timeout=_PATIENCE)
        connection.request("POST", "/", version)
        connection.getresponse().read()
        connection.close()
        hear(heard, version=0, count=1)
        for port in readers:
            heard.sendto(version.encode(), ("127.0.0.1", port))
        return hear(heard, version=0, count=len(readers)) - start

    return call


def _rotation(cloud: LocalCloud, heard: socket.socket, name: str, *, count: int) -> Call:
    def call() -> float:
        time.sleep(_PAUSE)
        start = time.monotonic_ns()
        version = cloud.add_version(name, b"value")
        return hear(heard, version=version, count=count) - start

    return call


def hear(heard: socket.socket, *, version: int, count: int) -> int:
    """Wait until so many have told of this version; returns when the last of them had it."""
    told: list[int] = []
    while len(told) < count:
        message = json.loads(heard.recv(1024))
        if message.get("version", version) == version:
            told.append(message["at"])
    return max(told)


@contextlib.contextmanager
def script(name: str, told: int, *how: str) -> Iterator[int]:
    """Run a script of this directory; gives the port that it prints."""
    command = [sys.executable, str(_HERE / name), str(told), *how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


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
