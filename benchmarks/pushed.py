"""The service of the serving benchmark: what a user writes."""

import logging
import os

from flask import Flask
from place import new_app, push_auth

from receiver import SecretCache, refresh_blueprint


def create_app() -> Flask:
    logging.getLogger("keyturn").addHandler(logging.NullHandler())
    cache = SecretCache(project=os.environ["GOOGLE_CLOUD_PROJECT"])
    cache.secret("PUSHED")
    app = new_app()
    app.register_blueprint(refresh_blueprint(cache, auth=push_auth()))
    cache.load()
    return app
