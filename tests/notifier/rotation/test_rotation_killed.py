"""Rotators that are killed, for real, right after every single effect."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from notifier.rotation.google_vault import GoogleVault
from notifier.rotation.machine import LEASE
from receiver import SecretName
from tests.servers.postgres import ADMIN, ADMIN_PASSWORD


ROOT = Path(__file__).parents[3]


class Nursery:
    """Makes rotators; see `nursery.py`."""

    def __init__(self, cloud):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.notifier.rotation.nursery"],
            cwd=ROOT,
            env={**os.environ, **cloud.environment(), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, order, *, kill_after=None):
        """Let one rotate, and kill it after so many effects; the effects, and how it ended."""
        self._say(json.dumps(order))
        effects, child, end = [], 0, "killed"
        while (word := self._process.stdout.readline().strip()) != "gone":
            assert word, "the nursery ended"
            if word.startswith("child "):
                child = int(word.removeprefix("child "))
            elif word.startswith("end "):
                end = word.removeprefix("end ")
            else:
                effects.append(word)
                if len(effects) == kill_after:
                    assert child
                    os.kill(child, signal.SIGKILL)
                else:
                    self._say("")
        return effects, end

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def _say(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


@pytest.fixture
def nursery(rotation_cloud):
    made = Nursery(rotation_cloud)
    yield made
    made.close()


def accepted(url):
    try:
        with psycopg.connect(url.decode(), connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def test_killed_after_every_effect(rotation_cloud, postgres, nursery, name):
    """Killed anywhere and started again, the database accepts exactly what is served, and one version was added."""
    rotation_cloud.create_secret(f"{name}_ADMIN", postgres.dsn(ADMIN, ADMIN_PASSWORD).encode())
    client = rotation_cloud.secret_manager_client()
    vault = GoogleVault(lambda _: client)
    for kill_after in itertools.count(1):
        secret = SecretName(rotation_cloud.project, f"{name}_{kill_after}")
        users = [postgres.role("canary-first"), postgres.role("canary-first")]
        old = postgres.dsn(users[0], "canary-first").encode()
        rotation_cloud.create_secret(secret.secret, old)
        vault.create(SecretName(secret.project, f"{secret.secret}-candidate"), labels={})
        settings = {"administrator": f"{name}_ADMIN", "users": users}
        order = {"project": secret.project, "secret": secret.secret, "settings": settings, "stamp": 7}
        done, first_end = nursery.run(order | {"now": 2e9, "owner": "first"}, kill_after=kill_after)
        _, end = nursery.run(order | {"now": 2e9 + LEASE, "owner": "second"})
        number, url = vault.access(secret, "latest")

        assert ("done", 2) == (end, number), kill_after
        assert (True, False) == (accepted(url), accepted(old)), kill_after
        assert [True, False] == [version.enabled for version in vault.versions(secret)], kill_after
        if first_end != "killed":
            break

    assert kill_after > 10
    assert kill_after == len(done) + 1
