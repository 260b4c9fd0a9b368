"""What the demo plays on: a local cloud with six secrets, and instances of a service that are wired to it."""

import contextlib
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..local.cloud import SENDER, LocalCloud
from ..trace import Counted, Report
from ..trace.looking import Look
from ..trace.times import HOUR
from . import processes
from .service import mark


ROTATED: Final = "PARTNER_API_KEY"
STATIC: Final = "WALLET_PRIVATE_KEY"
NAMES: Final = (ROTATED, "WEBHOOK_TOKEN", "SMTP_PASSWORD", "DATABASE_PASSWORD", "MAPS_API_KEY", STATIC)

TOPIC: Final = "secret-events"
SERVICE: Final = "keyturn-demo"
AUDIENCE: Final = "https://demo.example/secrets/events"


class ServiceDied(Exception):  # reads as what happened
    """The service did not start, or ended by itself.

    Args:
        what: what happened.
        printed: the end of what it printed.
    """

    def __init__(self, what: str, printed: str) -> None:
        super().__init__(f"{what} Its last lines:\n{printed}")


@dataclass(frozen=True, slots=True)
class Instance:
    """One container of the service.

    Args:
        process: gunicorn's master.
        port: on loopback.
        log: what it prints.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def printed(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self.lines()[-15:])

    def lines(self) -> list[str]:
        """All lines that it printed."""
        return self.log.read_text(errors="replace").splitlines()


class Stage:
    """A running cloud and a running service. Made by `set_up`.

    Args:
        cloud: the cloud.
        instances: the containers, of which the first is pushed to.
        marking: the key of the marks.
    """

    def __init__(self, cloud: LocalCloud, instances: Sequence[Instance], marking: bytes) -> None:
        self.cloud = cloud
        self.instances = instances
        self.subscription = ""
        self._marking = marking
        self._marks: dict[tuple[str, int], str] = {}
        self.newest: dict[str, int] = {}

    @property
    def ports(self) -> list[int]:
        """Of all instances; the first is pushed to."""
        return [instance.port for instance in self.instances]

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
        """Push the topic's messages to one instance, as Terraform and a load balancer do in a real project."""
        self.subscription = self.cloud.push_to(
            f"http://127.0.0.1:{self.ports[0]}/secrets/events", topic=TOPIC, audience=AUDIENCE, backoff=(0.1, 1.0)
        )

    def disable(self, name: str, version: int) -> None:
        """Disable a version."""
        self.cloud.secret_manager.disable_version(self.cloud.secret(name), version)

    def wait_acknowledged(self, messages: int, seconds: float) -> bool:
        """Wait until so many messages have been acknowledged by every way they go; False if they have not.

        Returns at the moment of the last push's acknowledgement, where instances do not pull.
        """
        pushed = self.cloud.pubsub.wait_for_pushes(
            lambda pushes: len({push.message for push in pushes if push.acknowledged}) >= messages, seconds
        )
        return pushed and not any(self.cloud.pubsub.undelivered(name) for name in self.fleet())

    def fleet(self) -> list[str]:
        """The subscriptions that the instances have made for themselves."""
        listed = self.cloud.pubsub.subscriptions(f"projects/{self.cloud.project}")
        return [name for name in listed if name != self.subscription]

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
        """See whether all instances run.

        Raises:
            ServiceDied: one has ended.
        """
        for instance in self.instances:
            if instance.process.poll() is not None:
                raise ServiceDied("The service ended by itself.", instance.printed())

    def printed(self) -> str:
        """The last lines that the first instance printed."""
        return self.instances[0].printed()

    def _lines(self) -> list[str]:
        return [line for instance in self.instances for line in instance.lines()]


@contextlib.contextmanager
def set_up(workers: int, instances: int) -> Iterator[Stage]:
    """Start everything; all of it is gone when this ends, whatever ends it."""
    with contextlib.ExitStack() as up:
        cloud = up.enter_context(LocalCloud())
        directory = Path(tempfile.mkdtemp(prefix="keyturn-demo-"))
        up.callback(shutil.rmtree, directory, ignore_errors=True)
        marking = secrets.token_hex(16).encode()
        for name in NAMES:
            cloud.create_secret(name, topic=TOPIC)
        # Where there is one instance, pushes reach all of it.
        events = "push" if instances == 1 else "both"
        started: list[Instance] = []
        up.callback(lambda: processes.end(*[instance.process for instance in started]))
        for number in range(instances):
            own = directory / str(number)
            own.mkdir()
            with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
                environment = _environment(own, marking, events=events) | cloud.environment()
                process = _serve(listening, workers, own, environment)
                started.append(Instance(process, listening.getsockname()[1], own / "log"))
        stage = Stage(cloud, started, marking)
        for name in NAMES:
            stage.add(name)
        yield stage


def _environment(directory: Path, marking: bytes, *, events: str) -> dict[str, str]:
    return {
        **processes.surroundings(directory),
        "KEYTURN_DEMO_SECRETS": " ".join(NAMES),
        "KEYTURN_DEMO_STATIC": STATIC,
        "KEYTURN_DEMO_AUDIENCE": AUDIENCE,
        "KEYTURN_DEMO_SENDER": SENDER,
        "KEYTURN_DEMO_MARK": marking.decode(),
        "KEYTURN_DEMO_EVENTS": events,
        "KEYTURN_DEMO_TOPIC": TOPIC,
    }


def _serve(
    listening: socket.socket, workers: int, directory: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    with (directory / "log").open("wb") as log:
        return processes.serve(
            f"{__package__}.service:create_app()",
            listening,
            workers=workers,
            directory=directory,
            environment=environment,
            output=log,
        )
