"""Three instances as three real services: the one that is frozen is told by name, and so is that it has caught up."""

import contextlib
import json
import os
import signal
import time

import pytest
from click.testing import CliRunner

from notifier.cli import keyturn

from .conftest import TOPIC
from .harness import AUDIENCE, PATIENCE, Service


NAMES = ("payments-1", "payments-2", "payments-7c9")


@pytest.fixture
def stack():
    with contextlib.ExitStack() as entered:
        yield entered


def traced(cloud, monkeypatch, services, read):
    """What `keyturn trace --json` says of what the services have printed and the audit log holds."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    for name, service in services.items():
        lines = service.output().splitlines()
        cloud.logging.take_lines(lines[read.get(name, 0) :], service="payments")
        read[name] = len(lines)
    done = CliRunner().invoke(keyturn, ["trace", "API_KEY", "--instances", "3", "--json"])
    return done.exit_code, json.loads(done.stdout)


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_frozen_instance_is_told_by_name(cloud, stack, monkeypatch):
    """Two of three follow; the third was stopped. It is named, with its version; let go on, it follows too."""
    services, read = {}, {}
    for name in NAMES:
        env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "POD_NAME": name, "TEST_STRUCTURED": "1"}
        services[name] = stack.enter_context(Service(cloud, workers=1, env=env))
        url = services[name].push_url
        cloud.push_to(url, topic=TOPIC, name=name, audience=AUDIENCE, ack_deadline=10, backoff=(0.1, 0.2))
    frozen = services["payments-7c9"]
    os.killpg(frozen.process.pid, signal.SIGSTOP)
    cloud.add_version("API_KEY", b"API_KEY-2")
    for name in NAMES[:2]:
        until(lambda name=name: services[name].get()["API_KEY"][0] == 2)
    status, found = traced(cloud, monkeypatch, services, read)
    (straggler,) = found["stragglers"]

    assert (3, "behind", 2, 3) == (
        status,
        found["verdict"],
        found["instances_converged"],
        found["instances_total"],
    )
    assert ("payments-7c9", [1]) == (straggler["instance"], straggler["versions"])
    assert "silent since before the version was added" in straggler["cause"]

    os.killpg(frozen.process.pid, signal.SIGCONT)
    until(lambda: frozen.get()["API_KEY"][0] == 2)
    until(lambda: '"version": 2' in frozen.output())
    status, found = traced(cloud, monkeypatch, services, read)

    assert (0, "converged", []) == (status, found["verdict"], found["stragglers"])
