"""What the demo plays on: a local cloud, a database, a service with a pool, and the rotator, wired to each other."""

import contextlib
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from google.cloud import secretmanager
from google.protobuf.field_mask_pb2 import FieldMask

from ...local.cloud import SENDER, LocalCloud
from .. import processes
from ..stage import ServiceDied
from .database import Database


SECRET: Final = "DATABASE_URL"  # noqa: S105  # the names of secrets
ADMINISTRATOR: Final = "DATABASE_ADMIN_URL"
TOPIC: Final = "secret-events"
USERS: Final = ("app_a", "app_b")
SERVICE: Final = "keyturn-demo"
WORKERS: Final = 2

_SERVICE_AUDIENCE: Final = "https://demo.example/secrets/events"
_ROTATOR_AUDIENCE: Final = "https://rotator.example/rotation/events"

#: Seconds: Secret Manager's schedules begin five minutes from now at the earliest, so the cloud's clock begins behind.
_BEHIND: Final = 400.0

_MANIFEST: Final = f"""\
project: local-project
location: global
topic: {TOPIC}
pusher: pusher
services:
  {SERVICE}: {{service_account: demo@local-project.iam.gserviceaccount.com, instances: 1,
    push_endpoint: "{_SERVICE_AUDIENCE}"}}
rotator: {{service_account: rotator@local-project.iam.gserviceaccount.com, push_endpoint: "{_ROTATOR_AUDIENCE}"}}
secrets:
  {SECRET}:
    used_by: [{SERVICE}]
    rotation:
      period: 30d
      rotator: postgres-alternating
      settings: {{administrator: {ADMINISTRATOR}, users: [{", ".join(USERS)}]}}
      uses: [{ADMINISTRATOR}]
      grace: 1s
  {ADMINISTRATOR}: {{used_by: []}}
"""


class Stage:
    """Everything, running. Made by `set_up`.

    Args:
        cloud: the cloud.
        database: the database.
        directory: what the processes may write to; holds their logs.
        first: the URL that is served at the beginning.
        port: of the service.
    """

    def __init__(self, cloud: LocalCloud, database: Database, directory: Path, first: str, port: int) -> None:
        self.cloud = cloud
        self.database = database
        self.first = first
        self.port = port
        self._directory = directory
        self._client = cloud.secret_manager_client()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def keep(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        """Look after a process."""
        self._processes[name] = process

    def schedule(self) -> None:
        """Give the secret a schedule, and let the time come."""
        path = self.cloud.secret(SECRET)
        secret = secretmanager.Secret(name=path)
        rotation = secretmanager.Secret.pb(secret).rotation
        rotation.next_rotation_time.FromMicroseconds(int((self.cloud.clock() + _BEHIND - 1) * 1e6))
        rotation.rotation_period.FromSeconds(30 * 86400)
        self._client.update_secret(secret=secret, update_mask=FieldMask(paths=["rotation"]), timeout=10)
        self.cloud.advance(_BEHIND)

    def newest(self) -> int:
        """The number of the newest version."""
        name = f"{self.cloud.secret(SECRET)}/versions/latest"
        answer = self._client.get_secret_version(name=name, timeout=10)
        return int(answer.name.rpartition("/")[2])

    def state(self, version: int) -> str:
        """The state of a version."""
        name = f"{self.cloud.secret(SECRET)}/versions/{version}"
        return str(self._client.get_secret_version(name=name, timeout=10).state.name)

    def check(self) -> None:
        """See whether all processes run.

        Raises:
            ServiceDied: one has ended.
        """
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise ServiceDied(f"The {name} ended by itself.", self.printed(name))

    def printed(self, name: str) -> str:
        """The last lines that a process printed."""
        return "\n".join((self._directory / f"{name}.log").read_text(errors="replace").splitlines()[-15:])


@contextlib.contextmanager
def set_up() -> Iterator[Stage]:
    """Start everything; all of it is gone when this ends, whatever ends it.

    Raises:
        NoDatabase: PostgreSQL is not installed here, or does not start.
        ServiceDied: a process did not start.
    """
    with contextlib.ExitStack() as up:
        database = up.enter_context(Database())
        cloud = up.enter_context(LocalCloud(wall=lambda: time.time() - _BEHIND))  # noqa: TID251  # shifted, once
        directory = Path(tempfile.mkdtemp(prefix="keyturn-demo-"))
        up.callback(shutil.rmtree, directory, ignore_errors=True)
        first = _fill(cloud, database)
        (directory / "secrets.yaml").write_text(_MANIFEST)
        environment = {**processes.surroundings(directory), **cloud.environment(), **_settings(database)}
        with _listening() as service, _listening() as rotator:
            stage = Stage(cloud, database, directory, first, service.getsockname()[1])
            for name, listening, app, workers in (
                ("service", service, f"{__package__}.service:create_app()", WORKERS),
                ("rotator", rotator, "notifier.rotation.wsgi:app()", 1),
            ):
                process = processes.serve(
                    app,
                    listening,
                    workers=workers,
                    directory=directory,
                    environment=environment,
                    output=subprocess.PIPE,
                    more=["--threads", "4"],
                )
                up.callback(processes.end, process)
                reader = _tell(process, cloud, name, directory / f"{name}.log")
                up.callback(reader.join, 2.0)
                stage.keep(name, process)
            _wire(cloud, service.getsockname()[1], rotator.getsockname()[1])
        yield stage


def _fill(cloud: LocalCloud, database: Database) -> str:
    password = secrets.token_hex(16)
    database.add_role(USERS[0], password)
    database.add_role(USERS[1], None)
    first = database.url(USERS[0], password)
    cloud.create_secret(SECRET, first.encode(), topic=TOPIC)
    cloud.create_secret(f"{SECRET}-candidate")
    cloud.create_secret(ADMINISTRATOR, database.administrator.encode())
    return first


def _settings(database: Database) -> dict[str, str]:
    return {
        "KEYTURN_DEMO_AUDIENCE": _SERVICE_AUDIENCE,
        "KEYTURN_DEMO_SENDER": SENDER,
        "KEYTURN_DEMO_DATABASE": database.place,
        "KEYTURN_MANIFEST": "secrets.yaml",
        "KEYTURN_ROTATION_SECONDS": "0.5",
    }


def _wire(cloud: LocalCloud, service: int, rotator: int) -> None:
    """Push the topic's messages to both, as Terraform does in a real project."""
    cloud.push_to(
        f"http://127.0.0.1:{service}/secrets/events",
        topic=TOPIC,
        name="service",
        audience=_SERVICE_AUDIENCE,
        backoff=(0.1, 1.0),
        filter='attributes.eventType != "SECRET_ROTATE"',
    )
    cloud.push_to(
        f"http://127.0.0.1:{rotator}/rotation/events",
        topic=TOPIC,
        name="rotator",
        audience=_ROTATOR_AUDIENCE,
        backoff=(0.1, 1.0),
        filter='attributes.eventType = "SECRET_ROTATE"',
    )


def _listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=512)


def _tell(process: "subprocess.Popen[bytes]", cloud: LocalCloud, name: str, log: Path) -> threading.Thread:
    """Give what a process prints to the cloud's Logging, as Cloud Run's agent does, and keep it for troubles."""

    def read(printed: IO[bytes]) -> None:
        with log.open("ab", buffering=0) as kept:
            for line in printed:
                kept.write(line)
                cloud.logging.take_lines([line], service=SERVICE if name == "service" else "rotator")

    assert process.stdout is not None  # noqa: S101  # a pipe, see above
    reader = threading.Thread(target=read, args=(process.stdout,), name=f"demo-{name}", daemon=True)
    reader.start()
    return reader
