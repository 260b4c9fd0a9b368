"""Instances of real workers: leaders that die and stop, workers that are replaced, and what is left at the end."""

import os
import signal
import subprocess
import sys
import time

import pytest

from notifier.local.cloud import LocalCloud
from tests.service.harness import ROOT, Service, environment
from tests.waiting import until


TOPIC = "secret-events"
PULL = {"TEST_EVENTS": "pull", "K_SERVICE": "", "KUBERNETES_SERVICE_HOST": ""}

pytestmark = [pytest.mark.promise("nobody left behind"), pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def cloud():
    with LocalCloud() as running:
        for name in ("API_KEY", "OTHER_KEY", "WALLET_PRIVATE_KEY"):
            running.create_secret(name, f"{name}-1".encode(), topic=TOPIC)
        yield running


def subscriptions(cloud):
    found = cloud.subscriber().list_subscriptions(project=f"projects/{cloud.project}")
    return {one.name.rpartition("/")[2] for one in found}


def add(cloud, versions=[1]):  # noqa: B006  # the number of the newest version, over all tests of the module
    versions[0] += 1
    return cloud.add_version("API_KEY", f"API_KEY-{versions[0]}".encode())


def leader(service):
    found = [pid for pid, answer in service.reach_all(service.workers).items() if answer["leads"]]
    return found[0] if found else None


def follows(service, version, *, without=None):
    """Whether every worker but one serves a version."""
    answers = service.seen(timeout=0.5)
    return {version} == {answer["API_KEY"][0] for pid, answer in answers.items() if pid != without} and answers


@pytest.fixture(scope="module")
def service(cloud):
    with Service(cloud, "--timeout", "300", workers=3, env=PULL) as running:
        until(lambda: leader(running), "somebody leads")
        yield running
    assert set() == subscriptions(cloud)


def test_a_leader_that_is_killed_with_messages_in_hand(cloud, service):
    """What a killed leader had taken in comes late, so its follower looks: all serve the new version in seconds."""
    before, killed = subscriptions(cloud), leader(service)
    cloud.secret_manager.slow_accesses(cloud.secret("API_KEY"))
    version = add(cloud)
    assert 1 == len(before)
    until(lambda: [c for c in cloud.secret_manager.log.calls() if c.asked == str(version)], "it is being applied")
    os.kill(killed, signal.SIGKILL)
    cloud.secret_manager.heal()
    began = time.monotonic()
    until(lambda: len(service.seen()) == 3 and follows(service, version), "all follow")
    took = time.monotonic() - began

    assert took < 10  # a message that was leased comes after a minute
    assert before == subscriptions(cloud)


def test_a_leader_that_is_stopped(cloud, service):
    """Who leads and is stopped is stood in for, and catches up when it goes on; its stand-in leaves nothing behind."""
    before, stopped = subscriptions(cloud), leader(service)
    os.kill(stopped, signal.SIGSTOP)
    try:
        version = add(cloud)
        until(lambda: follows(service, version, without=stopped), "the others follow")
        meanwhile = subscriptions(cloud)
    finally:
        os.kill(stopped, signal.SIGCONT)
    until(lambda: subscriptions(cloud) == before, "the stand-in has gone")
    service.all_serve("API_KEY", version)

    assert before < meanwhile


def test_all_workers_are_replaced_at_once(cloud, service):
    """However all workers die, those that come after them hear by the same subscription."""
    before = subscriptions(cloud)
    for pid in service.pids():
        os.kill(pid, signal.SIGKILL)
    version = add(cloud)
    until(lambda: leader(service), "somebody leads again")
    service.all_serve("API_KEY", version)
    version = add(cloud)
    until(lambda: follows(service, version), "all follow")

    assert before == subscriptions(cloud)


def test_reloads_and_recycling_keep_the_subscription(cloud):
    """Neither HUP nor `--max-requests` ends the instance, though for a moment it has no worker; TERM does."""
    before = subscriptions(cloud)
    with Service(cloud, "--max-requests", "200", workers=1, env=PULL) as running:
        until(lambda: leader(running), "it hears")
        made = subscriptions(cloud) - before
        first = set(running.pids())
        os.kill(running.process.pid, signal.SIGHUP)
        until(lambda: {leader(running)} - {None, *first}, "another worker hears")
        after_reload = subscriptions(cloud) - before
        second = set(running.pids())
        until(lambda: [running.seen(hold=0) for _ in range(20)] and not second & {*running.pids()}, "it had its share")
        until(lambda: {leader(running)} - {None, *second}, "a third worker hears")
        after_recycling = subscriptions(cloud) - before
        version = add(cloud)
        until(lambda: follows(running, version), "it follows")
        began = time.monotonic()
        running.process.terminate()
        running.process.wait(10)
        took = time.monotonic() - began
        left, in_directory = subscriptions(cloud) - before, running.left_in_run_dir()

    assert 1 == len(made)
    assert (made, made, set(), []) == (after_reload, after_recycling, left, in_directory)
    assert took < 9


def test_a_leader_may_fork(cloud, tmp_path):
    """A child of the leader reads for itself and follows; the parent's stream stays the parent's."""
    program = """
import os, sys, time
from receiver import SecretCache
cache = SecretCache(os.environ["GOOGLE_CLOUD_PROJECT"], events="pull", topic="secret-events", service="forks")
key = cache.secret("OTHER_KEY")
cache.load()
while not cache.status()["events"]["leads"] or not cache.status()["events"]["hearing"]:
    time.sleep(0.01)
child = os.fork()
def say():  # in one piece, since two processes write
    os.write(1, f"{'child' if child == 0 else 'parent'} {key.value}\\n".encode())
say()
while key.version == 1:
    time.sleep(0.01)
say()
if child == 0:
    cache.close()
    os._exit(0)
os.waitpid(child, 0)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(cloud, str(tmp_path)) | PULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        first = {process.stdout.readline().strip() for _ in range(2)}
        cloud.add_version("OTHER_KEY", b"OTHER_KEY-2")
        rest = set(process.communicate(timeout=30)[0].split("\n")) - {""}
    finally:
        process.kill()
        process.wait()

    assert {"child OTHER_KEY-1", "parent OTHER_KEY-1"} == first
    assert {"child OTHER_KEY-2", "parent OTHER_KEY-2"} == rest
    assert not [name for name in subscriptions(cloud) if "forks" in name]
