"""The service of the rotating benchmark: each worker says by UDP when it serves which version."""

import json
import os
import socket
import time

from flask import Flask
from place import push_auth

from receiver import HeldValue, SecretCache, refresh_blueprint


def create_app() -> Flask:
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    told = ("127.0.0.1", int(os.environ["BENCH_PORT"]))

    def tell(held: HeldValue[str]) -> None:
        out.sendto(json.dumps({"at": time.monotonic_ns(), "version": held.version}).encode(), told)

    cache = SecretCache(project=os.environ["GOOGLE_CLOUD_PROJECT"])
    secret = cache.secret("ROTATED")
    app = Flask(__name__)
    app.register_blueprint(refresh_blueprint(cache, auth=push_auth()))
    cache.load()
    secret.on_change(tell)
    tell(secret.held)
    return app
