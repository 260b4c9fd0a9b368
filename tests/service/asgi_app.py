"""The service that the tests run under uvicorn: the same questions and answers as `app.py`, with no framework."""

import json
import os
import time
from urllib.parse import parse_qs

from receiver import OIDC, RefreshMiddleware, SecretCache


NAMES = ("API_KEY", "OTHER_KEY", "WALLET_PRIVATE_KEY")


def create_app():
    cache = SecretCache(project=os.environ["GOOGLE_CLOUD_PROJECT"])
    secrets = {name: cache.secret(name, static=name.endswith("PRIVATE_KEY")) for name in NAMES}

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                cache.load()
                await send({"type": f"{message['type']}.complete"})
            cache.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        # Holding the whole worker for a moment lets a tester spread concurrent requests over all workers.
        time.sleep(float(parse_qs(scope["query_string"].decode()).get("hold", ["0"])[0]))  # noqa: ASYNC251
        held = {name: secret.held for name, secret in secrets.items()}
        answer = {"pid": os.getpid(), **{name: [h.version, h.value] for name, h in held.items()}}
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    auth = OIDC(audience=os.environ["TEST_AUDIENCE"], sender=os.environ["TEST_SENDER"])
    return RefreshMiddleware(app, cache, auth=auth)
