"""The board and its directory, within one process."""

import logging
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from receiver.board import Board
from receiver.errors import BoardError, ConfigurationError
from receiver.knowledge import Knowledge
from receiver.locks import RecordLock, SignOfLife, bury
from receiver.names import SecretName
from receiver.rundir import RunDir, open_run_dir


NAME = SecretName("p", "A")
OTHER = SecretName("p", "B", "europe-west1")


def version(number):
    return Knowledge.version(number, 1_000_000 + number, usable=True)


@pytest.fixture
def run_dir(tmp_path):
    return open_run_dir("test", parent=tmp_path)


@pytest.fixture
def boards(run_dir):
    opened = []

    def open_board():
        opened.append(Board(run_dir))
        return opened[-1]

    yield open_board
    for board in opened:
        board.close()


@pytest.fixture
def board(boards):
    return boards()


class TestBoard:
    def test_publish_returns_all_that_is_known(self, board):
        """A publish answers what it added to what was there."""
        board.publish(NAME, version(1))

        assert {1, 2} == board.publish(NAME, version(2)).knowledge.words.keys()

    def test_changes_are_read_once(self, boards):
        """A reader gets each entry that changed, once."""
        writer, reader = boards(), boards()
        writer.publish(NAME, version(1))
        writer.publish(OTHER, version(1))

        assert {NAME: version(1), OTHER: version(1)} == dict(reader.changes()[1])
        assert [] == reader.changes()[1]
        writer.publish(OTHER, version(2))
        assert [OTHER] == [name for name, _ in reader.changes()[1]]

    def test_the_generation_always_moves(self, boards):
        """A publish of what is known moves the generation too: whoever wrote it may have died before."""
        writer, reader = boards(), boards()
        writer.publish(NAME, version(1))
        before = reader.generation()
        writer.publish(NAME, version(1))

        assert before != reader.generation()

    def test_the_generation_is_read_before_the_entries(self, boards):
        """The generation that comes with the changes is the one before them, so what comes meanwhile is not missed."""
        writer, reader = boards(), boards()
        writer.publish(NAME, version(1))
        generation, _ = reader.changes()
        assert generation == reader.generation()
        writer.publish(NAME, version(2))

        assert generation != reader.generation()

    def test_two_replacements_within_a_tick(self, boards):
        """A file that is replaced twice between two looks, and gets its size, time and inode back, is read again."""
        writer, reader = boards(), boards()
        for stamp in range(1000, 1200):
            writer.publish(NAME, Knowledge.version(1, stamp, usable=True))
            ((_, known),) = reader.changes()[1]

            assert stamp == known.words[1].stamp

    def test_an_unreadable_entry(self, board, boards, run_dir, caplog):
        """An entry that cannot be read is said and left out, and the next publish mends it."""
        board.publish(NAME, version(1))
        board.publish(OTHER, version(1))
        next(path for path in run_dir.path.glob("e-*") if NAME.path.encode() in path.read_bytes()).write_text("{")
        reader = boards()

        assert [(OTHER, version(1))] == reader.changes()[1]
        assert ["board_unreadable"] == [record.json_fields["event"] for record in caplog.records]
        assert {logging.ERROR} == {record.levelno for record in caplog.records}
        board.publish(NAME, version(2))
        assert [(NAME, version(2))] == reader.changes()[1]

    def test_an_entry_that_was_unreadable_is_tried_again(self, board, boards, run_dir):
        """An entry that could not be read is read as soon as it can be."""
        board.publish(NAME, version(1))
        (path,) = run_dir.path.glob("e-*")
        whole = path.read_bytes()
        path.write_text("{")
        reader = boards()
        assert [] == reader.changes()[1]
        path.write_bytes(whole)

        assert [(NAME, version(1))] == reader.changes()[1]

    def test_a_directory_that_vanished_is_made_again(self, boards, run_dir):
        """A board whose directory the last member removed writes and reads in a new one."""
        first, second = boards(), boards()
        first.publish(NAME, version(1))
        first.remove_unless(lambda: False)
        assert not run_dir.path.exists()
        assert {2} == second.publish(NAME, version(2)).knowledge.words.keys()

        assert [(NAME, version(2))] == first.changes()[1]
        assert first.generation() == second.generation()

    def test_an_inhabited_directory_stays(self, board, run_dir):
        """Nothing is removed while somebody lives there."""
        board.publish(NAME, version(1))
        board.remove_unless(lambda: True)

        assert [(NAME, version(1))] == board.changes()[1]

    def test_a_generation_of_another_version_is_refused(self, run_dir):
        """A generation of the wrong size is not mapped."""
        (run_dir.path / "generation").write_bytes(b"12345678")

        with pytest.raises(BoardError, match="generation"):
            Board(run_dir)

    def test_threads_exclude_each_other(self, boards):
        """Threads of one process, with boards of their own, lose nothing."""
        threads = [
            threading.Thread(target=lambda board, n: board.publish(NAME, version(n)), args=(boards(), n))
            for n in range(1, 9)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

        assert set(range(1, 9)) == boards().publish(NAME, Knowledge()).knowledge.words.keys()

    def test_another_board_closed_in_this_process_drops_no_lock(self, board, boards, run_dir):
        """Closing one board of a process does not free the lock that another one holds."""
        lock = RecordLock(run_dir.path / "lock")
        with lock.held(1):
            Board(run_dir).close()
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    board.after_fork()
                    board.publish(NAME, version(1))
                except BoardError:
                    code = 0
                finally:
                    os._exit(code)
            _, status = os.waitpid(pid, 0)
        lock.close()

        assert 0 == os.waitstatus_to_exitcode(status)

    def test_a_board_that_is_closed_lets_a_last_write_end(self, boards, monkeypatch):
        """Who closes a board takes the file from nobody who writes, nor from who waits for that one."""
        board, writing, closed, said = boards(), threading.Event(), threading.Event(), []
        replace = Path.replace

        def slowly(path, target):
            writing.set()
            assert closed.wait(10)
            return replace(path, target)

        def publish(number):
            try:
                said.append(board.publish(NAME, version(number)).knowledge.words.keys())
            except BoardError as exc:
                said.append(exc)

        monkeypatch.setattr(Path, "replace", slowly)
        threads = [threading.Thread(target=publish, args=(number,)) for number in (1, 2)]
        threads[0].start()
        assert writing.wait(10)
        threads[1].start()
        while board._lock._handle.users < 3:  # the board itself, who writes and who waits
            time.sleep(0.001)
        board.close()
        closed.set()
        for thread in threads:
            thread.join(10)

        assert [{1}, {1, 2}] == said
        assert {1, 2} == boards().publish(NAME, Knowledge()).knowledge.words.keys()

    def test_a_closed_board_makes_nothing_anew(self, boards, run_dir):
        """What a thread that comes late would write is refused: the directory that was removed stays away."""
        board = boards()
        board.remove_unless(lambda: False)
        board.close()

        for late in (lambda: board.publish(NAME, version(1)), board.changes, board.confirm):
            with pytest.raises(BoardError, match="has left"):
                late()
        assert not run_dir.path.exists()

    def test_files_are_private(self, board, run_dir):
        """Nobody but the owner can read or write any of it."""
        board.publish(NAME, version(1))

        assert 0o700 == run_dir.path.stat().st_mode & 0o777
        assert {0o600} == {path.stat().st_mode & 0o777 for path in run_dir.path.iterdir()}


class TestSignOfLife:
    def test_the_living_are_not_buried(self, tmp_path):
        """A process does not take its own members for dead, and looking does not drop their locks."""
        life = SignOfLife.begin(tmp_path)

        assert not bury(tmp_path, life.name)
        life.end()
        assert [] == list(tmp_path.iterdir())

    def test_a_forked_child_ends_nothing(self, tmp_path):
        """A child that ends its parent's sign of life changes nothing."""
        life = SignOfLife.begin(tmp_path)
        pid = os.fork()
        if pid == 0:
            life.end()
            os._exit(bury(tmp_path, life.name))
        _, status = os.waitpid(pid, 0)

        assert 0 == os.waitstatus_to_exitcode(status)
        assert (tmp_path / f"{life.name}.life").exists()
        life.end()


class TestRunDir:
    def test_a_named_parent_is_made(self, tmp_path):
        """A parent that is named is made where it is missing, whether by argument or by environment."""
        named = open_run_dir("test", parent=tmp_path / "a" / "b")
        by_variable = open_run_dir("test", environ={"KEYTURN_RUN_DIR": str(tmp_path / "c")})

        assert tmp_path / "a" / "b" == named.path.parent
        assert tmp_path / "c" == by_variable.path.parent

    def test_keys_are_apart(self, tmp_path):
        """Two services of one user do not meet; two processes of one service do."""
        one, again, two = (open_run_dir(key, parent=tmp_path).path for key in ("one", "one", "two"))

        assert one == again != two

    def test_the_runtime_directory_comes_first(self, tmp_path):
        """XDG_RUNTIME_DIR is used where nothing is named, and the next where it cannot be."""
        (tmp_path / "file").touch()

        assert tmp_path == open_run_dir("test", environ={"XDG_RUNTIME_DIR": str(tmp_path)}).path.parent
        other = open_run_dir(f"test {tmp_path}", environ={"XDG_RUNTIME_DIR": str(tmp_path / "file")}).path
        assert tmp_path != other.parent
        other.rmdir()

    def test_nowhere_to_meet(self, tmp_path):
        """Where none can be used the error names what was tried and what to set."""
        (tmp_path / "file").touch()

        with pytest.raises(ConfigurationError, match=r"tried .*/file \(.*KEYTURN_RUN_DIR"):
            open_run_dir("test", parent=tmp_path / "file")

    @pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
    def test_a_directory_that_others_may_use_is_refused(self, tmp_path, mode):
        """A directory that is open to others is not believed."""
        open_run_dir("test", parent=tmp_path).path.chmod(mode)

        with pytest.raises(ConfigurationError, match="0700"):
            open_run_dir("test", parent=tmp_path)

    def test_a_link_is_refused(self, tmp_path):
        """A symbolic link in the directory's place is not followed."""
        path = open_run_dir("test", parent=tmp_path).path
        path.rmdir()
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        path.symlink_to(tmp_path / "elsewhere")

        with pytest.raises(ConfigurationError, match="not a directory"):
            open_run_dir("test", parent=tmp_path)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
    def test_a_directory_of_another_user_is_refused(self, tmp_path):
        """A directory that somebody else made first is not believed."""
        os.chown(open_run_dir("test", parent=tmp_path).path, 65534, -1)

        with pytest.raises(ConfigurationError, match="another user"):
            open_run_dir("test", parent=tmp_path)

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system has no short spelling of a long path")
    def test_a_long_path_has_a_short_address(self, tmp_path):
        """A socket in a directory of any depth can be bound and reached."""
        run_dir: RunDir = open_run_dir("test", parent=tmp_path / ("x" * 100) / ("y" * 100))
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as calling:
            with run_dir.address("s.sock") as address:
                listening.bind(address)
            listening.listen()
            with run_dir.address("s.sock") as address:
                calling.connect(address)

            assert (run_dir.path / "s.sock").is_socket()
