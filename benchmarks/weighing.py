"""What a worker weighs, beside the same service with Google's client alone: memory, threads and file descriptors."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from place import local_cloud
from timing import Pair, Plan, Reach, Row, row


_HERE: Final = Path(__file__).parent
_MEGABYTE: Final = 1 << 20

#: What is weighed, with its unit and how much more it may be.
_WEIGHED: Final[Mapping[str, tuple[str, float | None]]] = {
    "memory": ("MB", 3.0),
    "threads": ("", 3.0),
    "descriptors": ("", None),
}


def rows(plan: Plan) -> list[Row]:
    pairs = {what: (f"{what} of a worker", f"{what} with the client alone") for what in _WEIGHED}
    if not any(plan.wants(*pair) for pair in pairs.values()):
        return []
    ours: dict[str, list[float]] = {what: [] for what in _WEIGHED}
    floor: dict[str, list[float]] = {what: [] for what in _WEIGHED}
    with local_cloud() as cloud:
        cloud.create_secret("PUSHED", b"value")
        for _ in range(plan.rounds(5)):
            for name, taken in (("weighed:with_keyturn()", ours), ("weighed:with_the_client()", floor)):
                with _worker(name) as weighed:
                    for what, weight in weighed.items():
                        taken[what].append(weight)
    found = []
    for what, (unit, most) in _WEIGHED.items():
        reach = Reach(most, "difference") if most is not None else None
        if plan.wants(*pairs[what]):
            found.append(row(Pair(*pairs[what], reach), ours[what], floor[what], unit=unit))
    return found


@contextlib.contextmanager
def _worker(name: str) -> Iterator[Mapping[str, float]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, descriptor = listening.getsockname()[1], listening.fileno()
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{descriptor}", "--chdir", str(_HERE)]
        command += ["--no-control-socket", "--log-level", "error", name]
        with subprocess.Popen(command, pass_fds=[descriptor], env=dict(os.environ)) as gunicorn:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request("GET", "/")
                pid = json.loads(connection.getresponse().read())
                connection.close()
                yield _weigh(pid)
            finally:
                gunicorn.terminate()


def _weigh(pid: int) -> Mapping[str, float]:
    process = Path(f"/proc/{pid}")
    private = [int(line.split()[1]) for line in (process / "smaps_rollup").read_text().splitlines() if "Pss:" in line]
    return {
        "memory": private[0] * 1024 / _MEGABYTE,
        "threads": len(list((process / "task").iterdir())),
        "descriptors": len(list((process / "fd").iterdir())),
    }
