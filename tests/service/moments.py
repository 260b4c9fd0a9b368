"""The service of the tests with gates at the moments of a refresh: whoever comes to a closed one waits, and says so.

A gate is closed while the file of its moment's name is there, in the directory TEST_GATES.
"""

import os
import time
from pathlib import Path

from flask import Flask, jsonify

from receiver import OIDC, SecretCache, refresh_blueprint
from receiver.secret_manager import SecretManagerSource


GATES = Path(os.environ["TEST_GATES"])
PATIENCE = 20.0


def gate(moment):
    closed, deadline = GATES / moment, time.monotonic() + PATIENCE
    if closed.exists():
        (GATES / f"{moment}-{os.getpid()}").touch()
        while closed.exists() and time.monotonic() < deadline:
            time.sleep(0.002)


class Gated:
    """Secret Manager, with a gate before each fetch of a version by its number, and one after it."""

    def __init__(self):
        self.source = SecretManagerSource()

    def access(self, name, version, *, timeout):
        if not version.isdecimal():
            return self.source.access(name, version, timeout=timeout)
        gate("before-the-fetch")
        payload = self.source.access(name, version, timeout=timeout)
        gate("between-fetch-and-swap")
        return payload

    def after_fork(self):
        self.source.after_fork()

    def close(self):
        self.source.close()


def create_app():
    cache = SecretCache(project=os.environ["GOOGLE_CLOUD_PROJECT"], source=Gated())
    key = cache.secret("API_KEY")
    key.on_change(lambda _: gate("during-callbacks"))
    app = Flask(__name__)
    auth = OIDC(audience=os.environ["TEST_AUDIENCE"], sender=os.environ["TEST_SENDER"])
    app.register_blueprint(refresh_blueprint(cache, auth=auth))
    cache.load()

    @app.get("/")
    def served():
        held = key.held
        return jsonify(pid=os.getpid(), API_KEY=[held.version, held.value])

    inner = app.wsgi_app

    def outer(environ, start_response):
        pushed = environ["REQUEST_METHOD"] == "POST"
        if pushed:
            (GATES / f"pushed-{os.getpid()}").touch()
        answer = inner(environ, start_response)
        if pushed:
            gate("before-the-answer")
        return answer

    app.wsgi_app = outer
    return app
