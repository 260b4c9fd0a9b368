"""A journal in SQLite: one file in a private directory, for one process at a time.

A change is durable once its transaction is committed: it then survives the death of the process at any moment (kill
-9). SQLite's write-ahead log with `synchronous=NORMAL` leaves the writing itself to the kernel, so a loss of power may
take the last seconds, never the file's integrity; waiting for the disk at each call would protect a development tool
from what it need not be protected from, at milliseconds a call.
"""

import contextlib
import fcntl
import os
import sqlite3
import stat
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self
from zlib import crc32

from .journal import Change


# Of the tables below, and of what their checks cover. A file of another one is refused.
SCHEMA = 2

# "ktrn": tells our file from any other that SQLite can open.
_APPLICATION = 0x6B74726E

_FILE = "state.sqlite3"
_LOCK = "lock"

# How often what nobody flushes is written; the port asks for a second at most.
_TICK = 0.25

_TABLE = """
CREATE TABLE records (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    crc INTEGER NOT NULL,
    UNIQUE (kind, key)
) STRICT
"""
_PUT = (
    "INSERT INTO records VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, crc = excluded.crc"
)
_GET = "SELECT kind, key, value FROM records WHERE kind = ?"
_ALL = "SELECT kind, key, value, crc FROM records"
_DELETE = "DELETE FROM records WHERE kind = ? AND key = ?"

# What SQLite says of a file that is damaged, or no database; anything else, a full disk say, is no reason to lose it.
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_Place = tuple[str, str]


class StoreUnusable(Exception):
    """The directory cannot be used as it is; the message says why, and what to do."""


class SQLiteJournal:
    """Keep records in a directory. Thread-safe.

    Args:
        directory: made with mode 0700 where it is not there.

    Raises:
        StoreUnusable: it is somebody else's or readable by others, another process uses it, there is no room, or what
            is in it is corrupt, of another keyturn, or of something else.
    """

    def __init__(self, directory: Path) -> None:
        self._changed = threading.Condition()
        self._pending: dict[_Place, bytes | None] = {}
        self._taken_in = self._durable = 0
        self._ended = False
        # Held while a transaction is written: whoever comes meanwhile finds its changes written by the next one.
        self._writing = threading.Lock()
        with contextlib.ExitStack() as opened:
            _private(directory)
            opened.callback(os.close, _locked(directory))
            self._database = opened.enter_context(contextlib.closing(_opened(directory / _FILE)))
            self._opened = opened.pop_all()
        self._thread = threading.Thread(target=self._tick, name="local-journal", daemon=True)
        self._thread.start()

    def write(self, *changes: Change) -> None:
        """Take changes in, all of them in one transaction."""
        with self._changed:
            self._pending.update({(kind, key): value for kind, key, value in changes})
            self._taken_in += 1

    def flush(self) -> None:
        """Return once all that was written before is durable.

        Raises:
            OSError: the disk is full, say. The changes stay, and are tried again with the next ones.
        """
        wanted = self._taken_in
        if self._durable >= wanted:
            return
        with self._writing:
            # Who waited here for another's transaction may find its own changes in it.
            if self._durable < wanted:
                self._commit()

    def records(self, *kinds: str) -> Iterable[Change]:
        """All records of these kinds."""
        with self._writing:
            return [Change(*row) for asked in kinds for row in self._database.execute(_GET, (asked,))]

    def close(self) -> None:
        """Write what is left, and let another process have the directory."""
        self._ended = True
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        with contextlib.suppress(OSError):
            self.flush()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _commit(self) -> None:
        with self._changed:
            batch, self._pending = self._pending, {}
            taken_in = self._taken_in
        try:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany(_DELETE, [place for place, value in batch.items() if value is None])
                self._database.executemany(
                    _PUT, [(*place, value, _crc(*place, value)) for place, value in batch.items() if value is not None]
                )
        except sqlite3.Error as exc:
            with self._changed:
                self._pending = {**batch, **self._pending}
            raise OSError(f"the journal could not be written: {exc}") from exc
        self._durable = taken_in

    def _tick(self) -> None:
        while not self._ended:
            with self._changed:
                self._changed.wait_for(lambda: self._ended, _TICK)
            # Whoever waits for a change is told of a failure; nobody waits here.
            with contextlib.suppress(OSError):
                self.flush()


def _private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = directory.stat()
    except OSError as exc:
        raise StoreUnusable(f"{directory} cannot be used: {exc.strerror}") from exc
    if held.st_uid != os.getuid():
        raise StoreUnusable(f"{directory} is another user's; choose another directory")
    if held.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreUnusable(f"{directory} is open to others, and values of secrets are kept in it: chmod 700 it")


def _locked(directory: Path) -> int:
    try:
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise StoreUnusable(f"{directory / _LOCK} cannot be opened: {exc.strerror}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(lock)
        raise StoreUnusable(f"{directory} is in use by another local cloud; end it, or choose another") from exc
    return lock


def _opened(path: Path) -> sqlite3.Connection:
    try:
        # SQLite gives its log the permissions of the file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as exc:
        raise StoreUnusable(f"{path} cannot be opened: {exc.strerror}") from exc
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _check(database, path)
        # Nobody else reads it: no shared memory is needed.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA secure_delete = ON")
    except (sqlite3.Error, UnicodeError) as exc:
        database.close()
        # What cannot be decoded has no code.
        if getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in _DAMAGED:
            raise _corrupt(path, str(exc)) from exc
        raise StoreUnusable(f"{path} cannot be used: {exc}; is there room, and may it be written?") from exc
    except StoreUnusable:
        database.close()
        raise
    return database


def _check(database: sqlite3.Connection, path: Path) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (schema,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != _APPLICATION:
        if application or schema or tables:
            raise StoreUnusable(f"{path} is something else's; choose another directory")
        with database:
            # In one transaction, so that a death in between leaves an empty file and not half of one.
            database.execute("BEGIN IMMEDIATE")
            database.execute(_TABLE)
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {SCHEMA}")
    elif schema != SCHEMA:
        other = "a newer" if schema > SCHEMA else "an older"
        raise StoreUnusable(
            f"{path} was written by {other} keyturn (schema {schema}, this one knows {SCHEMA}); "
            "use that one, or another directory"
        )
    (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise _corrupt(path, found)
    # SQLite's own check sees its pages, and not what is in them.
    for kind, key, value, crc in database.execute(_ALL):
        if not isinstance(value, bytes) or _crc(kind, key, value) != crc:
            raise _corrupt(path, f"the {kind} {key} is not what was written")


def _crc(kind: str, key: str, value: bytes) -> int:
    return crc32(value, crc32(f"{kind} {key}".encode()))


def _corrupt(path: Path, why: str) -> StoreUnusable:
    # What SQLite says may have several lines.
    return StoreUnusable(f"{path} is corrupt ({' '.join(why.split())}); move it away to begin anew")
