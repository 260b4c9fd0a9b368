"""What the demo plays on: a local cloud with six secrets, and a service under gunicorn that is wired to it."""

import contextlib
import importlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ..local.cloud import SENDER, LocalCloud
from ..trace import Counted, Report
from ..trace.looking import Look
from ..trace.times import HOUR
from .service import mark


ROTATED: Final = "PARTNER_API_KEY"
STATIC: Final = "WALLET_PRIVATE_KEY"
NAMES: Final = (ROTATED, "WEBHOOK_TOKEN", "SMTP_PASSWORD", "DATABASE_PASSWORD", "MAPS_API_KEY", STATIC)

TOPIC: Final = "secret-events"
SERVICE: Final = "keyturn-demo"
AUDIENCE: Final = "https://demo.example/secrets/events"

#: Seconds that gunicorn may take to end by itself.
_PATIENCE: Final = 3.0


class ServiceDied(Exception):  # reads as what happened
    """The service did not start, or ended by itself.

    Args:
        what: what happened.
        printed: the end of what it printed.
    """

    def __init__(self, what: str, printed: str) -> None:
        super().__init__(f"{what} Its last lines:\n{printed}")


class Stage:
    """A running cloud and a running service. Made by `set_up`.

    Args:
        cloud: the cloud.
        process: gunicorn's master.
        port: of the service.
        directory: what the service may write to; holds its log.
        marking: the key of the marks.
    """

    def __init__(
        self, cloud: LocalCloud, process: "subprocess.Popen[bytes]", port: int, directory: Path, marking: bytes
    ) -> None:
        self.cloud = cloud
        self.port = port
        self.subscription = ""
        self._process = process
        self._directory = directory
        self._marking = marking
        self._marks: dict[tuple[str, int], str] = {}
        self.newest: dict[str, int] = {}

    def mark(self, name: str, version: int) -> str | None:
        """The mark of a version that was added here; None of any other."""
        return self._marks.get((name, version))

    def add(self, name: str) -> int:
        """Add a version with a value that nobody knows, and return its number."""
        value = secrets.token_hex(16)
        number = self.newest.get(name, 0) + 1
        self._marks[name, number] = mark(self._marking, value)  # before anybody can be served it
        added = self.cloud.add_version(name, value.encode())
        if added != number:
            raise RuntimeError(f"{name}: version {added} where {number} was expected")
        self.newest[name] = added
        return added

    def wire(self) -> None:
        """Push the topic's messages to the service, as Terraform does in a real project."""
        self.subscription = self.cloud.push_to(
            f"http://127.0.0.1:{self.port}/secrets/events", topic=TOPIC, audience=AUDIENCE, backoff=(0.1, 1.0)
        )

    def disable(self, name: str, version: int) -> None:
        """Disable a version."""
        self.cloud.secret_manager.disable_version(self.cloud.secret(name), version)

    def wait_acknowledged(self, messages: int, seconds: float) -> bool:
        """Wait until the service has acknowledged so many messages, and wake at that moment; False if it has not."""
        return self.cloud.pubsub.wait_for_pushes(
            lambda pushes: len({push.message for push in pushes if push.acknowledged}) >= messages, seconds
        )

    def accesses(self) -> dict[str, int]:
        """How often each secret was accessed at Secret Manager since `forget_accesses`."""
        counted = dict.fromkeys(NAMES, 0)
        for (secret, _, _), count in self.cloud.secret_manager.log.counts().items():
            counted[secret.rpartition("/")[2]] += count
        return counted

    def forget_accesses(self) -> None:
        """Count anew."""
        self.cloud.secret_manager.log.clear()

    def trace(self, name: str, version: int, *, instances: int) -> Report:
        """Where a rotation stands, as `keyturn trace` tells it: from what the service printed and the audit log."""
        self.cloud.logging.take_lines(self._lines(), service=SERVICE)
        counted = Counted.constant(instances)
        look = Look(self.cloud.project, "", name, version=version, since=HOUR, counted=counted)
        now = time.time_ns()
        return look.report(look.read(self.cloud.logging_client(), now=now), now=now)

    def check(self) -> None:
        """See whether the service runs.

        Raises:
            ServiceDied: it has ended.
        """
        if self._process.poll() is not None:
            raise ServiceDied("The service ended by itself.", self.printed())

    def printed(self) -> str:
        """The last lines that the service printed."""
        return "\n".join(self._lines()[-15:])

    def _lines(self) -> list[str]:
        return (self._directory / "log").read_text(errors="replace").splitlines()


@contextlib.contextmanager
def set_up(workers: int) -> Iterator[Stage]:
    """Start everything; all of it is gone when this ends, whatever ends it."""
    with contextlib.ExitStack() as up:
        cloud = up.enter_context(LocalCloud())
        directory = Path(tempfile.mkdtemp(prefix="keyturn-demo-"))
        up.callback(shutil.rmtree, directory, ignore_errors=True)
        marking = secrets.token_hex(16).encode()
        for name in NAMES:
            cloud.create_secret(name, topic=TOPIC)
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
            port = listening.getsockname()[1]
            environment = {**_environment(directory, marking), **cloud.environment()}
            process = _serve(listening, workers, directory, environment)
        up.callback(_end, process)
        stage = Stage(cloud, process, port, directory, marking)
        for name in NAMES:
            stage.add(name)
        yield stage


def _environment(directory: Path, marking: bytes) -> dict[str, str]:
    # What the user has set for other services must not change what is shown here; nor is there a proxy to loopback.
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("KEYTURN_", "GUNICORN_", "K_", "GOOGLE_")) and not k.lower().endswith("_proxy")
    }
    home = str(Path(__file__).parents[2])
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, (home, kept.get("PYTHONPATH", "")))),
        "KEYTURN_RUN_DIR": str(directory / "run"),
        "KEYTURN_DEMO_SECRETS": " ".join(NAMES),
        "KEYTURN_DEMO_STATIC": STATIC,
        "KEYTURN_DEMO_AUDIENCE": AUDIENCE,
        "KEYTURN_DEMO_SENDER": SENDER,
        "KEYTURN_DEMO_MARK": marking.decode(),
        "PYTHONUNBUFFERED": "1",
    }


def _serve(
    listening: socket.socket, workers: int, directory: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    # The socket is handed over, so that the port cannot be taken by somebody else in between.
    command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listening.fileno()}", "--workers", str(workers)]
    command += ["--graceful-timeout", "1", "--worker-tmp-dir", str(directory), *_without_control_socket()]
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603  # this interpreter, fixed arguments, no shell
            [*command, f"{__package__}.service:create_app()"],
            # Not where the user stands: gunicorn would import what lies there before what is ours.
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )


def _without_control_socket() -> list[str]:
    # Newer versions of gunicorn put a socket into the home directory, where two demos would meet.
    known = importlib.import_module("gunicorn.config").KNOWN_SETTINGS
    return ["--no-control-socket"] if any(s.name == "control_socket_disable" for s in known) else []


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
    # The group holds the workers too, whatever became of their master.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_PATIENCE)
