"""PostgreSQL's own programs: where they are, as whom they run, and a new cluster made by them."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple


#: The superuser of a new cluster.
ADMINISTRATOR: Final = "postgres"

_DEBIAN: Final = "/usr/lib/postgresql"
#: Seconds for a new cluster, which is a fiftieth of that as a rule.
_PATIENCE: Final = 60.0


class NoDatabase(Exception):
    """There is no PostgreSQL here, or it did not start; the text says which, and what to do."""


class Programs(NamedTuple):
    """Where the programs are."""

    initdb: str
    postgres: str


def programs() -> Programs:
    """Find them, the newest version first.

    Raises:
        NoDatabase: they are not installed.
    """
    newest_first = sorted(Path(_DEBIAN).glob("*/bin"), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, newest_first)])
    initdb, postgres = (shutil.which(name, path=path) for name in Programs._fields)
    if initdb is None or postgres is None:
        raise NoDatabase("this demo needs PostgreSQL (initdb and postgres); on Debian: apt-get install postgresql")
    return Programs(initdb, postgres)


def servant(name: str = "postgres") -> tuple[Mapping[str, Any], int]:
    """As whom a server runs that refuses to be root (arguments of `Popen`), and the uid that owns its files."""
    if os.getuid() != 0:
        return {}, os.getuid()
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get(name) or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}, entry.pw_uid


def make(directory: Path, password: str, *options: str) -> Path:
    """Make a cluster whose passwords are checked by SCRAM, with nothing synced to disk; returns where.

    Args:
        directory: private, and owned by the servant.
        password: the superuser's.
        options: further ones of `initdb`.

    Raises:
        NoDatabase: it was not made.
    """
    as_whom, uid = servant()
    first, data = directory / "password", directory / "data"
    first.touch(mode=0o600)
    first.write_text(password)
    os.chown(first, uid, -1)
    command = [programs().initdb, "-D", str(data), f"--username={ADMINISTRATOR}", f"--pwfile={first}", *options]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    made = subprocess.run(  # noqa: S603  # a program of PostgreSQL's, fixed arguments, no shell
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
        **as_whom,
    )
    first.unlink()
    if made.returncode:
        raise NoDatabase(f"initdb ended with status {made.returncode}: {end_of(made.stderr)}")
    return data


def is_ready(data: Path) -> bool:
    """Whether the server of a cluster takes connections."""
    # The last line of this file is the server's own word for its state.
    try:
        return (data / "postmaster.pid").read_text().split()[-1:] == ["ready"]
    except OSError:
        return False


def end_of(printed: bytes) -> str:
    """The end of what a program printed, in one line."""
    return " ".join(printed.decode(errors="replace").split())[-300:]
