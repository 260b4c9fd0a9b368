"""The service that the tests run under gunicorn: it says what it serves, and which process says so."""

import logging
import os
import sys
import time

from flask import Flask, jsonify, request

from receiver import OIDC, SecretCache, SecretUnavailable, StructuredFormatter, refresh_blueprint


NAMES = ("API_KEY", "OTHER_KEY", "WALLET_PRIVATE_KEY")


def load(cache, *, patience):
    """Load; where that fails, try again for so many seconds: gunicorn ends all workers when a new one cannot start."""
    until = time.monotonic() + patience
    while True:
        try:
            return cache.load()
        except SecretUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def create_app():
    if "TEST_STRUCTURED" in os.environ:
        told = logging.StreamHandler(sys.stdout)
        told.setFormatter(StructuredFormatter())
        logging.basicConfig(level=logging.INFO, handlers=[told])
    events = os.environ.get("TEST_EVENTS", "push")
    cache = SecretCache(project=os.environ["GOOGLE_CLOUD_PROJECT"], events=events, topic="secret-events")
    secrets = {name: cache.secret(name, static=name.endswith("PRIVATE_KEY")) for name in NAMES}
    app = Flask(__name__)
    auth = None
    if events != "pull":
        auth = OIDC(audience=os.environ["TEST_AUDIENCE"], sender=os.environ["TEST_SENDER"])
    app.register_blueprint(refresh_blueprint(cache, auth=auth))
    if "TEST_LAZY" not in os.environ:
        load(cache, patience=float(os.environ.get("TEST_PATIENCE", "0")))

    @app.get("/")
    def served():
        # Holding the worker for a moment lets a tester spread concurrent requests over all workers.
        time.sleep(float(request.args.get("hold", "0")))
        held = {name: secret.held for name, secret in secrets.items()}
        leads = cache.status()["events"].get("leads")
        return jsonify(pid=os.getpid(), leads=leads, **{name: [h.version, h.value] for name, h in held.items()})

    return app
