"""The demo's service, written as its users would write theirs: six secrets, one of them static.

It says which versions it serves, and a mark of each value that shows from outside whether version and value belong
together; the values themselves never leave it.
"""

import hashlib
import hmac
import logging
import os
import sys
import time
from typing import Any

from flask import Flask, Response, jsonify

from receiver import OIDC, SecretCache, StructuredFormatter, refresh_blueprint


#: Seconds of pretended work in each request.
_WORK = 0.004


def create_app() -> Flask:
    """Make the application, as gunicorn does in each worker."""
    told = logging.StreamHandler(sys.stdout)
    told.setFormatter(StructuredFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[told])
    events: Any = os.environ["KEYTURN_DEMO_EVENTS"]
    cache = SecretCache(
        project=os.environ["GOOGLE_CLOUD_PROJECT"],
        service="keyturn-demo",
        events=events,
        topic=os.environ["KEYTURN_DEMO_TOPIC"],
    )
    static = os.environ["KEYTURN_DEMO_STATIC"]
    names = os.environ["KEYTURN_DEMO_SECRETS"].split()
    secrets = {name: cache.secret(name, static=name == static) for name in names}

    app = Flask(__name__)
    auth = OIDC(audience=os.environ["KEYTURN_DEMO_AUDIENCE"], sender=os.environ["KEYTURN_DEMO_SENDER"])
    app.register_blueprint(refresh_blueprint(cache, auth=auth))
    cache.load()

    marking = os.environ["KEYTURN_DEMO_MARK"].encode()

    @app.get("/")
    def served() -> Response:
        held = {name: secret.held for name, secret in secrets.items()}
        time.sleep(_WORK)
        return jsonify(pid=os.getpid(), served={n: [h.version, mark(marking, h.value)] for n, h in held.items()})

    return app


def mark(key: bytes, value: str) -> str:
    """Say which value it is, to somebody who knows it."""
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:16]
