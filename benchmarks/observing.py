"""What it costs to tell of a change, and to read a million entries of it."""

import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from place import environment
from timing import Pair, Plan, Reach, Row, compare, once

from receiver import SecretCache, StructuredFormatter
from receiver.testing import InMemorySource, rotate


ENTRIES: Final = 1_000_000
INSTANCES: Final = 200
_WORKERS: Final = 4
_SECRET: Final = "projects/bench/secrets/KEY"
_BEGAN: Final = 1_790_000_000


def rows(plan: Plan) -> list[Row]:
    return [*_telling(plan), *_reading(plan)]


def _telling(plan: Plan) -> list[Row]:
    """A change from an event to the swap, without a network: told as a line of JSON with its metrics, and untold."""
    log = logging.getLogger("keyturn")
    before = log.handlers, log.level, log.propagate
    with environment({}), Path(os.devnull).open("w") as nowhere:
        handler = logging.StreamHandler(nowhere)
        handler.setFormatter(StructuredFormatter(project="bench"))
        try:
            log.handlers, log.propagate = [handler], False
            source = InMemorySource({"KEY": "one"})
            cache = SecretCache("bench", source=source, backstop=None)
            cache.secret("KEY")
            cache.load()
            calls = {
                "a change, told and measured": once(_change(cache, source, log, logging.INFO)),
                "a change, told to nobody": once(_change(cache, source, log, logging.CRITICAL)),
            }
            pair = Pair("a change, told and measured", "a change, told to nobody", Reach(1_000_000, "difference"))
            found = compare(plan, calls, [pair], rounds=2_000)
            cache.close()
        finally:
            log.handlers, log.propagate = before[0], before[2]
            log.setLevel(before[1])
    return found


def _change(cache: SecretCache, source: InMemorySource, log: logging.Logger, level: int) -> Callable[[], object]:
    def change() -> object:
        log.setLevel(level)
        return rotate(cache, source, "KEY", "next")

    return change


def _reading(plan: Plan) -> list[Row]:
    count = 5_000 if plan.quick else ENTRIES
    path, time_bound, memory_bound = f"keyturn trace of {count:,} entries", "15 s", "400 MB"
    if not (plan.wants(path, time_bound) or plan.wants(path, memory_bound)):
        return []
    with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as folder:
        file = Path(folder) / "entries"
        with file.open("w") as stream:
            stream.writelines(json.dumps(entry) + "\n" for entry in _entries(count))
        taken, weight = _traced(file)
    return [
        Row(path, time_bound, taken, taken, 15e9, 15e9, 1, Reach(1.0)),
        Row(path, memory_bound, weight, weight, 400.0, 400.0, 1, Reach(1.0), unit="MB"),
    ]


def _traced(file: Path) -> tuple[float, float]:
    code = (
        "import resource, sys; from click.testing import CliRunner; from notifier.cli import keyturn\n"
        "done = CliRunner().invoke(keyturn, sys.argv[1:])\n"
        f"assert '{INSTANCES} of {INSTANCES} instances' in done.output, done.output\n"
        "assert done.exit_code == 0, done.output\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", code, "trace", _SECRET, "--since", "99999d", "--from", str(file)]
    began = time.perf_counter_ns()
    ran = subprocess.run([*command, "--instances", str(INSTANCES)], check=True, capture_output=True, text=True)
    return time.perf_counter_ns() - began, float(ran.stdout)


def _entries(count: int) -> Iterator[dict[str, Any]]:
    """A rotation that all followed, and days of other entries of the same instances around it."""
    chance = random.Random(1)
    yield _audit(2, 0)
    moves = [(i, w) for i in range(INSTANCES) for w in range(_WORKERS)]
    for instance, worker in moves:
        yield _said("refreshed", chance.random(), instance, worker, version=2, previous=1, path="push", fetch_ms=4.0)
    for number in range(count - len(moves) - 1):
        at = chance.uniform(2, 90_000)
        instance, worker = number % INSTANCES, chance.randrange(_WORKERS)
        kind = chance.random()
        if kind < 0.5:
            yield _said("push_answered", at, instance, worker, version=2, answer="KNOWN", status=204, publish_ms=9.5)
        elif kind < 0.8:
            yield _said("loaded", at, instance, worker, version=2, path="read", fetch_ms=4.0)
        else:
            serving = [f"{_SECRET}/versions/2", *(f"projects/bench/secrets/OTHER{n}/versions/7" for n in range(9))]
            yield _said("alive", at, instance, worker, secret=None, serving=serving)


def _said(event: str, after: float, instance: int, worker: int, **fields: Any) -> dict[str, Any]:
    names = {"container": f"{instance:012x}", "member": f"w-{instance:08x}{worker:08x}", "worker": 20 + worker}
    payload = {
        "message": f"{event}: {_SECRET} now serves version 2",
        "event": event,
        "service": "payments",
        "revision": "payments-00042-abc",
        "instance": f"payments-{instance:x}",
        **names,
        "members": [f"w-{instance:08x}{number:08x}" for number in range(_WORKERS)],
        "secret": _SECRET,
        "event_ms": after * 1000,
        **fields,
    }
    return {
        "insertId": f"{instance}-{after}",
        "jsonPayload": payload,
        "logName": "projects/bench/logs/run.googleapis.com%2Fstdout",
        "receiveTimestamp": _moment(after + 0.2),
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": "payments"}},
        "severity": "INFO",
        "timestamp": _moment(after),
    }


def _audit(version: int, after: float) -> dict[str, Any]:
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "authenticationInfo": {"principalEmail": "alice@example.com"},
        "methodName": "google.cloud.secretmanager.v1.SecretManagerService.AddSecretVersion",
        "resourceName": _SECRET,
        "response": {"name": f"projects/1/secrets/KEY/versions/{version}"},
        "serviceName": "secretmanager.googleapis.com",
    }
    return {"protoPayload": payload, "timestamp": _moment(after), "receiveTimestamp": _moment(after + 0.1)}


def _moment(after: float) -> str:
    return datetime.fromtimestamp(_BEGAN + after, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
