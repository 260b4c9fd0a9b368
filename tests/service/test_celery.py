"""Celery's prefork pool: its processes follow as all others of their container do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from celery import Celery

from .celery_broker import settings
from .harness import PATIENCE, ROOT, environment
from .program import Program


pytestmark = pytest.mark.timeout(60)

OPTIONS = ("--concurrency", "2", "--max-tasks-per-child", "6", "--loglevel", "WARNING")
OPTIONS = (*OPTIONS, "--without-gossip", "--without-mingle", "--without-heartbeat")


class Pool:
    """A Celery worker with two processes."""

    def __init__(self, cloud, folder, run_dir, **env):
        self.client = Celery("tests")
        self.client.conf.update(settings(str(folder)))
        self.log = (Path(folder) / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tests.service.celery_app", "worker", *OPTIONS],
            cwd=ROOT,
            env=environment(cloud, str(run_dir)) | {"TEST_FOLDER": str(folder), "C_FORCE_ROOT": "1", **env},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def serves(self):
        """Which version each process serves, once both have been seen."""
        found, deadline = {}, time.monotonic() + PATIENCE
        while len(found) < 2:
            assert time.monotonic() < deadline, self.output()
            tasks = [self.client.send_task("tests.service.celery_app.served") for _ in range(4)]
            found |= dict(task.get(timeout=PATIENCE, interval=0.02) for task in tasks)
        return found

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(15)
        self.log.close()


@pytest.fixture
def start(cloud, tmp_path):
    """Start a pool; it is killed at the end unless it has ended."""
    started = []

    def pool(**env):
        (tmp_path / "celery").mkdir()
        started.append(Pool(cloud, tmp_path / "celery", tmp_path / "run", **env))
        return started[0]

    yield pool
    for one in started:
        one.end()


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize(
    "env",
    [{"TEST_LOADED": "1"}, pytest.param({}, marks=pytest.mark.long)],
    ids=["loaded-before-the-fork", "lazy"],
)
def test_the_processes_of_a_pool_follow(cloud, start, tmp_path, env):
    """Each process reads for itself and hears what another of its container finds; one that takes over is current."""
    pool = start(**env)
    assert [1, 1] == list(pool.serves().values())
    with Program(cloud, "refresh", env={"KEYTURN_RUN_DIR": str(tmp_path / "run")}) as other:
        assert {"served": 1} == other.hear()
        cloud.add_version("API_KEY", b"API_KEY-2")
        other.go_on()
        assert {"served": 2, "outcome": "settled"} == other.hear()
        assert 0 == other.end()
    before = pool.serves()
    assert [2, 2] == list(before.values()), pool.output()

    deadline = time.monotonic() + PATIENCE
    while (after := pool.serves()).keys() & before.keys():
        assert time.monotonic() < deadline
    pool.process.send_signal(signal.SIGTERM)
    pool.process.wait(15)

    assert [2, 2] == list(after.values())
    assert [] == list((tmp_path / "run").rglob("*"))
