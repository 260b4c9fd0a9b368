"""Every way in which Python services run: reloaded, recycled, forked, spawned, patched and interrupted.

Each with real processes. `test_main_job` has gunicorn's sync and gthread workers, with and without preloading.
"""

import signal

import pytest

from .harness import Users
from .program import Program


GTHREAD = ("--worker-class", "gthread", "--threads", "2")
KINDS = pytest.mark.parametrize(
    "args",
    [(), ("--preload",), GTHREAD, (*GTHREAD, "--preload")],
    ids=["sync", "preload", "gthread", "gthread-preload"],
)

pytestmark = pytest.mark.timeout(60)


def end(service, sign=signal.SIGTERM):
    """Stop the master as a platform does, and say what is left in the run directory."""
    service.process.send_signal(sign)
    service.process.wait(10)
    return service.left_in_run_dir()


@pytest.mark.promise("nobody left behind")
@KINDS
def test_a_reload_in_the_middle_of_pushes_fails_no_request(running, args):
    """`kill -HUP` while versions are pushed: no request fails or is served what an acknowledged push replaced."""
    wired = running(*args, workers=2)
    before = set(wired.service.pids())

    with Users(wired.service) as users:
        wired.add()
        wired.service.process.send_signal(signal.SIGHUP)
        wired.add()
        wired.wait_acknowledged()
        users.floor = 3
        wired.service.wait_until(
            lambda: len(pids := wired.service.pids()) == 2 and not before & set(pids), "both workers are new"
        )
        wired.add()
        wired.wait_acknowledged()
        users.floor = 4
        users.wait_for_more()
    found = wired.service.all_serve("API_KEY", 4)

    assert [] == users.wrong
    assert not before & found.keys()
    assert [] == end(wired.service)


@pytest.mark.promise("nobody left behind")
@KINDS
def test_workers_that_end_after_a_few_requests(running, args):
    """`--max-requests`: workers come and go while versions are pushed, and every one serves what was acknowledged."""
    wired = running(*args, "--max-requests", "5", workers=2)
    before = set(wired.service.pids())

    with Users(wired.service) as users:
        for _ in range(3):
            wired.add()
            wired.wait_acknowledged()
            users.floor += 1
            users.wait_for_more(6)

    assert [] == users.wrong
    assert not before & set(wired.service.pids())
    assert [] == end(wired.service)


@pytest.mark.promise("nobody left behind")
def test_a_fork_waits_until_grpc_has_ended(cloud):
    """A fork just after the last channel was closed finds none of gRPC's threads half-way to their end."""
    with Program(cloud, "close_and_fork", "5") as program:
        said = [program.hear() for _ in range(6)]

        assert [{"served": 1}] * 5 == said[:5]
        assert {"native": [0] * 5} == said[5]
        assert 0 == program.end()
