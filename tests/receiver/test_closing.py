"""A cache that is closed in the middle of something: by a signal's handler, or while a request is under way."""

import threading
import time

import pytest

from receiver import locks
from receiver.board import Board
from receiver.errors import BoardError
from receiver.knowledge import Claim, Knowledge
from receiver.names import SecretName
from receiver.rundir import open_run_dir


class Interrupted:
    """A lock under which something happens once, on one thread, as a signal's handler would have it."""

    def __init__(self, lock, thread, what):
        self.lock, self.thread, self.what = lock, thread, what
        self.happened = False

    def __enter__(self):
        self.lock.acquire()
        if threading.current_thread() is self.thread and not self.happened:
            self.happened = True
            self.what()

    def __exit__(self, *_):
        self.lock.release()


@pytest.mark.parametrize(
    ("whose", "lock"),
    [
        (lambda cache: cache._worker.membership, "_lock"),
        (lambda cache: cache._worker.membership.join(), "_lock"),
        (lambda cache: cache._worker.membership.join()._board, "_opening"),
        (lambda _: locks._BOOK, "guard"),
    ],
    ids=["joining", "following", "opening", "locking"],
)
def test_closed_by_a_handler_under_a_lock(make, source, tmp_path, monkeypatch, whose, lock):
    """A handler runs on the thread that it interrupts, wherever that is: what is held there does not stop it."""
    cache, other = make(run_dir=str(tmp_path)), make(run_dir=str(tmp_path))
    other.secret("API_KEY")
    other.load()
    cache.secret("API_KEY")
    main = threading.Thread(target=lambda: (cache.load(), publish(other), cache.fence(), publish(cache)), daemon=True)
    holder = whose(cache)
    interrupted = Interrupted(getattr(holder, lock), main, cache.close)
    monkeypatch.setattr(holder, lock, interrupted)
    main.start()
    main.join(30)

    assert (True, False) == (interrupted.happened, main.is_alive())


def publish(cache):
    name = cache._registry.numbered(SecretName("any-project", "API_KEY"))
    news = Knowledge.version(1, time.time_ns(), usable=True, claim=Claim.ADDED)
    cache.announce(name, news, deadline=time.monotonic() + 5)


def test_a_request_that_outlives_its_membership(make, wall, caplog):
    """The cache is closed while a request waits to catch up: there is nothing to catch up with, and no fault to log."""
    cache = make()
    cache.secret("API_KEY")
    cache.load()
    container = cache._worker.membership.container
    cache._worker._rounds.wake.wait = lambda until: cache.close()
    wall.ahead += 60

    cache.fence()

    assert [] == [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert not container.directory.exists()


def test_who_comes_late_makes_no_directory(tmp_path):
    """Between the removal of the directory and the end of the leaving, nobody makes it anew."""
    board = Board(open_run_dir("test", parent=str(tmp_path)))
    board.unwatched()
    board.remove_unless(lambda: False)

    with pytest.raises(BoardError, match="has left"):
        board.changes()

    assert [] == list(tmp_path.iterdir())
    board.close()
