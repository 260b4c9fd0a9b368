"""A service that only pulls: no push route, the check before each request, and no way to leave both out."""

import asyncio

import pytest
from flask import Flask

from receiver import RefreshMiddleware, SecretCache, refresh_blueprint
from receiver.testing import InMemorySource


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("receiver.fleet.member.Fleet.start", lambda *_: None)
    monkeypatch.setattr("receiver.fleet.member.Fleet.wait", lambda *_, **__: None)
    made = SecretCache(
        "p", source=InMemorySource({"KEY": "one"}), run_dir=str(tmp_path), events="pull", topic="t", environ={}
    )
    yield made
    made.close()


def test_there_is_no_push_route(cache):
    """Under Flask, nobody can push to a service that only pulls, and its requests are still checked."""
    app = Flask(__name__)
    app.register_blueprint(refresh_blueprint(cache, auth=None))
    key = cache.secret("KEY")
    app.add_url_rule("/", view_func=lambda: key.value)
    client = app.test_client()

    assert (404, "one", True) == (client.post("/secrets/events").status_code, client.get("/").text, cache.current)


def test_there_is_no_push_route_under_asgi(cache):
    """The middleware hands what would be a push on to the application."""
    asked = []

    async def app(scope, receive, send):
        asked.append((scope["path"], cache.current))

    middleware = RefreshMiddleware(app, cache, auth=None)
    scope = {"type": "http", "method": "POST", "path": "/secrets/events", "headers": []}
    asyncio.run(middleware(scope, None, None))

    assert [("/secrets/events", True)] == asked


@pytest.mark.parametrize("events", ["push", "both"])
def test_who_is_pushed_to_says_by_whom(tmp_path, events):
    """A push route without a check of its sender cannot be made."""
    cache = SecretCache("p", run_dir=str(tmp_path), events=events, topic="t")
    with pytest.raises(ValueError, match="say who may"):
        refresh_blueprint(cache, auth=None)
    with pytest.raises(ValueError, match="say who may"):
        RefreshMiddleware(None, cache, auth=None)
