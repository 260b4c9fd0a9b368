"""A private Redis: nothing kept on disk, a password for its default user, and users by ACL."""

import contextlib
import shutil
import signal
import socket
from itertools import count

import redis

from notifier.demo.rotation.cluster import servant
from tests.servers.running import Running, ServerFailed, find, free_port, private_directory


ADMIN_PASSWORD = "the-admin's"

_names = count(1)


def binary():
    """Where redis-server is, or None where this machine lacks it."""
    return find("redis-server", "/usr/local/bin", "/opt/redis/bin")


class RedisServer:
    """A running server on loopback; `admin` is a client of its default user, who may do everything."""

    host = "127.0.0.1"

    def __init__(self):
        popen, uid = servant("redis")
        self._directory = private_directory(uid)
        try:
            self._start(popen)
            self.admin = redis.Redis(self.host, self.port, password=ADMIN_PASSWORD)
        except BaseException:
            self.stop()
            raise

    def role(self, password):
        """Make a new user, and return its name."""
        name = f"user_{next(_names)}"
        self.set_user(name, password)
        return name

    def set_password(self, name, password):
        """Give a user another password; sessions that it has open go on."""
        self.set_user(name, password)

    def set_user(self, name, *passwords):
        """Make a user, or give it other passwords: exactly these, any of which lets it in."""
        given = [f"+{password}" for password in passwords]
        self.admin.acl_setuser(
            name, enabled=True, reset_passwords=True, passwords=given, categories=["+@all"], keys=["*"]
        )

    def lock(self, name):
        """Let a user log in no more; connections that it has open go on."""
        self.admin.acl_setuser(name, enabled=False)

    def sessions(self, *names):
        """What the server says of every open connection of these users."""
        return [client for client in self.admin.client_list() if client["user"] in names]

    def session_ids(self, *names):
        """What tells the open connections of these users from all others that ever were."""
        return {client["id"] for client in self.sessions(*names)}

    def stop(self):
        with contextlib.suppress(AttributeError):
            self.admin.close()
        with contextlib.suppress(AttributeError):
            self._running.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, popen):
        settings = self._directory / "redis.conf"
        for tries_left in (2, 1, 0):  # another process may have taken the port in between
            self.port = free_port()
            # In a file, since arguments show in the list of processes.
            settings.write_text(
                f'bind 127.0.0.1\nport {self.port}\nsave ""\nappendonly no\nrequirepass "{ADMIN_PASSWORD}"\n'
            )
            try:
                self._running = Running(
                    [binary(), str(settings)], self._directory, ready=self._is_ready, stop_by=signal.SIGTERM, **popen
                )
            except ServerFailed:
                if not tries_left:
                    raise
            else:
                return

    def _is_ready(self):
        try:
            with socket.create_connection((self.host, self.port), timeout=1):
                return True
        except OSError:
            return False
