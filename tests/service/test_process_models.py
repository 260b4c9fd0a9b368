"""Every way in which Python services run: reloaded, recycled, forked, spawned, patched and interrupted.

Each with real processes. `test_main_job` has gunicorn's sync and gthread workers, with and without preloading.
"""

import os
import signal

import pytest

from receiver.locks import LIFE, SOCKET, UNBORN

from .harness import PATIENCE, PlainService, Users
from .program import Program


GTHREAD = ("--worker-class", "gthread", "--threads", "2")
GEVENT = ("--worker-class", "gevent")
KINDS = {
    "sync": (),
    "preload": ("--preload",),
    "gthread": GTHREAD,
    "gthread-preload": (*GTHREAD, "--preload"),
}
KINDS_TO_RELOAD = {**KINDS, "gevent-preload": (*GEVENT, "--preload")}


def some(kinds, *short):
    """Every kind of worker, those of `short` in each run of the tests."""
    return [pytest.param(kinds[kind], id=kind, marks=() if kind in short else pytest.mark.long) for kind in kinds]


pytestmark = pytest.mark.timeout(60)


def end(service, sign=signal.SIGTERM):
    """Stop the master as a platform does, and say what is left in the run directory."""
    service.process.send_signal(sign)
    service.process.wait(PATIENCE)
    return service.left_in_run_dir()


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize("args", some(KINDS_TO_RELOAD, "sync", "gthread-preload", "gevent-preload"))
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

    assert [] == users.wrong[:3], wired.service.output()
    assert not before & found.keys()
    assert [] == end(wired.service)


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize("args", some(KINDS, "preload", "gthread"))
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

    assert [] == users.wrong[:3], wired.service.output()
    assert not before & set(wired.service.pids())
    # Who ends by itself leaves the board to its successor, and the master may be ended before it has made that one.
    assert [] == [name for name in end(wired.service) if name.endswith((SOCKET, UNBORN, LIFE))]


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize(
    "args",
    [
        pytest.param((), id="reloaded"),
        pytest.param(("--max-requests", "8"), id="recycled"),
        pytest.param(GTHREAD, id="reloaded, gthread", marks=pytest.mark.long),
        pytest.param(("--preload",), id="reloaded, preload", marks=pytest.mark.long),
        pytest.param((*GTHREAD, "--max-requests", "8"), id="recycled, gthread", marks=pytest.mark.long),
        pytest.param(("--preload", "--max-requests", "8"), id="recycled, preload", marks=pytest.mark.long),
        pytest.param(GEVENT, id="reloaded, gevent", marks=pytest.mark.long),
    ],
)
def test_the_successor_of_a_lone_worker_knows_what_that_one_acknowledged(running, args):
    """However far `latest` lags, whoever follows the only worker does not serve a version whose end that one heard."""
    wired = running(*args, workers=1)
    (before,) = wired.service.pids()
    wired.add()
    wired.wait_acknowledged()
    wired.service.all_serve("API_KEY", 2)
    wired.cloud.secret_manager.disable_version(wired.path, 2)
    wired.wait_acknowledged()
    wired.cloud.secret_manager.lag(wired.path, changes=1)
    if "--max-requests" not in args:
        wired.service.process.send_signal(signal.SIGHUP)

    # Asking is what ends a worker that may answer eight times.
    wired.service.wait_until(lambda: wired.service.get(timeout=10)["pid"] != before, "another worker answers")
    wired.service.wait_until(lambda: before not in wired.service.pids(), "the first has ended")

    wired.service.all_serve("API_KEY", 1)
    assert [] == end(wired.service)


@pytest.mark.promise("acked means done")
@pytest.mark.parametrize("args", [GEVENT, (*GEVENT, "--preload")], ids=["plain", "preload"])
def test_a_greenlet_that_waits_for_secret_manager_stops_no_other(running, args):
    """Under gevent a worker answers requests while it waits for Secret Manager in a push."""
    wired = running(*args, workers=1)
    wired.cloud.secret_manager.slow_accesses(wired.path)
    wired.add()
    assert wired.cloud.secret_manager.log.wait_for_arrivals(wired.by_number, 1)

    served = [wired.service.get(timeout=10)["API_KEY"][0] for _ in range(3)]
    under_way = wired.cloud.pubsub.pushes()
    wired.cloud.secret_manager.heal(wired.path)
    wired.wait_acknowledged()

    assert ([1, 1, 1], []) == (served, under_way), wired.service.output()
    wired.service.all_serve("API_KEY", 2)


@pytest.mark.promise("nobody left behind")
def test_the_reloader_of_flask_s_debugger(running, tmp_path):
    """`python app.py` with the debugger: the process that takes over after a change of the code serves the newest."""
    watched = tmp_path / "watched.py"
    watched.touch()
    wired = running(kind=PlainService, workers=1, env={"TEST_WATCHED": str(watched)})
    before = wired.service.get()["pid"]
    wired.add()
    wired.wait_acknowledged()
    wired.service.all_serve("API_KEY", 2)

    os.utime(watched)
    wired.service.wait_until(lambda: wired.service.answers() not in {None, before}, "another process answers")
    wired.service.all_serve("API_KEY", 2)
    wired.add()
    wired.wait_acknowledged()
    wired.service.all_serve("API_KEY", 3)
    os.killpg(wired.service.process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
    wired.service.process.wait(PATIENCE)

    assert [] == wired.service.left_in_run_dir(), wired.service.output()


@pytest.mark.promise("nobody left behind")
def test_plain_python(running):
    """`python app.py`, without anything that manages processes: one process with threads follows as all others do."""
    wired = running(kind=PlainService, workers=1)

    wired.add()
    wired.wait_acknowledged()

    wired.service.all_serve("API_KEY", 2)


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_processes_of_multiprocessing(cloud, how):
    """A child reads over a channel of its own, hears what its parent finds, and leaves nothing behind at its end."""
    with Program(cloud, "multiprocess", how) as program:
        assert {"child": 1} == program.hear()
        cloud.add_version("API_KEY", b"API_KEY-2")
        program.go_on()

        assert {"parent": 2, "outcome": "settled"} == program.hear()
        assert {"child": 2} == program.hear()
        assert {"code": 0} == program.hear()
        assert 0 == program.end(), program.output()
        assert [] == program.left_in_run_dir()


@pytest.mark.promise("last good")
def test_nothing_hangs_at_exit(cloud):
    """A process whose calls upstream never answers ends at once, and leaves nothing behind."""
    with Program(cloud, "hang_and_end") as program:
        assert {"served": 1} == program.hear()
        cloud.secret_manager.slow_accesses(cloud.secret("API_KEY"))
        cloud.secret_manager.slow_accesses(cloud.secret("OTHER_KEY"))
        program.go_on()

        assert {"unavailable": ["OTHER_KEY"]} == program.hear()
        assert 0 == program.end(patience=3), program.output()
        assert [] == program.left_in_run_dir()
        assert "Traceback" not in program.output()


def test_nowhere_to_meet(cloud):
    """On a read-only file system a start fails, and the error names the setting that says where to meet instead."""
    with Program(cloud, "close_and_fork", "1", env={"KEYTURN_RUN_DIR": "/proc/keyturn"}) as program:
        assert 1 == program.end(PATIENCE)
        said = program.output().splitlines()[-1]

        assert "ConfigurationError" in said
        assert "/proc/keyturn" in said
        assert "Set KEYTURN_RUN_DIR to a directory" in said


@pytest.mark.parametrize(("support", "warnings"), [("0", 1), ("1", 0)])
def test_a_fork_that_grpc_was_told_not_to_expect(cloud, support, warnings):
    """GRPC_ENABLE_FORK_SUPPORT=0 and a client that was used before a fork: the child says that it may hang."""
    with Program(cloud, "close_and_fork", "1", env={"GRPC_ENABLE_FORK_SUPPORT": support}) as program:
        assert {"served": 1} == program.hear()
        assert 0 == program.end()
        assert warnings == program.output().count("fork_unsupported:")


@pytest.mark.promise("nobody left behind")
def test_a_fork_waits_until_grpc_has_ended(cloud):
    """A fork just after the last channel was closed finds none of gRPC's threads half-way to their end."""
    with Program(cloud, "close_and_fork", "5") as program:
        said = [program.hear() for _ in range(6)]

        assert [{"served": 1}] * 5 == said[:5]
        assert {"native": [0] * 5} == said[5]
        assert 0 == program.end()
