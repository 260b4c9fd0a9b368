"""Three instances of four workers: how long the last takes to follow, what bursts cost, and what pulling weighs."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from unittest.mock import patch

import emulator
from place import AUDIENCE, environment, local_cloud
from rotating import hear, script
from timing import Call, Pair, Plan, Reach, Row, compare, row

from notifier.local.cloud import LocalCloud


_HERE: Final = Path(__file__).parent
_INSTANCES: Final = 3
_WORKERS: Final = 4
_ALL: Final = _INSTANCES * _WORKERS
_TOPIC: Final = "secret-events"
_PATIENCE: Final = 60.0
_SECOND: Final = 1_000_000_000

_LAST: Final = "add to the last of 3 x 4 that pull"
_FLOOR: Final = "a push's arrival + 12 reads by 12 processes"
_PULLED: Final = "a message's arrival at 3 subscriptions + 12 reads by 12 processes"
_PULLED_BY_ONE: Final = "a message's arrival at 1 subscription + 12 reads by 12 processes"
_ROTATED: Final = "one fetch by each of 3 x 4 workers"


def rows(plan: Plan) -> list[Row]:
    return [*_following(plan), *_with_the_emulator(plan), *_bursts(plan), *_idle(plan)]


def _following(plan: Plan) -> list[Row]:
    pair = Pair(_LAST, _FLOOR, Reach(2))
    if not plan.wants(pair.path, pair.floor):
        return []
    with local_cloud() as cloud, _hearing() as (heard, told), contextlib.ExitStack() as running:
        for name in ("ROTATED", "FLOOR"):
            cloud.create_secret(name, b"value", topic=f"{_TOPIC}-{name}")
        bare = running.enter_context(script("bare.py", told))
        readers = [running.enter_context(script("reader.py", told)) for _ in range(_ALL)]
        cloud.push_to(f"http://127.0.0.1:{bare}/", topic=f"{_TOPIC}-FLOOR", name="bare", audience=AUDIENCE)
        running.enter_context(_service(cloud, told, f"{_TOPIC}-ROTATED"))
        hear(heard, version=1, count=_ALL)
        _settle(cloud)
        calls = {_LAST: _rotation(cloud, heard), _FLOOR: _arrival_and_reads(cloud, heard, readers)}
        return compare(plan, calls, [pair], rounds=100)


def _with_the_emulator(plan: Plan) -> list[Row]:
    ours = f"{_LAST}, Google's emulator"
    # Each instance has a subscription, which the emulator looks at each 100 ms in a turn of its own: the last of three
    # has to wait for longer than one.
    pairs = [Pair(ours, _PULLED, Reach(1.3)), Pair(ours, _PULLED_BY_ONE)]
    jar = emulator.find()
    if jar is None or not any(plan.wants(pair.path, pair.floor) for pair in pairs):
        return []
    with contextlib.ExitStack() as running:
        address, _ = running.enter_context(emulator.running(jar))
        cloud = running.enter_context(LocalCloud(pubsub_host=address))
        running.enter_context(environment(cloud.environment()))
        heard, told = running.enter_context(_hearing())
        for name in ("ROTATED", "THREE", "ONE"):
            topic = cloud.topic(f"{_TOPIC}-{name}")
            cloud.publisher().create_topic(name=topic)
            path = cloud.secret_manager.create_secret(cloud.secret(name), topics=(topic,))
            cloud.secret_manager.add_version(path, b"value")
        readers = [running.enter_context(script("reader.py", told)) for _ in range(_ALL)]
        for name, count in (("THREE", _INSTANCES), ("ONE", 1)):
            for number in range(count):
                running.enter_context(_pulling(cloud, f"{_TOPIC}-{name}", f"{name}-{number}", told))
        running.enter_context(_service(cloud, told, f"{_TOPIC}-ROTATED"))
        hear(heard, version=1, count=_ALL)
        _settle(cloud)
        calls = {
            ours: _rotation(cloud, heard),
            _PULLED: _arrival_and_reads(cloud, heard, readers, name="THREE", subscriptions=_INSTANCES),
            _PULLED_BY_ONE: _arrival_and_reads(cloud, heard, readers, name="ONE"),
        }
        return compare(plan, calls, pairs, rounds=100)


@contextlib.contextmanager
def _pulling(cloud: LocalCloud, topic: str, name: str, told: int) -> Iterator[None]:
    """Pull a subscription as the official client does it, and say when a message has arrived."""
    subscription = cloud.subscription(name)
    cloud.subscriber().create_subscription(name=subscription, topic=cloud.topic(topic))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:

        def arrive(message: object) -> None:
            out.sendto(json.dumps({"at": time.monotonic_ns()}).encode(), ("127.0.0.1", told))
            message.ack()  # type: ignore[attr-defined]  # the client's message

        pulling = cloud.subscriber().subscribe(subscription, callback=arrive)
        try:
            yield
        finally:
            pulling.cancel()
            pulling.result(timeout=_PATIENCE)


def _rotation(cloud: LocalCloud, heard: socket.socket) -> Call:
    def call() -> float:
        time.sleep(0.05)
        start = time.monotonic_ns()
        version = cloud.add_version("ROTATED", b"value")
        return hear(heard, version=version, count=_ALL) - start

    return call


def _arrival_and_reads(
    cloud: LocalCloud, heard: socket.socket, readers: Sequence[int], *, name: str = "FLOOR", subscriptions: int = 1
) -> Call:
    def call() -> float:
        time.sleep(0.05)
        start = time.monotonic_ns()
        version = cloud.secret(name) + f"/versions/{cloud.add_version(name, b'value')}"
        hear(heard, version=0, count=subscriptions)
        for port in readers:
            heard.sendto(version.encode(), ("127.0.0.1", port))
        return hear(heard, version=0, count=len(readers)) - start

    return call


def _bursts(plan: Plan) -> Iterator[Row]:
    """Adds at a steady rate: what they cost in fetches, and how long after the last one the last worker follows."""
    bursts = (
        ("10 adds a second over 77 secrets", 10.0, 77, 60.0, ""),
        ("200 adds a second, one regional secret", 200.0, 1, 30.0, "europe-west1"),
    )
    for what, rate, count, seconds, location in bursts:
        fetches, late = f"fetches of a version by a worker, {what}", f"the last add to the last worker, {what}"
        if plan.wants(fetches, "at most one") or plan.wants(late, "5 s"):
            most, took, share = _burst(rate, count, 2.0 if plan.quick else seconds, location)
            yield row(Pair(fetches, "at most one", Reach(1)), [most], [1.0], unit="")
            yield row(Pair(late, "5 s", Reach(1)), [took], [5.0 * _SECOND])
            yield row(Pair(f"fetches, {what}", _ROTATED, Reach(1)), [share], [1.0], unit="")


def _burst(rate: float, count: int, seconds: float, location: str) -> tuple[float, float, float]:
    """The most fetches of one version by one worker; ns until all followed; fetches as a part of one per worker."""
    names = [f"S{number}" for number in range(count)]
    newest, latest = dict.fromkeys(names, 1), {}
    with local_cloud() as cloud, contextlib.ExitStack() as running:
        place = f"{os.environ['KEYTURN_RUN_DIR']}/told"
        heard = running.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        heard.bind(place)
        threading.Thread(target=_listen, args=(heard, latest), daemon=True).start()
        for name in names:
            cloud.create_secret(name, b"value", topic=_TOPIC, location=location)
        running.enter_context(patch.dict(os.environ, {"BENCH_SOCKET": place}))
        running.enter_context(_service(cloud, 0, _TOPIC, names=names, location=location))
        _wait_for_all(latest, newest)
        _settle(cloud)
        cloud.secret_manager.log.clear()
        began, adds = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            name = names[adds % count]
            newest[name] = cloud.add_version(name, b"value", location=location)
            adds += 1
            time.sleep(max(0.0, began + adds / rate - time.monotonic()))
        start = time.monotonic()
        _wait_for_all(latest, newest)
        took = (time.monotonic() - start) * _SECOND
        counted = Counter((call.secret, call.asked, call.peer) for call in cloud.secret_manager.log.calls())
    by_number = [number for (_, asked, _), number in counted.items() if asked.isdecimal()]
    return float(max(by_number)), took, sum(by_number) / (adds * _ALL)


def _wait_for_all(latest: dict[tuple[str, int], int], newest: dict[str, int]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        served = Counter(name for (name, _), version in list(latest.items()) if version == newest[name])
        if all(served[name] == _ALL for name in newest):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{sum(served.values())} of {_ALL * len(newest)} entries follow")
        time.sleep(0.005)


def _listen(heard: socket.socket, latest: dict[tuple[str, int], int]) -> None:
    with contextlib.suppress(OSError):
        while True:
            said = json.loads(heard.recv(1024))
            latest[said["name"], said["pid"]] = said["version"]


def _idle(plan: Plan) -> list[Row]:
    """What pulling weighs where nothing happens: the leader and another worker, beside workers that are pushed to."""
    pairs = [
        Pair("memory of a worker that leads", "memory of one that is pushed to", Reach(15, "difference")),
        Pair("memory of a worker that does not lead", "memory of one that is pushed to", Reach(1, "difference")),
        Pair("CPU of an idle worker that leads", "0.5 % of a core", Reach(1)),
    ]
    if not any(plan.wants(pair.path, pair.floor) for pair in pairs):
        return []
    seconds = 2.0 if plan.quick else 20.0
    pulling, pushed = _weighed("both", seconds), _weighed("push", seconds)
    leads = max(pulling, key=lambda one: one[2])
    others = [one for one in pulling if one is not leads]
    floor = [one[0] for one in pushed]
    return [
        row(pairs[0], [leads[0]], floor, unit="MB"),
        row(pairs[1], [one[0] for one in others], floor, unit="MB"),
        row(pairs[2], [leads[1]], [0.5], unit="%"),
    ]


def _weighed(events: str, seconds: float) -> list[tuple[float, float, int]]:
    """Of each worker of one instance: private memory in MB, CPU in percent of a core, threads."""
    with local_cloud() as cloud, _hearing() as (heard, told):
        cloud.create_secret("ROTATED", b"value", topic=_TOPIC)
        with _service(cloud, told, _TOPIC, instances=1, events=events, app="hearing:create_app()") as (master,):
            hear(heard, version=1, count=_WORKERS)
            time.sleep(1.5)
            pids = [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]
            before = {pid: _cpu(pid) for pid in pids}
            time.sleep(seconds)
            return [
                (
                    _private(pid),
                    (_cpu(pid) - before[pid]) / seconds * 100,
                    len(list(Path(f"/proc/{pid}/task").iterdir())),
                )
                for pid in pids
            ]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _private(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024 / (1 << 20)


def _settle(cloud: LocalCloud) -> None:
    """Wait until nobody looks for what it may have missed at its start."""
    calls, since = -1, time.monotonic()
    while time.monotonic() - since < 1.5:
        if len(cloud.secret_manager.log.calls()) != calls:
            calls, since = len(cloud.secret_manager.log.calls()), time.monotonic()
        time.sleep(0.05)


@contextlib.contextmanager
def _hearing() -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(_PATIENCE)
        yield heard, heard.getsockname()[1]


@contextlib.contextmanager
def _service(
    cloud: LocalCloud,
    told: int,
    topic: str,
    *,
    names: Sequence[str] = ("ROTATED",),
    location: str = "",
    instances: int = _INSTANCES,
    events: str = "pull",
    app: str = "service:create_app()",
) -> Iterator[list[int]]:
    """Run instances, each with a directory of its own; gives their masters' process ids."""
    settings = {
        "BENCH_PORT": str(told),
        "BENCH_EVENTS": events,
        "BENCH_TOPIC": topic,
        "BENCH_SECRETS": " ".join(names),
        "BENCH_LOCATION": location,
    }
    with contextlib.ExitStack() as running:
        masters = []
        for _ in range(instances):
            directory = running.enter_context(
                tempfile.TemporaryDirectory(prefix="k-", dir=os.environ["KEYTURN_RUN_DIR"])
            )
            listening = running.enter_context(socket.create_server(("127.0.0.1", 0)))
            command = [
                sys.executable,
                "-m",
                "gunicorn",
                "--workers",
                str(_WORKERS),
                "--bind",
                f"fd://{listening.fileno()}",
            ]
            command += ["--chdir", str(_HERE), "--no-control-socket", "--log-level", "error", app]
            master = subprocess.Popen(
                command,
                env={**os.environ, **cloud.environment(), **settings, "KEYTURN_RUN_DIR": directory},
                pass_fds=[listening.fileno()],
            )
            running.callback(master.wait, 15)
            running.callback(master.terminate)
            masters.append(master.pid)
        yield masters
