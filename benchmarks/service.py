"""The service of the rotating and fleet benchmarks: each worker says by UDP when it serves which version."""

import json
import os
import socket
import time
from functools import partial
from typing import Any

from flask import Flask
from place import push_auth

from receiver import HeldValue, SecretCache, refresh_blueprint


def create_app() -> Flask:
    # A Unix socket where so much is told that UDP would lose some of it: its senders wait.
    told: Any = os.environ.get("BENCH_SOCKET") or ("127.0.0.1", int(os.environ["BENCH_PORT"]))
    out = socket.socket(socket.AF_UNIX if isinstance(told, str) else socket.AF_INET, socket.SOCK_DGRAM)

    names = os.environ.get("BENCH_SECRETS", "ROTATED").split()
    events: Any = os.environ.get("BENCH_EVENTS", "push")
    cache = SecretCache(
        project=os.environ["GOOGLE_CLOUD_PROJECT"],
        location=os.environ.get("BENCH_LOCATION", ""),
        events=events,
        topic=os.environ.get("BENCH_TOPIC"),
    )

    def tell(name: str, held: HeldValue[str]) -> None:
        said = {"at": time.monotonic_ns(), "version": held.version, "name": name, "pid": os.getpid()}
        out.sendto(json.dumps(said).encode(), told)

    secrets = {name: cache.secret(name) for name in names}
    app = Flask(__name__)
    app.register_blueprint(refresh_blueprint(cache, auth=None if events == "pull" else push_auth()))
    cache.load()
    for name, secret in secrets.items():
        secret.on_change(partial(tell, name))
        tell(name, secret.held)
    return app
