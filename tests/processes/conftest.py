"""Real worker processes, told what to do one step at a time, each reaped with a deadline."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
DEADLINE = 15.0


class Worker:
    """One worker; `worker("publish", "A", 1)` runs a step of member.py and returns its answer."""

    def __init__(self, directory):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(Path(__file__).with_name("member.py")), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.pid = self.process.pid

    def tell(self, do, *args):
        self.process.stdin.write(json.dumps({"do": do, "with": args}).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(DEADLINE), "the worker does not answer"
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode()
        return json.loads(line)

    def __call__(self, do, *args):
        self.tell(do, *args)
        return self.answer()

    def stop(self):
        os.kill(self.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)

    def end(self):
        """End the process whatever its state; returns what it wrote to standard error."""
        if self.process.poll() is None:
            self.process.kill()
        _, errors = self.process.communicate(timeout=DEADLINE)
        return errors.decode()


@pytest.fixture
def run_parent(tmp_path):
    return tmp_path


@pytest.fixture
def workers(run_parent):
    """Start that many workers at once; checks that none wrote a traceback."""
    started = []
    extra = []

    def start(count=1, *, attend=True):
        new = [Worker(run_parent) for _ in range(count)]
        started.extend(new)
        for worker in new:
            assert worker.answer() == "ready"
        if attend:
            for worker in new:
                worker("attend")
        return new

    start.reap = extra.append
    yield start
    for pid in extra:
        os.kill(pid, signal.SIGKILL)
    errors = [worker.end() for worker in started]

    assert [] == [error for error in errors if "Traceback" in error]


@pytest.fixture
def until():
    """Ask again and again, for a bounded time, until the answer is the expected one."""

    def ask(question, expected):
        deadline = time.monotonic() + DEADLINE
        while (answer := question()) != expected:
            assert time.monotonic() < deadline, answer
            time.sleep(0.01)

    return ask


@pytest.fixture
def files(run_parent):
    """The names of all files of the run directory, or None where it is gone."""

    def listing():
        found = list(run_parent.glob("keyturn-*"))
        return sorted(path.name for path in found[0].iterdir()) if found else None

    return listing
