"""What a push and a request cost over the network, beside an application that does only what must be done."""

import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from bare import capture
from place import AUDIENCE, local_cloud
from timing import Call, Pair, Plan, Reach, Row, compare, row

from notifier.local.cloud import SENDER, LocalCloud


_HERE: Final = Path(__file__).parent
_PATIENCE: Final = 20.0

_PAIRS: Final = [
    Pair("a push that concerns us", "bare route + RS256 + one access", Reach(1.5)),
    Pair("a push of no concern", "bare route + RS256", Reach(1.3)),
    Pair("a forged push", "bare route", Reach(1.5)),
]

_CHECKED: Final = "medians of ten runs of requests, with the check"
_UNCHECKED: Final = "medians of ten runs without it"


def rows(plan: Plan) -> list[Row]:
    return [*_pushes(plan), *_requests(plan)]


def _pushes(plan: Plan) -> list[Row]:
    if not any(plan.wants(ours, floor) for ours, floor, _ in _PAIRS):
        return []
    with local_cloud() as cloud:
        for name in ("PUSHED", "FLOOR", "UNUSED"):
            cloud.create_secret(name, b"value", topic="events")
        headers, body = capture(lambda url: _push_one(cloud, url))
        stranger = {
            "Authorization": f"Bearer {cloud.issuer.forge(cloud.issuer.claims(audience=AUDIENCE, email=SENDER))}"
        }
        with _app("pushed:create_app()") as ours, _app("floor:create_app()") as floor:
            events = _Events(cloud, body)
            calls = {
                "a push that concerns us": _post(ours, "/secrets/events", headers, 204, events.adding("PUSHED")),
                "a push of no concern": _post(ours, "/secrets/events", headers, 204, events.of("UNUSED")),
                "a forged push": _post(ours, "/secrets/events", {**headers, **stranger}, 401, events.of("PUSHED")),
                "bare route": _post(floor, "/bare", headers, 204, events.of("FLOOR")),
                "bare route + RS256": _post(floor, "/verified", headers, 204, events.of("FLOOR")),
                "bare route + RS256 + one access": _post(floor, "/read", headers, 204, events.adding("FLOOR")),
            }
            return compare(plan, calls, _PAIRS, rounds=400)


def _requests(plan: Plan) -> list[Row]:
    """Ten runs of each, in turn: no difference is one that is smaller than the middle half of those without differs."""
    if not plan.wants(_CHECKED, _UNCHECKED):
        return []
    medians: dict[str, list[float]] = {_CHECKED: [], _UNCHECKED: []}
    with local_cloud() as cloud:
        cloud.create_secret("PUSHED", b"value")
        with _app("pushed:create_app()") as ours, _app("place:new_app()") as floor:
            calls = {_CHECKED: _ask("GET", ours, "/", status=200), _UNCHECKED: _ask("GET", floor, "/", status=200)}
            for turn in range(11):
                for name, call in calls.items():
                    taken = statistics.median(call() for _ in range(plan.rounds(300)))
                    medians[name] += [taken] if turn else []  # after one for warmth
    first, _, third = statistics.quantiles(medians[_UNCHECKED])
    return [row(Pair(_CHECKED, _UNCHECKED, Reach(third - first, "difference")), *medians.values())]


class _Events:
    """Bodies of pushes, made from one that the local cloud sent."""

    def __init__(self, cloud: LocalCloud, body: bytes) -> None:
        self._cloud = cloud
        self._template = json.loads(body)
        self._number = json.loads(body)["message"]["attributes"]["secretId"].rpartition("/")[0]

    def of(self, name: str) -> Callable[[], bytes]:
        body = self._body(name, 1)
        return lambda: body

    def adding(self, name: str) -> Callable[[], bytes]:
        return lambda: self._body(name, self._cloud.add_version(name, b"value"))

    def _body(self, name: str, version: int) -> bytes:
        secret = f"{self._number}/{name}"
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09}Z"
        attributes = self._template["message"]["attributes"]
        changed = {"secretId": secret, "versionId": f"{secret}/versions/{version}", "timestamp": now}
        message = {**self._template["message"], "attributes": {**attributes, **changed}, "publishTime": now}
        return json.dumps({**self._template, "message": message}).encode()


def _push_one(cloud: LocalCloud, url: str) -> None:
    cloud.push_to(url, topic="events", audience=AUDIENCE)
    cloud.add_version("UNUSED", b"value")


def _post(port: int, path: str, headers: dict[str, str], status: int, body: Callable[[], bytes]) -> Call:
    sent = {name: value for name, value in headers.items() if name.lower() not in {"host", "content-length"}}
    return _ask("POST", port, path, status=status, headers=sent, body=body)


def _ask(
    method: str,
    port: int,
    path: str,
    *,
    status: int,
    headers: Mapping[str, str] | None = None,
    body: Callable[[], bytes] = bytes,
) -> Call:
    """Ask by a connection of its own."""

    def call() -> float:
        content = body()
        start = time.perf_counter_ns()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        connection.request(method, path, content or None, headers or {})
        answer = connection.getresponse()
        answer.read()
        taken = time.perf_counter_ns() - start
        connection.close()
        if answer.status != status:
            raise RuntimeError(f"{path}: {answer.status}")
        return taken

    return call


@contextlib.contextmanager
def _app(name: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        descriptor = listening.fileno()
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{descriptor}", "--chdir", str(_HERE)]
        command += ["--no-control-socket", "--log-level", "error", name]
        with subprocess.Popen(command, pass_fds=[descriptor], env=dict(os.environ)) as gunicorn:
            try:
                yield port
            finally:
                gunicorn.terminate()
