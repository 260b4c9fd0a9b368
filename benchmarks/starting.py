"""What a service pays at its start, and a developer for the local cloud."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from cloud import COUNT, FAR, FAR_NAMES, NEAR_NAMES
from official import official_client
from place import as_installed, environment, new_cache
from timing import Call, Pair, Plan, Reach, Row, compare, once, row

from notifier.local.cloud import LocalCloud
from receiver import SecretCache
from receiver.names import SecretName
from receiver.secret_manager import SecretManagerSource
from receiver.source import Payload
from receiver.testing import InMemorySource


def rows(plan: Plan) -> list[Row]:
    return [*_imports(plan), *_loads(plan), *_cold(plan), *_local_cloud(plan)]


def _imports(plan: Plan) -> list[Row]:
    alone, used, flask = "import receiver", "from receiver import OIDC, SecretCache", "import flask"
    calls = {f"python -c {name!r}": _fresh(name) for name in (alone, used, flask, "pass")}
    path, theirs, framework, floor = calls
    pairs = [Pair(path, floor, Reach(40e6, "difference")), Pair(theirs, floor), Pair(theirs, framework)]
    return compare(plan, calls, pairs, rounds=15)


def _fresh(code: str) -> Call:
    return once(lambda: subprocess.run([sys.executable, "-c", code], check=True, env=as_installed()))


def _loads(plan: Plan) -> list[Row]:
    near, far = f"cache.load() of {COUNT}", f"cache.load() of {COUNT}, {FAR * 1000:.0f} ms away"
    first = f"{far}, until the last first value"
    in_a_row, one = f"{COUNT} reads in a row", f"one read on a warm channel, {FAR * 1000:.0f} ms away"
    if not (plan.wants(near, in_a_row) or plan.wants(far, one) or plan.wants(first, one)):
        return []
    with _cloud_process(), official_client() as client:
        name = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/secrets/{FAR_NAMES[0]}/versions/latest"
        return [
            *compare(
                plan,
                {near: once(_load(NEAR_NAMES)), in_a_row: once(_read(NEAR_NAMES))},
                [Pair(near, in_a_row)],
                rounds=12,
            ),
            *compare(
                plan,
                {
                    far: once(_load(FAR_NAMES)),
                    first: _first_values,
                    one: once(lambda: client.access_secret_version(name=name)),
                },
                [Pair(first, one, Reach(3)), Pair(far, one, Reach(5))],
                rounds=20,
            ),
        ]


class _Noting(SecretManagerSource):
    """Notes when it gave the last value that no number had been asked for; what follows confirms it by climbing."""

    last = 0

    def access(self, name: SecretName, version: str, *, timeout: float) -> Payload:
        payload = super().access(name, version, timeout=timeout)
        if not version.isdecimal():
            self.last = time.perf_counter_ns()
        return payload


def _first_values() -> float:
    source = _Noting()
    cache = SecretCache(project=os.environ["GOOGLE_CLOUD_PROJECT"], source=source)
    for name in FAR_NAMES:
        cache.secret(name)
    start = time.perf_counter_ns()
    with contextlib.closing(cache), contextlib.closing(source):
        cache.load()
    return source.last - start


def _cold(plan: Plan) -> list[Row]:
    many, one = "reads upstream for 64 threads that ask for one cold entry", "for one thread"
    if not plan.wants(many, one):
        return []
    asked: dict[int, list[float]] = {64: [], 1: []}
    for _ in range(plan.rounds(10)):
        for threads, reads in asked.items():
            reads.append(_reads_upstream(threads))
    return [row(Pair(many, one, Reach(1)), asked[64], asked[1], unit="")]


def _reads_upstream(threads: int) -> int:
    source = InMemorySource({"COLD": "value"})
    with environment({}), contextlib.closing(SecretCache("any-project", source=source)) as cache:
        secret = cache.secret("COLD")
        ready = threading.Barrier(threads)

        def read(_: int) -> str:
            ready.wait()
            return secret.value

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(read, range(threads)))
    return len(source.calls)


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


def _local_cloud(plan: Plan) -> list[Row]:
    path, floor = "LocalCloud().start()", "a bare gRPC server"
    return compare(plan, {path: _start_cloud, floor: _start_grpc}, [Pair(path, floor)], rounds=15)


def _start_cloud() -> float:
    cloud = LocalCloud()
    taken = once(cloud.start)()
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
