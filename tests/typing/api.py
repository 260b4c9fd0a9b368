"""What the public API promises to type checkers. Checked by mypy in CI, never run."""

from typing import Any, assert_type

from flask import Flask

from receiver import OIDC, CloudRunIAM, HeldValue, Insecure, RefreshMiddleware, Secret, SecretCache, refresh_blueprint


cache = SecretCache(project="my-project", location="europe-west1")

text = cache.secret("API_KEY")
assert_type(text, Secret[str])
assert_type(text.value, str)
assert_type(text.version, int)
assert_type(text.held, HeldValue[str])

raw = cache.secret("CERTIFICATE", type="bytes", static=True)
assert_type(raw.value, bytes)

settings = cache.secret("SETTINGS", type="json", pin="live", on_revoked="raise")
assert_type(settings.value, Any)

app = Flask(__name__)
app.register_blueprint(refresh_blueprint(cache, auth=OIDC(audience="https://a.example/x", sender="s@p.example")))
app.register_blueprint(refresh_blueprint(cache, auth=OIDC(audience=["https://a.example/x"], sender=("s", "t"))))
app.register_blueprint(refresh_blueprint(cache, auth=CloudRunIAM(audience="https://a.example/x", sender=["s", "t"])))
app.register_blueprint(refresh_blueprint(cache, auth=Insecure("a test")))
cache.load(timeout=5)


async def service(scope: Any, receive: Any, send: Any) -> None:
    """Any ASGI application."""


assert_type(RefreshMiddleware(service, cache, auth=Insecure("a test"), path="/news"), RefreshMiddleware)
