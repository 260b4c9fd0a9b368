"""Where the benchmarks run: a local cloud, an environment that points at it, and requests without a network."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any, Final
from unittest.mock import patch

from flask import Flask
from werkzeug.test import EnvironBuilder

from notifier.local.cloud import SENDER, LocalCloud
from receiver import OIDC, SecretCache


AUDIENCE: Final = "https://service.example/secrets/events"


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let this process and its children see these variables, and none that would change what is measured."""
    ours = ("KEYTURN_", "K_", "GUNICORN_", "SECRET_MANAGER_EMULATOR_HOST")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with (
        tempfile.TemporaryDirectory(prefix="keyturn-bench-", dir=_memory()) as run_dir,
        patch.dict(os.environ, {**kept, **variables, "KEYTURN_RUN_DIR": run_dir}, clear=True),
    ):
        yield


def as_installed() -> dict[str, str]:
    """The variables for a process as users start it: compiled once, not at every start, with a Pub/Sub of its own."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in {"PUBSUB_EMULATOR_HOST", "PYTHONDONTWRITEBYTECODE"}
    }


def _memory() -> str | None:
    # Where services have their run directory too; the disk of the temporary directory would be measured instead.
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@contextlib.contextmanager
def local_cloud() -> Iterator[LocalCloud]:
    """A local cloud in this process, and the environment to use it."""
    with LocalCloud() as cloud, environment(cloud.environment()):
        yield cloud


@contextlib.contextmanager
def new_cache() -> Iterator[SecretCache]:
    """A cache on the local cloud, closed in the end."""
    cache = SecretCache(project=os.environ["GOOGLE_CLOUD_PROJECT"])
    with contextlib.closing(cache):
        yield cache


def push_auth() -> OIDC:
    """Lets the local cloud push."""
    return OIDC(audience=AUDIENCE, sender=SENDER)


def new_app() -> Flask:
    """A bare application: one route that answers, one that reads the body."""
    app = Flask(__name__)

    @app.get("/")
    def answer() -> str:
        return "served"

    @app.post("/bare")
    def read() -> tuple[str, int]:
        from flask import request

        request.get_data()
        return "", 204

    return app


def request(
    app: Flask, method: str, path: str, *, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Callable[[], None]:
    """A request that is made anew at each call, from the WSGI server's door to the end of the answer."""
    environ = EnvironBuilder(path=path, method=method, headers=[*(headers or {}).items()], data=body).get_environ()

    def start(given: str, *_: Any) -> Callable[[bytes], object]:
        if not given.startswith(str(status)):
            raise RuntimeError(f"{method} {path}: {given}")
        return BytesIO().write

    def call() -> None:
        answer = app.wsgi_app({**environ, "wsgi.input": BytesIO(body)}, start)
        with contextlib.closing(answer):  # type: ignore[type-var]  # what Flask answers with can be closed
            b"".join(answer)

    return call
