"""The service of the fleet's idle rows: it imports what a service imports, and says by UDP when it has begun."""

import json
import os
import socket
from typing import Any

from flask import Flask

from receiver import OIDC, SecretCache, refresh_blueprint


def create_app() -> Flask:
    events: Any = os.environ["BENCH_EVENTS"]
    cache = SecretCache(os.environ["GOOGLE_CLOUD_PROJECT"], events=events, topic=os.environ["BENCH_TOPIC"])
    cache.secret("ROTATED")
    app = Flask(__name__)
    # Both with the keys' library, so that pulling alone makes the difference.
    auth = OIDC(audience="https://service.example/secrets/events", sender="push@service.example")
    app.register_blueprint(refresh_blueprint(cache, auth=auth))
    cache.load()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        said = json.dumps({"at": 0, "version": 1}).encode()
        out.sendto(said, ("127.0.0.1", int(os.environ["BENCH_PORT"])))
    return app
