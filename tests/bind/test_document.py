"""The code of docs/bindings.md, word for word, on real servers."""

import asyncio
import hashlib
import hmac
import re
from pathlib import Path

import psycopg
import pytest

from receiver.testing import rotate


BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (Path(__file__).parents[2] / "docs" / "bindings.md").read_text(), re.DOTALL | re.MULTILINE
)


class Client:
    """A client of some provider."""

    def __init__(self, key):
        self.key = key

    def send(self, what):
        self.sent = what

    def close(self):
        self.key = None


class Connector:
    """Stands where Cloud SQL's connector does: given a driver, a user and a password, it opens a connection."""

    def __init__(self, server):
        self._server = server

    def connect(self, instance, driver, *, user, password, db):
        return psycopg.connect(self._server.dsn(user, password, database=db))


@pytest.fixture
def names(postgres, redis_server, cache, source):
    """What the document's blocks take from the service around them."""
    if not postgres.execute("SELECT 1 FROM pg_roles WHERE rolname = 'app'"):
        postgres.role("pw-1", name="app")
    postgres.set_password("app", "pw-1")
    source.add("DATABASE", "pw-1")
    source.add("REDIS", "the-admin's")
    for name, value in (("DATABASE_USER", "app"), ("DATABASE_PASSWORD", "pw-1"), ("NOWPAYMENTS_IPN_SECRET", "ipn-1")):
        source.add(name, value)
    source.pushes()
    where = postgres.dsn("app", "of-old")
    return {
        "cache": cache,
        "database": cache.secret("DATABASE"),
        "cache_password": cache.secret("REDIS"),
        "api_key": cache.secret("API_KEY"),
        "DATABASE_URL": postgres.dsn("app", "of-old", scheme="postgresql+psycopg"),
        "CONNINFO": where,
        "DSN": where,
        "REDIS_HOST": redis_server.host,
        "REDIS_PORT": redis_server.port,
        "SOCKET_DIRECTORY": postgres.sockets,
        "PORT": postgres.port,
        "INSTANCE": "project:region:instance",
        "connector": Connector(postgres),
        "call_provider": lambda key: f"called with {key}",
        "Client": Client,
    }


def close(made):
    for name in ("engine", "pool", "client", "session", "http"):
        thing = made.get(name)
        end = getattr(thing, "dispose", None) or getattr(thing, "close", None)
        if end is not None:
            end()


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_documents_code_runs(number, names, cache, source, postgres):
    """Each block runs as it stands, and what it makes works before a change of the password and after it."""
    made = dict(names)
    if "create_engine(" not in BLOCKS[number] and "follow(" in BLOCKS[number]:
        exec(BLOCKS[0], made)  # the engine that it goes on with
    exec(BLOCKS[number], made)

    try:
        for password in ("pw-1", "pw-2"):
            postgres.set_password("app", password)
            for name in ("DATABASE", "DATABASE_USER", "DATABASE_PASSWORD") if password != "pw-1" else ():
                rotate(cache, source, name, "app" if name == "DATABASE_USER" else password)
            _use(made)
    finally:
        close(made)


def _use(made):
    if "engine" in made:
        with made["engine"].connect() as connection:
            assert "app" == connection.exec_driver_sql("SELECT current_user").scalar()
    if "pool" in made:
        with made["pool"].connection() as connection:
            assert 1 == connection.execute("SELECT 1").fetchone()[0]
    for name in ("query", "fetch"):
        if name in made:
            assert asyncio.run(made[name]()) in (1, (1,))
    if "redis" in made:
        assert made["client"].ping()
    if "is_genuine" in made:
        assert made["is_genuine"](b"body", hmac.new(b"ipn-1", b"body", hashlib.sha512).hexdigest())
    if "answer" in made:
        assert "called with one" == made["answer"]
    if "view" in made:
        assert "one" == made["key"]
