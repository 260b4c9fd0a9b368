"""Which instance of which service this process belongs to: for its log entries, and for its place in the fleet."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .threads import spawn


#: Where Google's platforms say what an instance is called, and the variable that moves it, as google-auth has it.
METADATA_VARIABLE: Final = "GCE_METADATA_HOST"
_METADATA_HOST: Final = "metadata.google.internal"
_METADATA_PATH: Final = "/computeMetadata/v1/instance/id"
_PATIENCE: Final = 2.0
#: An instance's id on Cloud Run has some hundred hexadecimal digits.
_LONGEST: Final = 256

#: Cloud Run's variables: of a service, of a worker pool, of a job [cloud.google.com/run/docs/container-contract].
_CLOUD_RUN: Final = (
    ("K_SERVICE", "K_REVISION"),
    ("CLOUD_RUN_WORKER_POOL", "CLOUD_RUN_WORKER_POOL_REVISION"),
    ("CLOUD_RUN_JOB", "CLOUD_RUN_EXECUTION"),
)

#: What the processes of a container agree on, in their directory: its token, and what the platform calls the instance.
_MARK: Final = "instance"
_NAME: Final = "name"


@dataclass(frozen=True, slots=True)
class Platform:
    """What a platform's variables say.

    Args:
        service: the service's name; "" where the platform gives none.
        revision: which deployment of it; likewise.
        instance: the instance's name; "" where the variables do not say it.
        cloud_run: whether the metadata server knows it.
    """

    service: str = ""
    revision: str = ""
    instance: str = ""
    cloud_run: bool = False


def platform(environ: Mapping[str, str]) -> Platform:
    """Read what the platform says in the environment; pure.

    Args:
        environ: the variables. In Kubernetes, HOSTNAME is the pod's name, and POD_NAME is where manifests put it by
            convention [kubernetes.io/docs, "Expose Pod Information"].
    """
    for service, revision in _CLOUD_RUN:
        if environ.get(service):
            return Platform(environ[service], environ.get(revision, ""), cloud_run=True)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return Platform(instance=environ.get("POD_NAME") or environ.get("HOSTNAME", ""))
    return Platform()


class Instance:
    """Name the service, the revision and the instance of this process. Thread-safe; survives a fork.

    Nothing is read, asked or started before it is used, and nothing ever waits for the metadata server.

    Args:
        service: the service's name where its author gave one.
        environ: where the platform says what it knows.
        ask: gives the id that the metadata server has, None where it gives none in time.
    """

    def __init__(
        self,
        *,
        service: str | None = None,
        environ: Mapping[str, str],
        ask: Callable[[Mapping[str, str]], str | None] | None = None,
    ) -> None:
        self._service = service
        self._environ = environ
        self._ask = ask or _ask_metadata
        self._id = self._token = ""
        self._directory: Path | None = None

    @property
    def service(self) -> str:
        """The name that the author gave, else the platform's, else ""."""
        return self._service or platform(self._environ).service

    @property
    def revision(self) -> str:
        """Which deployment of the service this is; "" where the platform does not say."""
        return platform(self._environ).revision

    @property
    def id(self) -> str:
        """What the instance is called; "" until a process of the container knows it."""
        if not self._id and self._directory is not None:
            # Who leaves before its own answer has come deletes the subscription that another one has made.
            with suppress(OSError):
                self._id = str((self._directory / _NAME).readlink())
        return self._id

    @property
    def token(self) -> str:
        """What all processes of the container share with nobody else: random; "" before `find`."""
        return self._token

    def find(self, directory: Path) -> None:
        """Find out what the instance is called: at once, except on Cloud Run, where a thread asks.

        Where the platform has no name for it, the instance gets a random one. All processes of the container call it
        as the first of them that knew.

        Args:
            directory: the private directory that the processes of the container share. Where it cannot be written
                to, this process has a token of its own.
        """
        self._token = self._token or os.urandom(6).hex()
        with suppress(OSError):
            self._token = _shared(directory, _MARK, self._token)
        self._directory = directory
        found = platform(self._environ)
        if not found.cloud_run:
            self._id = found.instance or self._token
        elif self._id:
            self._agree(directory, self._id)
        else:
            with suppress(RuntimeError):  # out of threads: it stays unknown
                spawn(lambda: self._agree(directory, self._ask(self._environ) or self._token), name="instance")

    def _agree(self, directory: Path, name: str) -> None:
        with suppress(OSError):
            name = _shared(directory, _NAME, name)
        self._id = name


def _ask_metadata(environ: Mapping[str, str]) -> str | None:
    from .download import download

    host = environ.get(METADATA_VARIABLE) or _METADATA_HOST
    found = download(
        f"http://{host}{_METADATA_PATH}", timeout=_PATIENCE, largest=_LONGEST, headers={"Metadata-Flavor": "Google"}
    )
    text = found.body.decode("ascii", "replace").strip() if found is not None else ""
    return text if text.isalnum() else None


def _shared(directory: Path, link: str, mine: str) -> str:
    """What stands in the directory under that name; `mine` where nothing does."""
    # A symbolic link that leads nowhere: made whole in one step by whoever comes first, and on a full disk too.
    path = directory / link
    with suppress(FileExistsError):
        path.symlink_to(mine)
    return str(path.readlink())
