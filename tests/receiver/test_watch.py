"""What each request compares."""

import pytest

from receiver.board import Board
from receiver.errors import BoardError
from receiver.knowledge import Knowledge
from receiver.names import SecretName
from receiver.rundir import open_run_dir
from receiver.watch import NOTHING, Watch


NEWS = Knowledge.version(1, 1_000_000, usable=True)
KEY = SecretName("p", "API_KEY")


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def board(tmp_path, watch):
    board = Board(open_run_dir("test", parent=str(tmp_path)), watch=watch)
    watch.seen, watch.ticked_ns, watch.asleep_at_ns = board.generation(), 100, 200
    yield board
    board.close()


@pytest.mark.parametrize(("wall", "is_current"), [(99, False), (100, True), (199, True), (200, False)])
def test_who_was_awake_and_has_seen_all_is_current(board, watch, wall, is_current):
    """A clock that was set back tells as little as one that says that time passed unseen."""
    assert is_current is watch.current(wall)


def test_who_has_seen_nothing_is_not_current():
    """Before the board is open there is nothing to have seen."""
    watch = Watch()
    watch.asleep_at_ns = 200

    assert not watch.current(100)


def test_news_on_the_board_show(board, watch):
    """What is published by whomever is one comparison away."""
    board.publish(KEY, NEWS)

    assert not watch.current(100)


def test_a_board_that_was_opened_anew_shows(board, watch, tmp_path):
    """The watch looks where others write, even after somebody has removed the directory."""
    for path in board.run_dir.path.iterdir():
        path.unlink()
    watch.seen = board.publish(KEY, NEWS).generation
    other = Board(board.run_dir)
    other.publish(KEY, NEWS)
    other.close()

    assert not watch.current(100)


def test_a_board_that_was_let_go_of_changes_nothing(board, watch):
    """A thread that comes after the leaving opens nothing: the watch shows what the next membership shows."""
    board.unwatched()
    memory = watch.memory
    for path in board.run_dir.path.iterdir():
        path.unlink()
    with pytest.raises(BoardError):
        board.publish(KEY, NEWS)

    assert (NOTHING, memory) == (watch.seen, watch.memory)


def test_who_still_looks_at_a_board_that_was_removed_is_told(board, watch):
    """Who finds the directory removed, and publishes on a new board, lets all see that look at the old one."""
    other = Board(board.run_dir)
    for path in board.run_dir.path.iterdir():
        path.unlink()
    other.publish(KEY, NEWS)
    other.close()

    assert not watch.current(100)
    assert [(KEY, NEWS)] == board.changes()[1]
