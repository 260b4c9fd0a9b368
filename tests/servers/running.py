"""A server of somebody else's on loopback, for as long as the tests run."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


PATIENCE = 30.0


class ServerFailed(Exception):
    """The server did not come up; its own words follow."""


def find(program, *places):
    """Where `program` is: on the PATH or under one of `places`, patterns that may have a version in them."""
    found = shutil.which(program)
    under = (path for place in places for path in sorted(Path("/").glob(place.lstrip("/") + "/" + program)))
    return found or next((str(path) for path in under), None)


def free_port():
    """A port of loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def private_directory(uid):
    """A 0700 directory with a short path (sockets have room for 107 bytes), which is the server's."""
    directory = Path(tempfile.mkdtemp(prefix="keyturn-tests-"))
    os.chown(directory, uid, -1)
    return directory


class Running:
    """A process that serves, its output in a file of its own. Stopped by `stop`, or by the end of this process."""

    def __init__(self, command, directory, *, ready, stop_by, user=None, group=None, **_):
        self._said = directory / "output"
        keeper = [sys.executable, "-S", str(Path(__file__).with_name("keeper.py")), str(int(stop_by)), str(directory)]
        as_whom = ["" if user is None else str(user), "" if group is None else str(group)]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [*keeper, *as_whom, *command], stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT
            )
        try:
            self._wait(ready)
        except BaseException:
            self.stop()
            raise

    def _wait(self, ready):
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(self._said.read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
