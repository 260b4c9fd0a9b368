"""What a service pays at its start, and a developer for the local cloud."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from cloud import COUNT, FAR, FAR_NAMES, NEAR_NAMES
from official import official_client
from place import environment, new_cache
from timing import Call, Rounds, Row, compare, once

from notifier.local.cloud import LocalCloud


def rows(rounds: Rounds) -> list[Row]:
    return [*_imports(rounds(15)), *_loads(rounds), *_local_cloud(rounds(15))]


def _imports(rounds: int) -> list[Row]:
    path, *floors = ("import receiver", "import flask", "import google.cloud.secretmanager_v1", "pass")
    calls = {f"python -c {name!r}": _fresh(name) for name in (path, *floors)}
    return compare(calls, [(f"python -c {path!r}", f"python -c {floor!r}") for floor in floors], rounds=rounds)


def _fresh(code: str) -> Call:
    return once(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def _loads(rounds: Rounds) -> list[Row]:
    found = []
    with _cloud_process():
        for names, where, count in ((NEAR_NAMES, "", 12), (FAR_NAMES, f", {FAR * 1000:.0f} ms away", 4)):
            load, reads = f"cache.load() of {COUNT}{where}", f"{COUNT} reads, official client{where}"
            calls = {load: once(_load(names)), reads: once(_read(names))}
            found += compare(calls, [(load, reads)], rounds=rounds(count))
    return found


@contextlib.contextmanager
def _cloud_process() -> Iterator[None]:
    command = [sys.executable, str(Path(__file__).with_name("cloud.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with environment(json.loads(process.stdout.readline())):
            yield


def _load(names: Sequence[str]) -> Callable[[], None]:
    def load() -> None:
        with new_cache() as cache:
            for name in names:
                cache.secret(name)
            cache.load()

    return load


def _read(names: Sequence[str]) -> Callable[[], None]:
    def read() -> None:
        parent = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}"
        with official_client() as client:
            for name in names:
                client.access_secret_version(name=f"{parent}/secrets/{name}/versions/latest")

    return read


def _local_cloud(rounds: int) -> list[Row]:
    path, floor = "LocalCloud().start()", "a bare gRPC server"
    return compare({path: _start_cloud, floor: _start_grpc}, [(path, floor)], rounds=rounds)


def _start_cloud() -> float:
    cloud = LocalCloud()
    taken = once(cloud.start)()
    assert cloud.issuer.kid  # its key is made meanwhile, and must not be while the floor is timed
    cloud.stop()
    return taken


def _start_grpc() -> float:
    servers = []

    def start() -> None:
        server = grpc.server(ThreadPoolExecutor(1))
        server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)

    taken = once(start)()
    servers.pop().stop(None).wait()
    return taken
