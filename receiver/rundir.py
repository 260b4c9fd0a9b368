"""The private directory in which the workers of one container meet.

It holds names and numbers only, but whoever could write there could make workers fetch, so it is 0700 and its owner,
mode and kind are checked before anything in it is believed. Processes that share user, pid namespace and key share
the directory; two containers that mount one volume do not.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .errors import ConfigurationError


PARENT_VARIABLE: Final = "KEYTURN_RUN_DIR"

#: sizeof(sockaddr_un.sun_path) less its final NUL: 108 bytes on Linux, 104 on macOS and the BSDs [unix(7)].
_SOCKET_PATH: Final = 107 if sys.platform == "linux" else 103

#: The last member to leave may remove the directory under one that is just making it.
_TRIES: Final = 20

#: Every process's open descriptors by number: a short spelling of a long directory.
_DESCRIPTORS: Final = Path("/proc/self/fd")


class RunDir:
    """One private directory; made by `open_run_dir`, and made again by `ensure` after the last member removed it.

    Args:
        path: the directory; its parent exists.
    """

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"RunDir({str(self.path)!r})"

    def ensure(self) -> None:
        """Make the directory where it is missing, and check that it is private and ours.

        Raises:
            ConfigurationError: something else stands there, or others can write to it.
            OSError: it cannot be made.
        """
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            # A umask may have taken away the owner's own bits.
            with suppress(FileNotFoundError):
                self.path.chmod(0o700)
        self._check()

    def _check(self) -> None:
        found = self.path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigurationError(f"{self.path} is not a directory")
        if found.st_uid != os.geteuid():
            raise ConfigurationError(f"{self.path} belongs to another user")
        if found.st_mode & 0o077:
            raise ConfigurationError(f"{self.path} is open to other users (wanted mode 0700)")
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            self.path.lstat()  # says that it is gone, where the last member has removed it just now
            raise ConfigurationError(f"{self.path} cannot be written to")

    @contextmanager
    def address(self, name: str) -> Iterator[str]:
        """Give an address for the Unix socket `name` in this directory, however long the directory's path is.

        Raises:
            ConfigurationError: the path is too long, and this system has no short spelling for it.
            OSError: the directory is gone.
        """
        direct = str(self.path / name)
        if len(os.fsencode(direct)) <= _SOCKET_PATH:
            yield direct
            return
        if not _DESCRIPTORS.is_dir():
            raise ConfigurationError(
                f"{self.path} is too long for a Unix socket ({_SOCKET_PATH} bytes); set {PARENT_VARIABLE} to a "
                "shorter directory"
            )
        opened = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield str(_DESCRIPTORS / str(opened) / name)
        finally:
            os.close(opened)


def open_run_dir(
    key: str, *, parent: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
) -> RunDir:
    """Open the directory that every process with this user, pid namespace and `key` shares.

    A parent that is named, by the argument or by KEYTURN_RUN_DIR, is made where it is missing, and is the only one
    tried. Otherwise the first that serves of XDG_RUNTIME_DIR, /dev/shm and the system's temporary directory.

    Args:
        key: what tells this service from others of the same user, such as its project and name.
        parent: the directory to make the private one in.
        environ: the environment; the process's own where it is None.

    Raises:
        ConfigurationError: none can be used; the message names what was tried.
    """
    environ = os.environ if environ is None else environ
    named = parent if parent is not None else environ.get(PARENT_VARIABLE) or None
    name = _name(key)
    refusals = []
    for candidate in [Path(named)] if named is not None else _usual_parents(environ):
        run_dir = RunDir(candidate.absolute() / name)
        try:
            if named is not None:
                candidate.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(run_dir)
            with run_dir.address(f"w-{os.urandom(8).hex()}.sock"):
                return run_dir
        except (OSError, ConfigurationError) as exc:
            refusals.append(f"{candidate} ({exc.strerror if isinstance(exc, OSError) else exc})")
    raise ConfigurationError(
        f"the workers of this container have nowhere to meet; tried {', '.join(refusals)}. Set {PARENT_VARIABLE} to a "
        "directory that this user can write to"
    )


def _make(run_dir: RunDir) -> None:
    """Make the directory, also while the last member of others is removing it."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            run_dir.ensure()
            return
    run_dir.ensure()


def _usual_parents(environ: Mapping[str, str]) -> Iterator[Path]:
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime:
        yield Path(runtime)
    yield Path("/dev/shm")  # noqa: S108  # a private directory inside it, whose owner and mode are checked
    yield Path(tempfile.gettempdir())


def _name(key: str) -> str:
    """A short name, so that socket paths stay short, that says nothing of the service to other users."""
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # not Linux, or /proc is not mounted
        namespace = 0
    import hashlib

    digest = hashlib.sha256(f"{os.geteuid()}\n{namespace}\n{key}".encode()).hexdigest()
    return f"keyturn-{digest[:16]}"
