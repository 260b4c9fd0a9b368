"""The routes for people: who may use them, what they say, and how often they make keyturn look."""

import json
import logging

import flask
import pytest

from receiver import Insecure, SecretCache, refresh_blueprint
from receiver.errors import AccessFailed, Forbidden, KeysUnavailable, Unauthenticated
from receiver.operators import Operators
from receiver.shared_token import SharedToken
from receiver.testing import InMemorySource, push, rotate


TOKEN = "canary-token-of-the-operators"
BEARER = f"Bearer {TOKEN}"


@pytest.fixture
def source():
    return InMemorySource({"API_KEY": "canary-1", "WALLET_PRIVATE_KEY": "canary-wallet", "OTHER_KEY": "5"})


@pytest.fixture
def cache(source, tmp_path):
    cache = SecretCache("any-project", source=source, run_dir=str(tmp_path), jitter=lambda: 0.5)
    cache.secret("API_KEY")
    cache.secret("OTHER_KEY", type="json")
    cache.secret("WALLET_PRIVATE_KEY", static=True)
    yield cache
    cache.close()


@pytest.fixture
def operators(cache):
    return Operators(cache, SharedToken(TOKEN), pushes=lambda: {"APPLIED": 3})


def refresh(operators, body=b"", authorization=BEARER):
    return operators.refresh(authorization, len(body), lambda size: body[:size])


def states(reply):
    return {entry["secret"].rpartition("/")[2]: entry["state"] for entry in reply.content["entries"]}


@pytest.mark.promise("only the sender")
@pytest.mark.parametrize(
    ("authorization", "status"),
    [(None, 401), ("", 401), ("Bearer", 401), (f"Basic {TOKEN}", 401), (f"Bearer {TOKEN}x", 403), ("Bearer é", 401)],
)
def test_a_stranger_is_told_nothing_and_costs_nothing(operators, source, caplog, authorization, status):
    """Neither route answers one who cannot show the token; no body is read and no call is made."""
    with caplog.at_level(logging.WARNING, "keyturn"):
        replies = [
            operators.status(authorization),
            operators.refresh(authorization, 10, lambda _: pytest.fail("read a stranger's body")),
        ]

    assert [status, status] == [reply.status for reply in replies]
    assert ([], False) == (source.calls, "canary" in caplog.text + replies[0].body.decode())


def test_the_status_says_what_each_entry_serves_and_why(operators, cache, source):
    """State, version, path and reason per entry; never a value."""
    assert {"API_KEY": "cold", "OTHER_KEY": "cold", "WALLET_PRIVATE_KEY": "cold"} == states(operators.status(BEARER))
    cache.load()
    rotate(cache, source, "API_KEY", "canary-2")
    rotate(cache, source, "OTHER_KEY", "canary-not-json")
    rotate(cache, source, "WALLET_PRIVATE_KEY", "canary-wallet-2")

    reply = operators.status(BEARER)

    entries = {entry["secret"].rpartition("/")[2]: entry for entry in reply.content["entries"]}
    assert {"API_KEY": "serving", "OTHER_KEY": "held back", "WALLET_PRIVATE_KEY": "serving"} == states(reply)
    assert [2, "push", False] == [entries["API_KEY"][key] for key in ("version", "path", "changed_since_start")]
    assert [1, "version 2: the payload is not JSON"] == [entries["OTHER_KEY"][key] for key in ("version", "why")]
    assert [1, True, True] == [
        entries["WALLET_PRIVATE_KEY"][key] for key in ("version", "static", "changed_since_start")
    ]
    assert ("live", {"APPLIED": 3}) == (reply.content["mode"], reply.content["pushes"])
    assert ["canary" in reply.body.decode(), reply.content["project"]] == [False, "any-project"]
    json.loads(reply.body)


def test_the_status_tells_every_way_of_not_serving_the_newest(source, tmp_path):
    """Behind, revoked, served by what stands in, frozen, observing."""
    caches = {
        "live": SecretCache("any-project", source=source, run_dir=str(tmp_path / "a"), environ={"OTHER_KEY": "x"}),
        "observing": SecretCache("any-project", source=source, run_dir=str(tmp_path / "b"), observe=True),
        "frozen": SecretCache(
            "any-project", source=source, run_dir=str(tmp_path / "c"), environ={"KEYTURN_FREEZE": "1"}
        ),
    }
    live = caches["live"]
    live.secret("API_KEY", on_revoked="raise")
    live.secret("OTHER_KEY", fallback="environment")
    for mode in ("observing", "frozen"):
        caches[mode].secret("API_KEY")
        caches[mode].load()
    source.fail(AccessFailed("OTHER_KEY: no", transient=True), name="OTHER_KEY")
    live.load()
    source.add("API_KEY", "canary-2")
    push(source, *caches.values())
    told = {mode: cache.status() for mode, cache in caches.items()}

    assert ["stand-in: environment", 0] == [told["live"]["entries"][1][key] for key in ("state", "version")]
    assert [1, 2, "observing"] == [
        *(told["observing"]["entries"][0][key] for key in ("version", "would_serve")),
        told["observing"]["mode"],
    ]
    assert [True, "frozen"] == [told["frozen"]["entries"][0]["changed_since_start"], told["frozen"]["mode"]]

    for number in (1, 2):
        source.disable("API_KEY", number)
    push(source, live)
    assert "revoked" == live.status()["entries"][0]["state"]
    for cache in caches.values():
        cache.close()


def test_a_forced_refresh_finds_what_no_event_announced(operators, cache, source):
    """All entries are looked at by climbing; static ones are not; the answer says that it is this container's."""
    cache.load()
    source.lag("API_KEY")
    source.add("API_KEY", "canary-2")
    source.add("WALLET_PRIVATE_KEY", "canary-wallet-2")

    reply = refresh(operators)

    versions = {entry["secret"].rpartition("/")[2]: entry["version"] for entry in reply.content["entries"]}
    assert (200, "this container", "settled") == (reply.status, reply.content["scope"], reply.content["outcome"])
    assert {"API_KEY": 2, "OTHER_KEY": 1, "WALLET_PRIVATE_KEY": 1} == versions


def test_a_forced_refresh_of_one_secret_looks_at_that_one(operators, cache, source):
    """One name, by its id or its full name; others cost no call."""
    cache.load()
    before = len(source.calls)

    assert 200 == refresh(operators, b'{"secret": "API_KEY"}').status
    assert {"API_KEY"} == {secret for secret, _ in source.calls[before:]}
    assert 404 == refresh(operators, b'{"secret": "UNKNOWN"}').status
    assert ["fixed"] == [refresh(operators, b'{"secret": "WALLET_PRIVATE_KEY"}').content["outcome"]]


def test_asking_again_within_ten_seconds_is_too_soon(operators, cache, source):
    """429 with Retry-After, per entry and for the whole container: another worker's claim counts."""
    cache.load()
    assert 200 == refresh(operators, b'{"secret": "API_KEY"}').status
    before = len(source.calls)

    reply = refresh(operators, b'{"secret": "API_KEY"}')
    both = refresh(operators)

    assert (429, True) == (reply.status, 1 <= int(reply.headers["Retry-After"]) <= 10)
    assert (200, ["projects/any-project/secrets/API_KEY"]) == (both.status, list(both.content["too_soon"]))
    assert "API_KEY" not in {secret for secret, _ in source.calls[before:]}


def test_a_forced_refresh_that_fails_says_so(operators, cache, source):
    """503 while Secret Manager does not answer; the last good value stays."""
    cache.load()
    source.fail(AccessFailed("API_KEY: ServiceUnavailable", transient=True), name="API_KEY")

    reply = refresh(operators, b'{"secret": "API_KEY"}')

    assert (503, "unsettled", "behind") == (reply.status, reply.content["outcome"], states(reply)["API_KEY"])


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"secret": 1}', b'{"secret": "A", "x": 1}', b" " * 5000, b"\xff"])
def test_a_body_that_makes_no_sense_is_refused_with_a_hint(operators, body):
    """Bad input says what to send."""
    reply = refresh(operators, body)

    assert (400, True) == (reply.status, '"secret"' in reply.content["error"])


class TestRoutes:
    """The Flask skin of it."""

    @pytest.fixture
    def make(self, cache):
        def make(**settings):
            app = flask.Flask(__name__)
            app.register_blueprint(refresh_blueprint(cache, auth=Insecure("a test"), **settings))
            return app.test_client()

        return make

    def test_they_are_off_unless_somebody_is_named(self, make):
        """Without operators there are no such routes."""
        client = make()

        assert [404, 404] == [client.get("/secrets/status").status_code, client.post("/secrets/refresh").status_code]

    def test_they_answer_operators_in_json(self, make, cache, source):
        """Status and refresh, beside the push route; neither is kept by anybody in between."""
        cache.load()
        source.add("API_KEY", "canary-2")
        client = make(operators=SharedToken(TOKEN), path="/internal/events")
        headers = {"Authorization": BEARER}

        refreshed = client.post("/internal/refresh", headers=headers, json={"secret": "API_KEY"})
        again = client.post("/internal/refresh", headers=headers, json={"secret": "API_KEY"})
        status = client.get("/internal/status", headers=headers)

        assert [200, 429, 200] == [refreshed.status_code, again.status_code, status.status_code]
        assert 2 == status.get_json()["entries"][0]["version"]
        assert ["no-store", "application/json", True] == [
            status.headers["Cache-Control"],
            status.mimetype,
            "Retry-After" in again.headers,
        ]
        assert 401 == client.get("/internal/status").status_code
        assert 405 == client.get("/internal/refresh", headers=headers).status_code
        assert "canary" not in status.text + refreshed.text


class TestSharedToken:
    """The operators' token."""

    def test_it_follows_its_secret(self, source, tmp_path):
        """A token that is itself a secret can be rotated like any other."""
        source.add("OPERATOR_TOKEN", TOKEN)
        cache = SecretCache("any-project", source=source, run_dir=str(tmp_path))
        auth = SharedToken(cache.secret("OPERATOR_TOKEN"))
        assert "operator" == auth.verify(BEARER)

        rotate(cache, source, "OPERATOR_TOKEN", f"{TOKEN}-2")

        with pytest.raises(Forbidden):
            auth.verify(BEARER)
        assert "operator" == auth.verify(f"{BEARER}-2")
        cache.close()

    def test_without_a_value_it_lets_nobody_in(self, source, tmp_path):
        """No value, or one too short to be safe: neither believed nor refused."""
        source.add("SHORT_TOKEN", "short")
        cache = SecretCache("any-project", source=source, run_dir=str(tmp_path))
        for name, shown in [("MISSING_TOKEN", "Bearer x"), ("SHORT_TOKEN", "Bearer short")]:
            with pytest.raises(KeysUnavailable, match=name):
                SharedToken(cache.secret(name)).verify(shown)
        cache.close()

    @pytest.mark.promise("silent")
    def test_it_shows_itself_nowhere(self):
        """Neither its repr nor its refusals hold the token."""
        auth = SharedToken(TOKEN)
        with pytest.raises(Unauthenticated) as raised:
            auth.verify(None)

        assert "canary" not in repr(auth) + str(raised.value)
        with pytest.raises(ValueError, match="16"):
            SharedToken("short")
