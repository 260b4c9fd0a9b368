"""The main job, with real gunicorn workers: a new version is live in every worker, with nothing restarted."""

import os
import signal
import time

import grpc
import pytest

from notifier.local.cloud import SENDER

from .harness import AUDIENCE, body_for


GTHREAD = ("--worker-class", "gthread", "--threads", "2")

pytestmark = pytest.mark.timeout(60)


@pytest.mark.promise("targeted")
@pytest.mark.promise("acked means done")
@pytest.mark.parametrize(
    ("args", "workers"),
    [
        pytest.param((), 4, id="sync"),
        pytest.param(GTHREAD, 2, id="gthread"),
        pytest.param(("--preload",), 2, id="sync-preload"),
        pytest.param((*GTHREAD, "--preload"), 4, id="gthread-preload"),
        pytest.param((), 1, id="one"),
        pytest.param((), 8, id="eight", marks=pytest.mark.long),
    ],
)
def test_an_acknowledged_push_means_every_worker_serves_the_new_version(running, args, workers):
    """Once the push is acknowledged every worker answers with the new version, one fetch by number each."""
    wired = running(*args, workers=workers)

    number = wired.add()
    wired.wait_acknowledged()
    found = wired.service.all_serve("API_KEY", number)

    assert {"API_KEY-2"} == {answer["API_KEY"][1] for answer in found.values()}
    assert {("API_KEY", "2")} == set(wired.accesses())
    assert workers == len(wired.accesses())


@pytest.mark.promise("any order")
def test_disabling_steps_back_and_enabling_returns(shared):
    """Disabling the served version brings the one before it to every worker; enabling brings it back."""
    number = shared.add()
    shared.wait_acknowledged()

    shared.cloud.secret_manager.disable_version(shared.path, number)
    shared.wait_acknowledged()
    shared.service.all_serve("API_KEY", number - 1)

    shared.cloud.secret_manager.enable_version(shared.path, number)
    shared.wait_acknowledged()
    shared.service.all_serve("API_KEY", number)


@pytest.mark.promise("static stays static")
def test_a_static_secret_is_not_taken(shared):
    """A new version of a static secret is acknowledged, fetched by nobody and served by nobody."""
    shared.add("WALLET_PRIVATE_KEY")
    shared.wait_acknowledged()
    shared.service.all_serve("WALLET_PRIVATE_KEY", 1)

    assert [] == shared.accesses("WALLET_PRIVATE_KEY")


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize("args", [(), ("--preload",)], ids=["plain", "preload"])
def test_a_respawned_worker_serves_the_newest(running, args):
    """Workers that gunicorn starts anew after SIGKILL serve the newest version, not what the master had loaded."""
    wired = running(*args, workers=2)
    wired.add()
    wired.wait_acknowledged()
    before = set(wired.service.pids())

    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wired.service.wait_until(
        lambda: len(pids := wired.service.pids()) == 2 and not before & set(pids),
        "gunicorn starts two new workers",
    )
    found = wired.service.all_serve("API_KEY", 2)

    assert not before & found.keys()


@pytest.mark.promise("nobody left behind")
def test_a_worker_killed_in_the_middle_of_its_fetch(running):
    """A worker killed while it fetches costs no stale worker: the push is not acknowledged before all serve it."""
    wired = running(workers=3)
    wired.cloud.secret_manager.slow_accesses(wired.path, times=3)
    wired.add()
    assert wired.cloud.secret_manager.log.wait_for_arrivals(wired.by_number, 3)

    os.kill(wired.service.pids()[0], signal.SIGKILL)
    wired.cloud.secret_manager.heal(wired.path)
    wired.wait_acknowledged()
    wired.service.all_serve("API_KEY", 2)


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize("args", [(), ("--preload",)], ids=["plain", "preload"])
def test_a_worker_that_starts_in_the_middle_of_a_push(running, args):
    """A worker that starts while a push is being applied serves what the push announced from its first request on."""
    wired = running(*args, workers=2)
    wired.cloud.secret_manager.lag(wired.path)  # `latest` hides the new version from whoever only reads that
    wired.cloud.secret_manager.slow_accesses(wired.path, times=2)
    before = set(wired.service.pids())
    wired.add()
    assert wired.cloud.secret_manager.log.wait_for_arrivals(wired.by_number, 2)

    wired.service.process.send_signal(signal.SIGTTIN)
    wired.service.wait_until(lambda: len(wired.service.pids()) == 3, "gunicorn starts a third worker")
    wired.cloud.secret_manager.heal(wired.path)
    wired.wait_acknowledged()
    found = wired.service.all_serve("API_KEY", 2, count=3)

    assert 1 == len(found.keys() - before)


@pytest.mark.promise("acked means done")
def test_a_stopped_worker_costs_one_push_a_second(running):
    """One push pays a second for a stopped worker, later ones nothing; its first request afterwards is current."""
    wired = running(workers=3)
    stopped = wired.service.pids()[0]
    os.kill(stopped, signal.SIGSTOP)
    took = []
    for _ in range(3):
        wired.add()
        wired.wait_acknowledged()
        took.append(max(push.seconds for push in wired.cloud.pubsub.pushes()[-1:]))
    others = wired.service.all_serve("API_KEY", 4, count=2)
    started = time.monotonic()
    wired.service.get()
    waited = time.monotonic() - started

    assert stopped not in others
    assert waited < 1
    assert 0.9 < took[0] < 2.5
    assert max(took[1:]) < 0.9

    os.kill(stopped, signal.SIGCONT)
    wired.service.all_serve("API_KEY", 4)


@pytest.mark.promise("last good")
@pytest.mark.promise("acked means done")
def test_a_hanging_secret_manager_is_answered_503_in_time(running):
    """A Secret Manager that hangs makes the route answer 503 well inside the ack deadline; the old value serves on."""
    wired = running(workers=2)
    wired.cloud.secret_manager.slow_accesses(wired.path)

    wired.add()
    assert wired.cloud.pubsub.wait_for_pushes(lambda pushes: any(push.status == 503 for push in pushes), 12)
    first = next(push for push in wired.cloud.pubsub.pushes() if push.status == 503)
    wired.service.all_serve("API_KEY", 1)
    wired.cloud.secret_manager.heal(wired.path)
    wired.wait_acknowledged()
    wired.service.all_serve("API_KEY", 2)

    assert first.seconds < 6.5


@pytest.mark.promise("last good")
def test_a_damaged_payload_is_never_served(shared):
    """A payload whose checksum does not fit is fetched again and never served."""
    shared.cloud.secret_manager.damage_accesses(shared.path, times=1)

    number = shared.add()
    shared.wait_acknowledged()
    found = shared.service.all_serve("API_KEY", number)

    assert {f"API_KEY-{number}"} == {answer["API_KEY"][1] for answer in found.values()}
    assert shared.accesses().count(("API_KEY", str(number))) > shared.service.workers


@pytest.mark.promise("last good")
def test_a_lost_permission_is_acknowledged_and_retried_here(running):
    """A missing permission is nothing that a redelivery mends: acked at once, said, and retried by the worker."""
    wired = running(workers=1)
    wired.cloud.secret_manager.fail_accesses(wired.path, times=1, code=grpc.StatusCode.PERMISSION_DENIED)

    wired.add()
    wired.wait_acknowledged()

    assert [1] == [push.attempt for push in wired.cloud.pubsub.pushes() if push.status == 204][-1:]
    wired.service.wait_until(lambda: wired.service.get()["API_KEY"][0] == 2, "the retry has brought version 2")
    assert "secretAccessor" in wired.service.output()


@pytest.mark.promise("exact")
def test_a_start_is_not_fooled_by_a_stale_latest(cloud, running):
    """`latest` is an hour behind: a worker that starts just after an add serves the new version all the same."""
    cloud.add_version("API_KEY", b"API_KEY-2")
    cloud.secret_manager.lag(cloud.secret("API_KEY"), changes=1)

    wired = running(workers=1)

    found = wired.service.all_serve("API_KEY", 2)
    assert {"API_KEY-2"} == {answer["API_KEY"][1] for answer in found.values()}


@pytest.mark.promise("only the sender")
def test_strangers_are_refused_before_anything_is_read(shared):
    """No token, a forged one, another audience or sender: refused, and Secret Manager hears nothing of it."""
    issuer, service = shared.cloud.issuer, shared.service
    heard = shared.accesses()
    add = {
        "eventType": "SECRET_VERSION_ADD",
        "dataFormat": "JSON_API_V1",
        "secretId": "projects/1/secrets/API_KEY",
        "versionId": "projects/1/secrets/API_KEY/versions/99",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    tokens = [
        issuer.forge(issuer.claims(audience=AUDIENCE, email=SENDER)),
        shared.token(aud="https://elsewhere.example/"),
        shared.token(email="somebody@else.example"),
        shared.token(email_verified=False),
        "not.a.token",
    ]

    statuses = [service.push(body_for(add), {"Authorization": f"Bearer {token}"}) for token in tokens]
    statuses.append(service.push(body_for(add), {}))
    statuses.append(service.push(b"x" * 1_000_000, {}))

    assert {401, 403} >= set(statuses)
    assert heard == shared.accesses()
    assert not any(token in service.output() for token in tokens)


@pytest.mark.promise("acked means done")
def test_what_an_authentic_sender_sends_and_nobody_can_read_is_acknowledged(shared):
    """Garbage and oversized bodies from the real sender are acknowledged and logged, without their content."""
    headers = {"Authorization": f"Bearer {shared.token()}"}
    bodies = [b"", b"canary-body", b"[]", b'{"message": 1}', body_for({}), b"canary-body" * 10_000]

    statuses = [shared.service.push(body, headers) for body in bodies]

    assert [204] * len(bodies) == statuses
    assert "canary-body" not in shared.service.output()
    assert "push_too_large" in shared.service.output()


@pytest.mark.long  # the tests of reloads look there too
@pytest.mark.parametrize("args", [(), ("--preload",)], ids=["plain", "preload"])
def test_nothing_is_left_in_the_run_directory(running, args):
    """After a service has stopped, the run directory is empty."""
    wired = running(*args, workers=2)
    wired.add()
    wired.wait_acknowledged()

    os.kill(wired.service.process.pid, signal.SIGTERM)
    wired.service.process.wait(10)

    assert [] == wired.service.left_in_run_dir()


@pytest.mark.promise("silent")
def test_no_value_appears_in_the_log(shared):
    """The log of a service that loaded, refreshed, stepped back and refused holds no value and no token."""
    number = shared.add()
    shared.wait_acknowledged()
    shared.cloud.secret_manager.disable_version(shared.path, number)
    shared.wait_acknowledged()
    shared.cloud.secret_manager.enable_version(shared.path, number)
    shared.wait_acknowledged()

    output = shared.service.output()
    assert "Booting worker" in output
    assert not [n for n in range(1, number + 1) if f"API_KEY-{n}" in output]
