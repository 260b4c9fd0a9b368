"""The servers that other tests stand on: passwords count, old ones stop counting, sessions show."""

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.redis import binary as redis_binary


ROOT = Path(__file__).parents[2]


def log_in(postgres, user, password):
    with psycopg.connect(postgres.dsn(user, password)) as connection:
        return connection.execute("SELECT current_user").fetchone()[0]


def test_postgres_takes_the_newest_password_only(postgres):
    """A role logs in with its password, with the next one after a change, and with neither once it is locked."""
    user = postgres.role("one")
    assert user == log_in(postgres, user, "one")
    postgres.set_password(user, "two")

    assert user == log_in(postgres, user, "two")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        log_in(postgres, user, "one")
    postgres.lock(user)
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        log_in(postgres, user, "two")


def test_a_server_ends_with_the_process_that_started_it():
    """However that ends: a test run that is killed leaves no server and no directory behind."""
    script = (
        "import os, signal\n"
        "from tests.servers import redis\n"
        "server = redis.RedisServer()\n"
        "print(server._directory, server.admin.info()['process_id'], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    if redis_binary() is None:
        pytest.skip("Redis is not installed on this machine; as root on Debian: make servers")
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=25, check=False
    )
    directory, pid = ran.stdout.split()

    until = time.monotonic() + 10
    while (Path(directory).exists() or Path(f"/proc/{pid}").exists()) and time.monotonic() < until:
        time.sleep(0.01)
    assert (False, False) == (Path(directory).exists(), Path(f"/proc/{pid}").exists())


def test_postgres_says_who_is_connected(postgres):
    """Sessions are listed by role, and two roles are never the same."""
    user, other = postgres.role("one"), postgres.role("one")
    with psycopg.connect(postgres.dsn(user, "one")) as connection:
        sessions = postgres.sessions(user, other)
        pid = connection.info.backend_pid

    assert [(pid, user)] == [(session[0], session[1]) for session in sessions]


def test_redis_takes_the_newest_password_only(redis_server):
    """A user logs in with its passwords, and with none of them after a change."""
    redis_server.set_user("app", "one", "two")
    for password in ("one", "two"):
        with redis.Redis(redis_server.host, redis_server.port, username="app", password=password) as client:
            assert client.ping()
            assert ["app"] == [session["user"] for session in redis_server.sessions("app")]
    redis_server.set_user("app", "three")

    once = Retry(NoBackoff(), 0)
    with (
        redis.Redis(redis_server.host, redis_server.port, username="app", password="one", retry=once) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
