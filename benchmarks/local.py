"""The local cloud as a tool: what an access takes beside a server that only answers, what keeping costs, its start."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from cloud import NEAR_NAMES
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport
from google.cloud.secretmanager_v1.types import AccessSecretVersionResponse, SecretPayload
from place import as_installed
from timing import Call, Pair, Plan, Reach, Row, compare, once


_SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
_PARENT = "projects/local-project"
# What `keyturn dev` has imported once it is ready.
_IMPORTS = """
from notifier import cli, signals
from notifier.local.lean import uncollected, without_clients
with uncollected():
    without_clients()
    from notifier.local import dev
"""
_DEV = (sys.executable, "-m", "notifier", "dev", "--json")


def rows(plan: Plan) -> list[Row]:
    return [*_access(plan), *_keeping(plan), *_start(plan)]


def _access(plan: Plan) -> list[Row]:
    path, floor = "access_secret_version, local Secret Manager", "the same answer from a bare gRPC server"
    if not plan.wants(path, floor):
        return []
    name = f"{_PARENT}/secrets/{NEAR_NAMES[0]}/versions/1"
    with _running(_beside("cloud.py")) as ours, _running((sys.executable, __file__)) as theirs:
        host = json.loads(ours)["SECRET_MANAGER_EMULATOR_HOST"]
        with _client(host) as client, _client(theirs.strip()) as echo:
            calls = {
                path: once(lambda: client.access_secret_version(name=name)),
                floor: once(lambda: echo.access_secret_version(name=name)),
            }
            return compare(plan, calls, [Pair(path, floor)], rounds=2000)


def _keeping(plan: Plan) -> list[Row]:
    path, floor = "add_secret_version, kept in SQLite", "add_secret_version, in memory"
    if not plan.wants(path, floor):
        return []
    with contextlib.ExitStack() as opened:
        place = opened.enter_context(tempfile.TemporaryDirectory())
        calls = {
            name: _adds(opened, (*_DEV, *more)) for name, more in ((path, ("--data", f"{place}/state")), (floor, ()))
        }
        return compare(plan, calls, [Pair(path, floor)], rounds=500)


def _adds(opened: contextlib.ExitStack, command: Sequence[str]) -> Call:
    host = json.loads(opened.enter_context(_running(command)))["SECRET_MANAGER_EMULATOR_HOST"]
    client = opened.enter_context(_client(host))
    secret = client.create_secret(parent=_PARENT, secret_id="db", secret={"replication": {"automatic": {}}}).name
    return once(lambda: client.add_secret_version(parent=secret, payload={"data": b"value"}))


def _start(plan: Plan) -> list[Row]:
    path, floor = "keyturn dev, until it is ready", "its imports alone"

    def ready() -> float:
        start = time.perf_counter_ns()
        with _running(_DEV):
            return time.perf_counter_ns() - start

    imports = (sys.executable, "-c", _IMPORTS)
    calls = {path: ready, floor: once(lambda: subprocess.run(imports, check=True, env=as_installed()))}
    return compare(plan, calls, [Pair(path, floor, Reach(1e9, "difference"))], rounds=8)


@contextlib.contextmanager
def _running(command: Sequence[str]) -> Iterator[str]:
    """Run a program until the end of the block; yields its first line."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=as_installed(),
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline()
        process.terminate()


def _beside(name: str) -> tuple[str, str]:
    return sys.executable, str(Path(__file__).with_name(name))


@contextlib.contextmanager
def _client(host: str) -> Iterator[SecretManagerServiceClient]:
    with grpc.insecure_channel(host) as channel:
        yield SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))


def _echo() -> None:
    """Answer each access with the same bytes; ends with its stdin."""
    answer = AccessSecretVersionResponse(
        name=f"{_PARENT}/secrets/x/versions/1", payload=SecretPayload(data=b"value", data_crc32c=1)
    )
    content = AccessSecretVersionResponse.serialize(answer)
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(lambda *_: content)
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"AccessSecretVersion": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _echo()
