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


class Hearing:
    """A part in the fleet that notes what is asked of it."""

    def __init__(self, noted, leaving):
        self.noted, self.leaving = noted, leaving

    def start(self, directory):
        self.noted.append("start")

    def leave(self):
        self.noted.append("leave")
        for call in self.leaving:
            call()

    def delete(self):
        self.noted.append("delete")
        return True

    def wait(self, seconds, *, strict):
        pass

    def close(self):
        pass


@pytest.fixture
def pulling(make, monkeypatch):
    """A cache that pulls, as far as `noted` tells; while it leaves the fleet all of `leaving` is called."""

    def pulling(noted, leaving=()):
        cache = make(events="pull", topic="news")
        monkeypatch.setattr(cache._presence, "_make_fleet", lambda: Hearing(noted, leaving))
        cache.secret("API_KEY")
        return cache

    return pulling


def test_closed_by_a_handler_while_it_is_closed(pulling):
    """The second close leaves all to the first, which deletes the subscription before the directory that names it."""
    noted, leaving = [], []
    cache = pulling(noted, leaving)
    leaving.append(cache.close)
    cache.load()

    cache.close()

    assert ["start", "leave", "delete"] == noted


def test_a_join_that_fails_is_begun_anew(pulling, monkeypatch, tmp_path):
    """Where no thread can be had to hear by, the next read tries again: nobody is a member that hears nothing."""
    noted = []
    cache = pulling(noted)
    begin = cache._presence.begin
    fails = iter([RuntimeError("can't start new thread")])

    def failing(*args, **more):
        if (failure := next(fails, None)) is not None:
            raise failure
        begin(*args, **more)

    monkeypatch.setattr(cache._presence, "begin", failing)
    with pytest.raises(RuntimeError):
        cache.load()
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]

    cache.load()

    assert ["start"] == noted


def test_closed_while_it_joins(pulling, monkeypatch):
    """Whoever closes while another thread joins has closed nothing: that one is a member, hears and goes its rounds."""
    noted = []
    cache = pulling(noted)
    monkeypatch.setattr(Hearing, "start", lambda *_: (cache.close(), noted.append("start")))

    cache.load()

    container = cache._worker.membership.container
    assert (["start"], container) == (noted, cache._worker._rounds._container)
    cache.close()
    assert ["start", "leave", "delete"] == noted
