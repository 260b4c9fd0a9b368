"""A service as the manifest has it: its secrets, and whose pushes it takes, are in the file that Terraform read too."""

import os
import time

from flask import Flask, jsonify, request

from receiver import OIDC, SecretCache, refresh_blueprint


def create_app():
    manifest = os.environ["SHOP_MANIFEST"]
    cache = SecretCache.from_manifest(manifest, service="shop")
    app = Flask(__name__)
    app.register_blueprint(refresh_blueprint(cache, auth=OIDC.from_manifest(manifest, service="shop")))
    cache.load()

    @app.get("/")
    def served():
        # Holding the worker for a moment lets a tester spread concurrent requests over all workers.
        time.sleep(float(request.args.get("hold", "0")))
        held = {name: cache[name].held for name in ("API_KEY", "REGIONAL_KEY", "OLD_KEY")}
        return jsonify(pid=os.getpid(), **{name: [h.version, h.value] for name, h in held.items()})

    return app
