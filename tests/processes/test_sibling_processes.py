"""Real sibling workers: told at once, never waited for twice, dead, stopped, starting and leaving."""

import shutil
import socket
import threading
import time

import pytest

from receiver.rundir import RunDir


def outcome(told):
    return told["applied"], told["failed"], told["lagging"]


@pytest.mark.parametrize("others", [0, 1, 7])
def test_all_are_told(workers, others):
    """Every other worker applies what one of them tells, and says so."""
    teller, *rest = workers(1 + others)

    assert (others, 0, 0) == outcome(teller("relay", "A", 7, 5))
    assert [True] * others == [worker("await_applied", "A", 7) for worker in rest]


def test_a_sibling_that_fails(workers):
    """A sibling that could not apply what it was told, or broke on it, counts as failed."""
    teller, _ = workers(2)

    assert (0, 1, 0) == outcome(teller("relay", "FAILS", 7, 5))
    assert (0, 1, 0) == outcome(teller("relay", "RAISES", 7, 5))
    assert (1, 0, 0) == outcome(teller("relay", "A", 7, 5))


def test_a_busy_sibling_is_waited_for(workers):
    """A sibling that is busy for longer than the silence that makes one lag is waited for, and never marked."""
    teller, busy = workers(2)
    busy("block", "A")
    teller.tell("relay", "A", 7, 10)
    assert busy("await_runs", 1)
    time.sleep(1.5)  # nothing is raced: the sibling stays busy until it is released
    assert [True, 2, 0] == busy("stats")
    busy("release")

    assert (1, 0, 0) == outcome(teller.answer())


def test_a_sibling_that_is_busy_for_too_long_has_failed(workers):
    """A sibling that is still busy at the caller's deadline has failed, and is not lagging."""
    teller, busy = workers(2)
    busy("block", "A")

    told = teller("relay", "A", 7, 0.5)
    assert (0, 1, 0) == outcome(told)
    assert told["seconds"] < 1
    assert [True, 2, 0] == busy("stats")


def test_a_slow_secret_holds_up_no_other(workers):
    """While a sibling is busy with one secret it applies another."""
    teller, busy = workers(2)
    busy("block", "A")
    teller("begin_relay", "A", 7)
    assert busy("await_runs", 1)

    assert (1, 0, 0) == outcome(teller("relay", "B", 1, 5))
    busy("release")
    assert (1, 0, 0) == outcome(teller("end_relay", 5))


def test_what_is_told_meanwhile_is_applied_once(workers):
    """Whatever is told of a secret while its sibling is busy with it is merged and applied in one more run."""
    teller, busy, *rest = workers(4)
    busy("block", "A")
    teller("begin_relay", "A", 1)
    assert busy("await_runs", 1)
    for number, worker in enumerate(rest, start=2):
        worker("begin_relay", "A", number)
    # A secret of its own, told last over the same listener: once it is applied, all before it have been heard.
    assert (3, 0, 0) == outcome(rest[0]("relay", "B", 1, 5))
    busy("release")

    assert (3, 0, 0) == outcome(teller("end_relay", 5))
    for worker in rest:
        assert (3, 0, 0) == outcome(worker("end_relay", 5))
    assert busy("await_applied", "A", 3)
    assert 3 == busy("count_runs")


def test_a_sibling_killed_while_it_is_waited_for(workers, until):
    """A sibling that is killed in the middle of a push is not waited for, and its files are swept."""
    teller, victim, other = workers(3)
    victim("block", "A")
    teller.tell("relay", "A", 7, 10)
    assert victim("await_runs", 1)
    victim.kill()

    told = teller.answer()
    assert (1, 0, 0) == outcome(told)
    until(lambda: other("stats"), [True, 2, 0])


@pytest.mark.promise("acked means done")
def test_a_stopped_sibling_costs_a_second_once(workers):
    """A stopped sibling holds up one push for a second; later ones, from any worker, not at all."""
    first, second, third, stopped = workers(4)
    stopped.stop()

    told = first("relay", "A", 7, 5)
    assert (2, 0, 1) == outcome(told)
    assert 0.9 < told["seconds"] < 1.9
    for worker in (first, second, third):
        told = worker("relay", "A", 8, 5)
        assert (2, 0, 1) == outcome(told)
        assert told["seconds"] < 0.5


def test_pushes_at_once_share_the_second(workers):
    """Pushes that are under way when a sibling is found to lag stop waiting for it too."""
    first, second, stopped = workers(3)
    stopped.stop()
    first.tell("relay", "A", 7, 5)
    time.sleep(0.5)  # a later start, not a race: the second push's own second would end half a second later
    second.tell("relay", "A", 8, 5)

    assert (1, 0, 1) == outcome(first.answer())
    told = second.answer()
    assert (1, 0, 1) == outcome(told)
    assert told["seconds"] < 0.9


def test_a_sibling_stopped_while_busy_costs_a_second(workers):
    """A sibling that has heard and is then stopped holds up the push for a second, not until its deadline."""
    teller, busy = workers(2)
    busy("block", "A")
    teller.tell("relay", "A", 7, 10)
    assert busy("await_runs", 1)
    busy.stop()

    told = teller.answer()
    assert (0, 0, 1) == outcome(told)
    assert told["seconds"] < 3


def test_a_sibling_that_goes_on_is_waited_for_again(workers, until):
    """A sibling that goes on applies all that it was told, takes its mark away and is waited for again."""
    teller, stopped = workers(2)
    stopped.stop()
    assert (0, 0, 1) == outcome(teller("relay", "A", 7, 5))
    assert (0, 0, 1) == outcome(teller("relay", "B", 1, 5))
    assert [True, 2, 1] == teller("stats")
    stopped.go_on()

    assert stopped("await_applied", "A", 7)
    assert stopped("await_applied", "B", 1)
    until(lambda: teller("stats"), [True, 2, 0])
    assert (1, 0, 0) == outcome(teller("relay", "A", 8, 5))


def test_a_stopped_siblings_first_request_knows(workers):
    """The first request of a worker that was stopped knows what was published meanwhile, told or not."""
    teller, stopped = workers(2)
    stopped.stop()
    teller("publish", "A", 7)
    teller("relay", "A", 7, 5)
    stopped.go_on()

    assert [7] == stopped("request", "A")


def test_a_siblings_full_backlog_costs_nothing(workers, until):
    """A stopped sibling that can take no more connections is passed over at once."""
    teller, stopped = workers(2)
    stopped.stop()
    teller("relay", "A", 7, 5)
    start = time.monotonic()
    for number in range(200):
        assert (0, 0, 1) == outcome(teller("relay", "A", 8 + number, 5))

    assert time.monotonic() - start < 5
    stopped.go_on()
    until(lambda: teller("stats"), [True, 2, 0])
    assert (1, 0, 0) == outcome(teller("relay", "A", 300, 5))


@pytest.mark.promise("nobody left behind")
def test_a_forked_child_keeps_no_worker_alive(workers, until):
    """A worker that is killed is found dead and swept although a forked child of it lives on."""
    teller, parent = workers(2)
    workers.reap(parent("fork"))
    assert (1, 0, 0) == outcome(teller("relay", "A", 7, 5))
    parent.kill()

    told = teller("relay", "A", 8, 5)
    assert (0, 0, 0) == outcome(told)
    assert told["seconds"] < 0.9
    assert [True, 1, 0] == teller("stats")


def test_a_child_takes_nothing_from_its_parent(workers):
    """A worker that forked a child is still there, still told, and still tells."""
    teller, parent = workers(2)
    workers.reap(parent("fork"))

    assert (1, 0, 0) == outcome(teller("relay", "A", 7, 5))
    assert (1, 0, 0) == outcome(parent("relay", "A", 8, 5))
    assert [True, 2, 0] == parent("stats")


def test_stale_files_are_swept(workers, files):
    """What killed workers left behind is removed when the next one joins."""
    dead = workers(3)
    for worker in dead:
        worker.kill()
    assert 6 == len([name for name in files() if name.startswith("w-")])
    (worker,) = workers()

    assert [True, 1, 0] == worker("stats")
    assert 2 == len([name for name in files() if name.startswith("w-")])


def test_a_starting_worker_is_not_swept(workers, files):
    """A worker that shows its sign of life and does not listen yet is neither swept nor waited for."""
    teller, other, starting = *workers(2), *workers(1, attend=False)
    name = starting("begin_life")
    assert (1, 0, 0) == outcome(teller("relay", "A", 7, 5))
    assert f"{name}.life" in files()
    other("leave")
    teller("leave")

    assert f"{name}.life" in files()


def test_a_starter_meets_a_newcomer(workers):
    """Workers that start at once end as members of one directory, all of whom are told."""
    team = workers(6, attend=False)
    for worker in team:
        worker.tell("attend")
    for worker in team:
        worker.answer()

    assert (5, 0, 0) == outcome(team[0]("relay", "A", 7, 5))


def test_the_last_to_leave_leaves_nothing(workers, files):
    """Whoever leaves last removes the directory; until then it stays."""
    team = workers(3)
    team[0]("publish", "A", 7)
    team[0]("leave")
    team[1]("leave")
    assert [7] == team[2]("request", "A")
    team[2]("leave")

    assert files() is None


def test_all_leave_at_once(workers, files):
    """Workers that leave at once leave nothing, and are not waited for."""
    team = workers(6)
    for worker in team:
        worker.tell("leave")
    for worker in team:
        worker.answer()

    assert files() is None


@pytest.mark.timeout(90)
@pytest.mark.parametrize("times", [3, pytest.param(30, marks=pytest.mark.long)])
def test_leaving_and_joining_at_once(workers, files, times):
    """A worker that joins while the last one leaves ends in a directory that the next one finds."""
    for _ in range(times):
        old, new = *workers(1), *workers(1, attend=False)
        old("publish", "A", 7)
        new.tell("attend")
        old.tell("leave")
        old.answer()
        new.answer()
        (third,) = workers(1)

        assert (1, 0, 0) == outcome(third("relay", "A", 8, 5))
        third("publish", "A", 8)
        assert 8 in new("request", "A")
        third("leave")
        new("leave")
        assert files() is None


@pytest.mark.promise("nobody left behind")
def test_a_removed_directory(workers, run_parent, until):
    """Workers whose directory somebody removed meet again in a new one within seconds."""
    first, second = workers(2)
    (directory,) = run_parent.glob("keyturn-*")
    shutil.rmtree(directory)
    until(lambda: [first("stats"), second("stats")], [[True, 2, 0], [True, 2, 0]])

    assert (1, 0, 0) == outcome(first("relay", "A", 7, 5))
    first("publish", "A", 7)
    assert [7] == second("request", "A")


def test_a_leaving_sibling_is_not_waited_for(workers):
    """A sibling that leaves while it is busy is neither waited for nor counted as failed."""
    teller, leaving = workers(2)
    leaving("block", "A")
    teller.tell("relay", "A", 7, 10)
    assert leaving("await_runs", 1)
    leaving("leave")

    told = teller.answer()
    assert (0, 0, 0) == outcome(told)
    assert told["seconds"] < 5


@pytest.mark.parametrize(
    "line",
    [b"{}\n", b"\n", b"[1]\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b'{"v": 2, "secret": 1, "knowledge": null}\n'],
    ids=["empty object", "empty", "list", "binary", "deep", "future"],
)
def test_another_message_format(workers, run_parent, line):
    """What a sibling of another version says is answered as failed, with no traceback, and nobody stops listening."""
    teller, other = workers(2)
    for path in sorted(run_parent.glob("keyturn-*/*.sock")):
        with socket.socket(socket.AF_UNIX) as peer, RunDir(path.parent).address(path.name) as address:
            peer.settimeout(5)
            peer.connect(address)
            peer.sendall(line)
            assert b'{"applied": false}\n' == peer.recv(100)
            assert b"" == peer.recv(100)

    assert (1, 0, 0) == outcome(teller("relay", "A", 7, 5))
    assert (1, 0, 0) == outcome(other("relay", "A", 7, 5))


@pytest.mark.parametrize(
    "answer", [b"gibberish\n", b"[]\n", b'{"applied": "yes"}\n', b""], ids=["text", "list", "future", "nothing"]
)
def test_another_answer_format(workers, run_parent, answer):
    """A living sibling that hangs up without an answer that is understood counts as failed."""
    teller, odd = *workers(1), *workers(1, attend=False)
    name = odd("begin_life")
    (directory,) = run_parent.glob("keyturn-*")
    with socket.socket(socket.AF_UNIX) as listening:
        with RunDir(directory).address(f"{name}.sock") as address:
            listening.bind(address)
        listening.listen()

        def reply():
            peer, _ = listening.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        told = teller("relay", "A", 7, 5)
        thread.join(5)

    assert (0, 1, 0) == outcome(told)
    assert told["seconds"] < 1
