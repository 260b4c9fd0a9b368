"""The local Pub/Sub beside Google's emulator, where that is installed: how soon, how many, how heavy."""

import contextlib
import functools
import json
import queue
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import emulator
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.scheduler import ThreadScheduler
from google.pubsub_v1 import PublisherClient
from place import as_installed
from timing import Call, Pair, Plan, Reach, Row, compare, once, row

from notifier.local.clients import Clients
from notifier.local.cloud import LocalCloud


_HERE: Final = Path(__file__).parent
_COMMAND: Final = Path(sys.executable).with_name("keyturn")
_MEGABYTE: Final = 1 << 20
_PATIENCE: Final = 60.0
_PROJECT: Final = "projects/demo"

#: Seconds between two messages, longer than the emulator looks, so that each is pushed by itself.
_PAUSE: Final = 0.013
#: Messages in a round of throughput, and in one request to publish.
_MANY, _BATCH = 2_000, 100

_ARRIVAL, _THEIR_ARRIVAL = "publish to push", "publish to push, Google's emulator"
_PUSHED, _THEIR_PUSHED = "a message of many by push", "a message of many by push, Google's emulator"
_PULLED, _THEIR_PULLED = "a message of many by streaming pull", "a message of many by streaming pull, Google's emulator"
_STARTED, _COMMANDED, _THEIR_START = "LocalCloud().start()", "keyturn dev", "the start of Google's emulator"
_ANSWERED, _THEIR_ANSWER = "keyturn dev, until its first answer", "Google's emulator, until its first answer"
_WEIGHED, _THEIR_WEIGHT = "memory of keyturn dev", "memory of Google's emulator"

_TIMED: Final = [
    Pair(_ARRIVAL, _THEIR_ARRIVAL, Reach(0.1)),
    Pair(_PUSHED, _THEIR_PUSHED, Reach(1)),
    Pair(_PULLED, _THEIR_PULLED, Reach(1)),
]
_STARTS: Final = [
    Pair(_STARTED, _THEIR_START, Reach(0.33)),
    Pair(_COMMANDED, _THEIR_START, Reach(0.33)),
    Pair(_ANSWERED, _THEIR_ANSWER, Reach(0.33)),
]
_WEIGHT: Final = Pair(_WEIGHED, _THEIR_WEIGHT)


def rows(plan: Plan) -> list[Row]:
    if not any(plan.wants(pair.path, pair.floor) for pair in (*_STARTS, *_TIMED, _WEIGHT)):
        return []
    jar = emulator.find()
    if jar is None:
        print("Google's Pub/Sub emulator is not installed: its rows are left out", file=sys.stderr)
        return []
    return [*_starts(plan, jar), *_beside(plan, jar)]


def _starts(plan: Plan, jar: Path) -> list[Row]:
    theirs = functools.partial(emulator.running, jar)
    calls = {
        _STARTED: _start_cloud,
        _COMMANDED: _start(_dev),
        _THEIR_START: _start(theirs),
        _ANSWERED: _start(_dev, answered=True),
        _THEIR_ANSWER: _start(theirs, answered=True),
    }
    return compare(plan, calls, _STARTS, rounds=9)


def _beside(plan: Plan, jar: Path) -> list[Row]:
    if not any(plan.wants(pair.path, pair.floor) for pair in (*_TIMED, _WEIGHT)):
        return []
    many = _MANY // 10 if plan.quick else _MANY
    with contextlib.ExitStack() as running:
        clients = Clients()
        running.callback(clients.close)
        calls: dict[str, Call] = {}
        pids = []
        sides = ((_dev(), _ARRIVAL, _PUSHED, _PULLED), (emulator.running(jar), *(pair.floor for pair in _TIMED)))
        for process, arrival, pushed, pulled in sides:
            host, pid = running.enter_context(process)
            pids.append(pid)
            server = _Server(clients, host, running)
            calls[arrival] = server.arrival()
            calls[pushed] = server.many_pushed(many)
            calls[pulled] = server.many_pulled(many)
        found = []
        for pair, rounds in zip(_TIMED, (150, 5, 5), strict=True):
            found += compare(plan, {name: calls[name] for name in pair[:2]}, [pair], rounds=rounds)
        if plan.wants(_WEIGHT.path, _WEIGHT.floor):
            ours, theirs = (_memory(pid) for pid in pids)
            found.append(row(_WEIGHT, [ours], [theirs], unit="MB"))
        return found


class _Server:
    """One of the two, through the official clients."""

    def __init__(self, clients: Clients, host: str, running: contextlib.ExitStack) -> None:
        self._publisher, self._subscriber = clients.publisher(host), clients.subscriber(host)
        self._running = running
        self._heard = running.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._heard.bind(("127.0.0.1", 0))
        self._heard.settimeout(_PATIENCE)

    def arrival(self) -> Call:
        """From the call that publishes to the arrival at an endpoint."""
        topic = self._pushed_topic(every=1)

        def call() -> float:
            time.sleep(_PAUSE)
            start = time.monotonic_ns()
            self._publish(topic, 1)
            return self._hear() - start

        return call

    def many_pushed(self, count: int) -> Call:
        """Until the last of many has arrived, for each."""
        topic = self._pushed_topic(every=count)

        def call() -> float:
            start = time.monotonic_ns()
            self._publish(topic, count)
            return (self._hear() - start) / count

        return call

    def many_pulled(self, count: int) -> Call:
        """Until the last of many has come by a stream and is acknowledged, for each."""
        topic, subscription = self._names()
        self._subscriber.create_subscription(request={"name": subscription, "topic": topic})
        came: queue.SimpleQueue[None] = queue.SimpleQueue()

        def take(message: Any) -> None:
            message.ack()
            came.put(None)

        scheduler = ThreadScheduler()
        stream = self._subscriber.subscribe(subscription, take, scheduler=scheduler)
        self._running.callback(_end, stream, scheduler)

        def receive() -> None:
            self._publish(topic, count)
            for _ in range(count):
                came.get(timeout=_PATIENCE)

        timed = once(receive)
        return lambda: timed() / count

    def _pushed_topic(self, *, every: int) -> str:
        topic, subscription = self._names()
        command = [sys.executable, str(_HERE / "sink.py"), str(self._heard.getsockname()[1]), str(every)]
        sink = self._running.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        self._running.callback(sink.kill)
        assert sink.stdout is not None
        config = {"push_endpoint": f"http://127.0.0.1:{int(sink.stdout.readline())}/"}
        self._subscriber.create_subscription(
            request={"name": subscription, "topic": topic, "push_config": config, "ack_deadline_seconds": 60}
        )
        return topic

    def _names(self) -> tuple[str, str]:
        name = f"t{uuid.uuid4().hex[:8]}"
        topic = f"{_PROJECT}/topics/{name}"
        self._publisher.create_topic(name=topic)
        return topic, f"{_PROJECT}/subscriptions/{name}"

    def _publish(self, topic: str, count: int) -> None:
        for _ in range(0, count, _BATCH):
            messages = [{"data": b"x" * 100}] * min(count, _BATCH)
            # The publisher that batches nothing: one request each.
            PublisherClient.publish(self._publisher, topic=topic, messages=messages)

    def _hear(self) -> int:
        return int(json.loads(self._heard.recv(1024))["at"])


def _end(stream: Any, scheduler: ThreadScheduler) -> None:
    stream.cancel()
    with contextlib.suppress(exceptions.GoogleAPICallError):
        stream.result(_PATIENCE)
    scheduler._executor.shutdown()


@contextlib.contextmanager
def _dev() -> Iterator[tuple[str, int]]:
    """The local cloud in a process of its own; gives the address of its Pub/Sub and its process id."""
    command = [str(_COMMAND), "dev", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=as_installed()
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["PUBSUB_EMULATOR_HOST"], process.pid
        finally:
            process.kill()


def _start(process: Any, *, answered: bool = False) -> Call:
    """Until it accepts connections; or until it has made a topic, through a client that is there already."""

    def call() -> float:
        clients = Clients()
        start = time.perf_counter_ns()
        with process() as (host, _), contextlib.closing(clients):
            if answered:
                clients.publisher(host).create_topic(name=f"{_PROJECT}/topics/first")
            return time.perf_counter_ns() - start

    return call


def _start_cloud() -> float:
    cloud = LocalCloud()
    taken = once(cloud.start)()
    cloud.stop()
    return taken


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if "Pss:" in line) * 1024 / _MEGABYTE
