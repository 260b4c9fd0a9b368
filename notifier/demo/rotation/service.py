"""The demo's service, written as its users would write theirs: a pool that follows the password of its database."""

import logging
import os

from flask import Flask, Response, jsonify

from receiver import OIDC, URL, SecretCache, StructuredFormatter, refresh_blueprint
from receiver.bind.psycopg import connection_pool


def create_app() -> Flask:
    """Make the application, as gunicorn does in each worker."""
    handler = logging.StreamHandler()
    handler.setFormatter(StructuredFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    cache = SecretCache(project=os.environ["GOOGLE_CLOUD_PROJECT"], service="keyturn-demo")
    database = cache.secret("DATABASE_URL", parse=URL)

    app = Flask(__name__)
    auth = OIDC(audience=os.environ["KEYTURN_DEMO_AUDIENCE"], sender=os.environ["KEYTURN_DEMO_SENDER"])
    app.register_blueprint(refresh_blueprint(cache, auth=auth))
    cache.load()
    pool = connection_pool(database, os.environ["KEYTURN_DEMO_DATABASE"], min_size=1, max_size=4, timeout=5)

    @app.get("/")
    def whoami() -> Response:
        with pool.connection() as session:
            user = session.execute("SELECT current_user, pg_sleep(0.002)").fetchone()
        return jsonify(pid=os.getpid(), user=user and user[0], version=database.version)

    return app
