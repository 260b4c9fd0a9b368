"""A real service under gunicorn against the local cloud, and the questions that the tests ask it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from notifier.local.cloud import SENDER, LocalCloud


AUDIENCE = "https://service.example/secrets/events"
ROOT = Path(__file__).parents[2]
PATIENCE = 20.0


class Service:
    """One container: a gunicorn master and its workers. Of the arguments of a server the last one wins."""

    def __init__(self, cloud: LocalCloud, *args: str, workers: int = 4, env: dict[str, str] | None = None) -> None:
        self.cloud, self.workers = cloud, workers
        self.run_dir = tempfile.TemporaryDirectory(prefix="keyturn-test-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.args, self.env = args, environment(cloud, self.run_dir.name) | (env or {})
        self.launch()

    def launch(self) -> None:
        """Start it; again, where it has ended, at the same port and with what it left in its run directory."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.server(), *self.args],
            cwd=ROOT,
            env=self.env,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        try:
            self.reach_all(self.workers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for stop in (signal.SIGCONT, signal.SIGTERM):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, stop)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.log.close()
        self.run_dir.cleanup()

    def server(self) -> list[str]:
        workers, bind = str(self.workers), f"127.0.0.1:{self.port}"
        options = ["--workers", workers, "--bind", bind, "--graceful-timeout", "8", "--no-control-socket"]
        return ["gunicorn", *options, "tests.service.app:create_app()"]

    @property
    def push_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/secrets/events"

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def left_in_run_dir(self) -> list[str]:
        return [str(path.relative_to(self.run_dir.name)) for path in Path(self.run_dir.name).rglob("*")]

    def get(self, hold: float = 0.0, timeout: float = 5.0) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", f"/?hold={hold}")
            response = connection.getresponse()
            body = response.read()
            assert 200 == response.status, body
            return json.loads(body)
        finally:
            connection.close()

    def push(self, body: bytes, headers: dict[str, str], timeout: float = 10.0) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            # Who is refused may be told so before all of the body is sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", "/secrets/events", body=body, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def seen(self, hold: float = 0.05, timeout: float = 5.0) -> dict[int, dict]:
        """What each worker that could be reached serves, from as many held requests at once as there are workers."""

        def one(_: int) -> dict | None:
            try:
                return self.get(hold=hold, timeout=timeout)
            except (OSError, http.client.HTTPException):  # its process has ended
                return None

        with ThreadPoolExecutor(self.workers) as pool:
            return {answer["pid"]: answer for answer in pool.map(one, range(self.workers)) if answer}

    def all_serve(self, name: str, version: int, *, count: int | None = None) -> dict[int, dict]:
        """Ask until every worker has been seen; each answer must carry `version`."""
        found = self.reach_all(count or self.workers)
        assert {version} == {answer[name][0] for answer in found.values()}, self.output()
        return found

    def reach_all(self, workers: int) -> dict[int, dict]:
        """Ask until so many workers have answered; not all at once, since a threaded one accepts for its siblings."""
        found: dict[int, dict] = {}

        def complete() -> bool:
            found.update(self.seen())
            return len(found) >= workers

        self.wait_until(complete, f"{workers} workers answer")
        return found

    def wait_until(self, condition, what: str, patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"not within {patience} s: {what}\n{self.output()}")
            threading.Event().wait(0.02)

    def pids(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


class AsgiService(Service):
    """One container: a uvicorn supervisor and its workers."""

    def server(self) -> list[str]:
        options = ["--workers", str(self.workers), "--host", "127.0.0.1", "--port", str(self.port)]
        return [
            "uvicorn",
            *options,
            "--timeout-graceful-shutdown",
            "3",
            "--factory",
            "tests.service.asgi_app:create_app",
        ]


class PlainService(Service):
    """`python plain.py`: Flask's own server, with the debugger and its reloader where TEST_WATCHED names a file."""

    def server(self) -> list[str]:
        return ["tests.service.plain", str(self.port)]

    def answers(self) -> int | None:
        """Which process answers; None where none does at this moment."""
        return next(iter(self.seen()), None)


def environment(cloud: LocalCloud, run_dir: str) -> dict[str, str]:
    """What services and programs of these tests are started with."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("KEYTURN_", "K_", "GUNICORN_"))},
        **cloud.environment(),
        "KEYTURN_RUN_DIR": run_dir,
        "TEST_AUDIENCE": AUDIENCE,
        "TEST_SENDER": SENDER,
        "PYTHONUNBUFFERED": "1",
    }


class Users:
    """Requests one after the other for as long as the block lasts, and what was wrong with any of them.

    Args:
        service: whom they ask.
        count: how many ask at the same time.
        forgiving: whether a request that fails is nothing wrong, since somebody ends the workers.
    """

    def __init__(self, service: Service, count: int = 2, *, forgiving: bool = False) -> None:
        self.service = service
        self.count = count
        self.forgiving = forgiving
        self.floor = 1
        self.answered = 0
        self.wrong: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)

    def wait_for_more(self, requests: int = 4) -> None:
        """Wait until so many more requests have been answered."""
        wanted = self.answered + requests
        self.service.wait_until(lambda: self.answered >= wanted or self.wrong, f"{requests} more requests")

    def _ask(self) -> None:
        while not self._over.is_set():
            floor = self.floor
            try:
                version, value = self.service.get(timeout=5.0 if self.forgiving else PATIENCE)["API_KEY"]
            except Exception as exc:  # noqa: BLE001  # whatever it is, the test wants to hear of it
                if self.forgiving:
                    continue
                self.wrong.append(repr(exc))
                return
            if version < floor or value != f"API_KEY-{version}":
                self.wrong.append(f"{value} as version {version}, after version {floor} was acknowledged")
            self.answered += 1


def body_for(event: dict[str, str], *, published: str = "2026-01-01T00:00:00Z", data: str = "e30=") -> bytes:
    return json.dumps(
        {
            "subscription": "projects/p/subscriptions/s",
            "message": {"attributes": event, "data": data, "messageId": "1", "publishTime": published},
        }
    ).encode()
