"""The services of the weighing benchmark: one secret, read at the start, with keyturn and without."""

import atexit
import contextlib
import os

from flask import Flask, Response, jsonify


def with_keyturn() -> Flask:
    from place import push_auth

    from receiver import SecretCache, refresh_blueprint

    cache = SecretCache(project=os.environ["GOOGLE_CLOUD_PROJECT"])
    secret = cache.secret("PUSHED")
    app = _app()
    app.register_blueprint(refresh_blueprint(cache, auth=push_auth()))
    cache.load()
    app.config["KEY"] = secret
    return app


def with_the_client() -> Flask:
    import place  # noqa: F401  # what both of them import must not count
    from official import official_client

    open_until_the_end = contextlib.ExitStack()
    client = open_until_the_end.enter_context(official_client())
    atexit.register(open_until_the_end.close)
    name = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/secrets/PUSHED/versions/latest"
    app = _app()
    app.config["KEY"] = client.access_secret_version(name=name).payload.data.decode()
    return app


def _app() -> Flask:
    app = Flask(__name__)

    @app.get("/")
    def who() -> Response:
        return jsonify(os.getpid())

    return app
