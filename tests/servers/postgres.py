"""A private PostgreSQL: a cluster in a temporary directory, passwords checked by SCRAM, nothing synced to disk."""

import contextlib
import fcntl
import shutil
import signal
import subprocess
import tarfile
from functools import partial
from itertools import count

import psycopg
from psycopg import sql

from notifier.demo.rotation import cluster
from notifier.demo.rotation.cluster import servant
from tests.servers.running import PATIENCE, Running, ServerFailed, free_port, private_directory


ADMIN, ADMIN_PASSWORD = cluster.ADMINISTRATOR, "the-admin's"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "shared_buffers": "16MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "64MB",
}

_names = count(1)


def binaries():
    """(initdb, postgres), or None where this machine lacks them."""
    try:
        return cluster.programs()
    except cluster.NoDatabase:
        return None


class Postgres:
    """A running server; `execute` speaks as its superuser.

    `host` and `port` are its loopback address, `sockets` the directory of its Unix socket. Roles belong to the whole
    server, so tests take theirs from `role`, which makes a new one at each call.
    """

    host = "127.0.0.1"

    def __init__(self, template):
        popen, uid = servant()
        self._directory = private_directory(uid)
        try:
            self._restore(template, popen)
            self._start(popen)
            self._admin = psycopg.connect(self.dsn(ADMIN, ADMIN_PASSWORD), autocommit=True)
        except BaseException:
            self.stop()
            raise

    def dsn(self, user, password, *, database="postgres", scheme="postgresql"):
        """The address, as a URL that psycopg, asyncpg and (with its own scheme) SQLAlchemy take."""
        return f"{scheme}://{user}:{password}@{self.host}:{self.port}/{database}"

    def execute(self, statement, *values):
        """Run one statement as the superuser and return its rows; identifiers and values go through psycopg."""
        cursor = self._admin.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []

    def role(self, password, *, name=None):
        """Make a new role that may log in, and return its name."""
        name = name or f"user_{next(_names)}"
        self.set_password(name, password, verb="CREATE")
        return name

    def set_password(self, name, password, *, verb="ALTER"):
        """Give a role another password."""
        statement = f"{verb} ROLE {{}} LOGIN PASSWORD {{}}"
        self._admin.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Literal(password)))

    def lock(self, name):
        """Let a role log in no more; sessions that it has open go on."""
        self._admin.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(name)))

    def sessions(self, *names):
        """(pid, user, when it connected) of every open session of these roles."""
        query = "SELECT pid, usename, backend_start FROM pg_stat_activity WHERE usename = ANY(%s)"
        return self.execute(query, list(names))

    def session_ids(self, *names):
        """What tells the open sessions of these roles from all others that ever were."""
        return {(pid, began) for pid, _, began in self.sessions(*names)}

    def stop(self):
        with contextlib.suppress(AttributeError):
            self._admin.close()
        with contextlib.suppress(AttributeError):
            self._running.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _restore(self, template, popen):
        self.data, self.sockets = self._directory / "data", self._directory
        # tar reads the template through a descriptor of ours: the server's user cannot reach pytest's directories.
        with template.open("rb") as packed:
            subprocess.run(["tar", "-x"], stdin=packed, check=True, cwd=self._directory, timeout=PATIENCE, **popen)

    def _start(self, popen):
        for tries_left in (2, 1, 0):  # another process may have taken the port in between
            self.port = free_port()
            settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.sockets)}
            command = [cluster.programs().postgres, "-D", str(self.data)]
            for name, value in settings.items():
                command += ["-c", f"{name}={value}"]
            try:
                self._running = Running(
                    command,
                    self._directory,
                    ready=partial(cluster.is_ready, self.data),
                    stop_by=signal.SIGQUIT,
                    **popen,
                )
            except ServerFailed:
                if not tries_left:
                    raise
            else:
                return


def template(shared):
    """A new cluster, packed: made once for all workers of a test run, since initdb is the slow part.

    Args:
        shared: a directory that all workers of this run use.
    """
    packed = shared / "postgres-cluster.tar"
    with (shared / "postgres-cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not packed.exists():
            _make_template(packed)
    return packed


def _make_template(packed):
    directory = private_directory(servant()[1])
    try:
        data = cluster.make(directory, ADMIN_PASSWORD, "--wal-segsize=1")
        unfinished = packed.with_suffix(".part")
        with tarfile.open(unfinished, "w") as archive:
            archive.add(data, "data")
        unfinished.rename(packed)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
