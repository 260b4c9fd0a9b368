"""The journal in SQLite: what is durable, and what is refused."""

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest

from notifier.local.journal import Change
from notifier.local.sqlite_journal import SCHEMA, SQLiteJournal, StoreUnusable


@pytest.fixture
def place(tmp_path):
    return tmp_path / "state"


def content(place):
    with SQLiteJournal(place) as journal:
        return {(kind, key): value for kind, key, value in journal.records("a", "b")}


def test_what_is_flushed_is_there_after_a_restart(place):
    """The newest value of each record is there, what was taken out is not."""
    with SQLiteJournal(place) as journal:
        journal.write(Change("a", "1", b"one"), Change("a", "2", b"two"), Change("b", "1", b"other"))
        journal.flush()
        journal.write(Change("a", "1", b"\x00three"), Change("a", "2", None), Change("a", "none", None))
        journal.flush()

    assert {("a", "1"): b"\x00three", ("b", "1"): b"other"} == content(place)


def test_what_nobody_flushes_is_written_at_the_end(place):
    """An orderly end writes all."""
    with SQLiteJournal(place) as journal:
        journal.write(Change("a", "1", b"one"))

    assert {("a", "1"): b"one"} == content(place)


def test_what_nobody_flushes_becomes_durable_by_itself(place):
    """Also where nobody asks, a change is soon in the file: a process that dies then has kept it."""
    program = """
import os, sys, pathlib, signal
from notifier.local.journal import Change
from notifier.local.sqlite_journal import SQLiteJournal
journal = SQLiteJournal(pathlib.Path(sys.argv[1]))
journal.write(Change("a", "1", b"one"))
while journal._durable < 1:
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""
    ran = subprocess.run([sys.executable, "-c", program, str(place)], timeout=20, check=False)

    assert -signal.SIGKILL == ran.returncode
    assert {("a", "1"): b"one"} == content(place)


def test_many_threads(place):
    """Each thread that flushes finds its own changes durable, whoever wrote them."""
    missing = []

    def work(number):
        for round_ in range(20):
            journal.write(Change("a", f"{number}", f"{round_}".encode()))
            journal.flush()
            if f"{round_}".encode() != {key: value for _, key, value in journal.records("a", "b")}[f"{number}"]:
                missing.append(number)

    with SQLiteJournal(place) as journal:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

    assert [] == missing


def test_files_are_private(place):
    """The directory is 0700, and every file in it 0600, whatever the umask."""
    before = os.umask(0)
    try:
        with SQLiteJournal(place) as journal:
            journal.write(Change("a", "1", b"one"))
            journal.flush()
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}
    finally:
        os.umask(before)

    assert 0o700 == stat.S_IMODE(place.stat().st_mode)
    assert {"lock", "state.sqlite3", "state.sqlite3-wal"} <= set(modes)
    assert {0o600} == set(modes.values())


def test_a_destroyed_value_leaves_the_file(place):
    """What was taken out is overwritten, not only forgotten."""
    with SQLiteJournal(place) as journal:
        journal.write(Change("a", "1", b"canary-7d1f" * 100))
        journal.flush()
        journal.write(Change("a", "1", None))

    assert not [path for path in place.iterdir() if b"canary-7d1f" in path.read_bytes()]


def test_one_process_at_a_time(place):
    """A directory that is in use is refused, and free again when that ends."""
    with SQLiteJournal(place), pytest.raises(StoreUnusable, match="in use by another"):
        SQLiteJournal(place)

    assert {} == content(place)


def test_an_open_directory_is_refused(place):
    """Others could read the values: nothing is written there."""
    place.mkdir(mode=0o755)
    with pytest.raises(StoreUnusable, match="chmod 700"):
        SQLiteJournal(place)

    assert [] == list(place.iterdir())


def test_a_file_in_the_place_is_refused(place):
    """A path that is no directory is told as such."""
    place.write_text("x")
    with pytest.raises(StoreUnusable, match="cannot be used"):
        SQLiteJournal(place)


@pytest.mark.parametrize(("other", "schema"), [("newer", SCHEMA + 1), ("older", SCHEMA - 1)])
def test_a_store_of_another_keyturn_is_refused(place, other, schema):
    """What another keyturn wrote is called that, never corrupt, and stays as it is."""
    with SQLiteJournal(place) as journal:
        journal.write(Change("a", "1", b"one"))
    with sqlite3.connect(place / "state.sqlite3") as database:
        database.execute(f"PRAGMA user_version = {schema}")
    database.close()
    with pytest.raises(StoreUnusable, match=rf"{other} keyturn \(schema {schema}, this one knows {SCHEMA}\)"):
        SQLiteJournal(place)
    with sqlite3.connect(place / "state.sqlite3") as database:
        assert (1,) == database.execute("SELECT count(*) FROM records").fetchone()
    database.close()


def test_something_elses_store_is_refused(place):
    """A database that is not ours is left alone."""
    place.mkdir(mode=0o700)
    with sqlite3.connect(place / "state.sqlite3") as database:
        database.execute("CREATE TABLE mine (a)")
    database.close()
    with pytest.raises(StoreUnusable, match="something else's"):
        SQLiteJournal(place)


def filled(place):
    with SQLiteJournal(place) as journal:
        journal.write(*(Change("a", str(number), os.urandom(500)) for number in range(400)))
    return place / "state.sqlite3"


@pytest.mark.parametrize("damage", ["no database", "cut", "overwritten", "header only"])
def test_a_corrupt_store_is_refused(place, damage):
    """Damage is told with what to do, and never begun anew in silence."""
    path = filled(place)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "no database": b"this is no database, whatever its name says",
            "cut": whole[: len(whole) // 2],
            "overwritten": whole[:8192] + b"\xff" * 40_000 + whole[48_192:],
            "header only": whole[:100],
        }[damage]
    )
    with pytest.raises(StoreUnusable, match=r"corrupt.*move it away"):
        SQLiteJournal(place)


@pytest.mark.parametrize("bit", [0, 7])
@pytest.mark.parametrize("where", [b"value", b"kind", b"key"])
def test_a_record_that_was_altered_is_refused(place, where, bit):
    """A bit that flipped inside a record is found, though SQLite does not see it: none is lost, or another's."""
    with SQLiteJournal(place) as journal:
        journal.write(Change("kind", "key", b"value" * 5000))
    path = place / "state.sqlite3"
    whole = bytearray(path.read_bytes())
    whole[whole.rindex(where) + 2] ^= 1 << bit
    path.write_bytes(whole)
    with pytest.raises(StoreUnusable, match=r"corrupt \(.*\); move it away"):
        SQLiteJournal(place)


def test_a_log_that_was_cut_off_is_no_damage(place):
    """What a death leaves half written in the log was never acknowledged, and goes."""
    filled(place)
    (place / "state.sqlite3-wal").write_bytes(os.urandom(3000))

    assert 400 == len(content(place))


def test_no_room_at_the_start(place):
    """A disk that is full is told as such: nobody is advised to move a store away that is whole."""
    filled(place)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(StoreUnusable, match=r"cannot be used: .*is there room") as refused:
            SQLiteJournal(place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert "corrupt" not in str(refused.value)
    assert 400 == len(content(place))


@pytest.mark.parametrize("stands", ["a folder", "a link"])
def test_something_else_where_the_store_should_be(place, stands):
    """What is no file of ours is told by its path, and not followed."""
    place.mkdir(mode=0o700)
    if stands == "a folder":
        (place / "state.sqlite3").mkdir()
    else:
        (place / "state.sqlite3").symlink_to(place / "elsewhere")
    with pytest.raises(StoreUnusable, match=r"state\.sqlite3 cannot be opened: "):
        SQLiteJournal(place)

    assert not (place / "elsewhere").exists()


def test_a_full_disk(place):
    """A change that cannot be written is refused to whoever waits for it, and written once there is room."""
    with SQLiteJournal(place) as journal:
        journal.write(Change("a", "0", b"small"))
        journal.flush()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
        try:
            journal.write(Change("a", "1", b"x" * 200_000))
            with pytest.raises(OSError, match="could not be written"):
                journal.flush()
            journal.write(Change("a", "2", b"later"))
            with pytest.raises(OSError, match="could not be written"):
                journal.flush()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        journal.flush()

    assert {("a", "0"): 5, ("a", "1"): 200_000, ("a", "2"): 5} == {
        place: len(value) for place, value in content(place).items()
    }
