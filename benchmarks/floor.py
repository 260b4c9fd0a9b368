"""The floor of the serving benchmark: what must be done, and nothing else."""

import atexit
import contextlib
import json
import os
import urllib.request

import jwt
from flask import Flask, request
from official import official_client
from place import AUDIENCE


def create_app() -> Flask:
    app = Flask(__name__)
    with urllib.request.urlopen(os.environ["KEYTURN_OIDC_KEYS_URL"], timeout=5) as answer:
        keys = {key["kid"]: jwt.PyJWK(key).key for key in json.load(answer)["keys"]}
    open_until_the_end = contextlib.ExitStack()
    client = open_until_the_end.enter_context(official_client())
    atexit.register(open_until_the_end.close)

    def verify() -> None:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        jwt.decode(token, keys[jwt.get_unverified_header(token)["kid"]], algorithms=["RS256"], audience=AUDIENCE)

    @app.post("/bare")
    def bare() -> tuple[str, int]:
        request.get_data()
        return "", 204

    @app.post("/verified")
    def verified() -> tuple[str, int]:
        verify()
        request.get_json()
        return "", 204

    @app.post("/read")
    def read() -> tuple[str, int]:
        verify()
        client.access_secret_version(name=request.get_json()["message"]["attributes"]["versionId"])
        return "", 204

    return app
