"""What the public API promises to type checkers. Checked by mypy in CI, never run."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, assert_type

from flask import Flask
from httpx import Client
from sqlalchemy import create_engine

from receiver import (
    OIDC,
    URL,
    CloudRunIAM,
    Group,
    HeldValue,
    Insecure,
    RefreshMiddleware,
    Secret,
    SecretCache,
    refresh_blueprint,
    retry_on_auth_error,
    verify_hmac,
)
from receiver.bind.rebuilt import Rebuilt
from receiver.bind.sqlalchemy import follow


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


@dataclass(frozen=True)
class Database:
    """A JSON object that has these fields."""

    user: str
    password: str


def ports(text: str) -> list[int]:
    """Any callable."""
    return [int(part) for part in text.split(",")]


def size(data: bytes) -> int:
    """Of bytes too."""
    return len(data)


assert_type(cache.secret("SIZE", parse=int), Secret[int])
assert_type(cache.secret("FEE", parse=Decimal).value, Decimal)
assert_type(cache.secret("ALERTING", parse=bool, overlap=60).accepted, tuple[bool, ...])
assert_type(cache.secret("HOOK", parse=URL, validate=lambda url: url.startswith("https")), Secret[URL])
assert_type(cache.secret("DATABASE", parse=Database).held, HeldValue[Database])
assert_type(cache.secret("PORTS", parse=ports), Secret[list[int]])
assert_type(cache.secret("CERTIFICATE_SIZE", type="bytes", parse=size), Secret[int])
assert_type(cache.secret("LIMITS", type="json", parse=dict[str, int]), Secret[dict[str, int]])
assert_type(text.look(), bool)
assert_type(verify_hmac(text, b"body", "00", digest="sha512"), bool)
assert_type(retry_on_auth_error(text, len, refused=PermissionError), int)

login = cache.group(user=text, password=cache.secret("PASSWORD"))
assert_type(login, Group)
assert_type(cache.view()[text], str)
assert_type(cache.view()[cache.secret("SIZE", parse=int)], int)
follow(create_engine("postgresql+psycopg://"), login)
client: Rebuilt[Client] = Rebuilt(lambda key: Client(headers={"x-api-key": key}), text, close=Client.close)
with client.lease() as leased:
    assert_type(leased, Client)

app = Flask(__name__)
app.register_blueprint(refresh_blueprint(cache, auth=OIDC(audience="https://a.example/x", sender="s@p.example")))
app.register_blueprint(refresh_blueprint(cache, auth=OIDC(audience=["https://a.example/x"], sender=("s", "t"))))
app.register_blueprint(refresh_blueprint(cache, auth=CloudRunIAM(audience="https://a.example/x", sender=["s", "t"])))
app.register_blueprint(refresh_blueprint(cache, auth=Insecure("a test")))
cache.load(timeout=5)


async def service(scope: Any, receive: Any, send: Any) -> None:
    """Any ASGI application."""


assert_type(RefreshMiddleware(service, cache, auth=Insecure("a test"), path="/news"), RefreshMiddleware)
