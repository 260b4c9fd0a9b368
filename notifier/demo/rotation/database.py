"""A PostgreSQL of the demo's own: a new cluster in a private directory, on a socket and a loopback port."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Self

from psycopg import Connection, connect, sql
from psycopg.errors import OperationalError

from . import cluster
from .cluster import NoDatabase


#: Seconds for a start, which is a tenth of that as a rule, and for an end.
_START: Final = 30.0
_END: Final = 5.0


class Database:
    """A running server, from `with` to its end. Its files are private, and gone afterwards."""

    def __init__(self) -> None:
        self._programs = cluster.programs()
        self._as_whom, uid = cluster.servant()
        self._directory = Path(tempfile.mkdtemp(prefix="keyturn-db-"))
        os.chown(self._directory, uid, -1)
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        try:
            self._data = cluster.make(self._directory, self._password)
            for tries_left in (2, 1, 0):  # somebody may take the port in between
                try:
                    self._start()
                    break
                except NoDatabase:
                    if not tries_left:
                        raise
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(_END)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(_END)
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def administrator(self) -> str:
        """The URL of the superuser."""
        return self.url(cluster.ADMINISTRATOR, self._password)

    def url(self, user: str, password: str) -> str:
        """The URL of a user."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self._port}/postgres"

    @property
    def place(self) -> str:
        """Where it is, for libpq; without user and password."""
        return f"postgresql://127.0.0.1:{self._port}/postgres"

    def add_role(self, name: str, password: str | None) -> None:
        """Make a role; without a password nobody can log in as it."""
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(password))
        with self._session() as session:
            session.execute(statement)

    def accepts(self, url: str) -> bool:
        """Whether somebody is let in."""
        try:
            with connect(url, connect_timeout=5):
                return True
        except OperationalError:
            return False

    def _session(self) -> "Connection[Any]":
        return connect(self.administrator, autocommit=True, connect_timeout=5)

    def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        settings = {"port": self._port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        command = [self._programs.postgres, "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # likewise
                command, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_whom
            )
        deadline = time.monotonic() + _START
        while not cluster.is_ready(self._data):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NoDatabase(f"PostgreSQL did not start: {cluster.end_of((self._directory / 'log').read_bytes())}")
            time.sleep(0.02)
