"""A file system in memory: the parts of `os`, `pathlib`, `fcntl` and `mmap` that the package uses.

Each instance has one (`Files`); which is the running process's. Descriptors and record locks are the process's, and
the kernel takes them back when it dies: a record lock also when its process closes *any* descriptor of the file.
"""

import errno
import os as real_os
import stat
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any, Self

from .scheduler import SCHEDULER


class Inode:
    """One file, directory or socket."""

    __slots__ = ("changed", "data", "links", "listener", "locked_by", "mode", "number", "shared_lock")

    def __init__(self, number: int, mode: int) -> None:
        self.number = number
        self.mode = mode
        self.data = bytearray()
        self.links = 0
        self.changed = int(SCHEDULER.now * 1e9)
        self.locked_by: Any = None  # the process with the record lock
        self.shared_lock: Any = None  # the open file that `flock` locked
        self.listener: Any = None


class Files:
    """The files of one instance, by path; empty at its start."""

    def __init__(self) -> None:
        self.found: dict[str, Inode] = {"/run": Inode(1, stat.S_IFDIR | 0o700)}
        self._last = 1

    def make(self, path: str, mode: int) -> Inode:
        if path in self.found:
            raise _error(errno.EEXIST, path)
        if path.rpartition("/")[0] not in self.found:
            raise _error(errno.ENOENT, path)
        self._last += 1
        inode = self.found[path] = Inode(self._last, mode)
        inode.links = 1
        return inode

    def get(self, path: str) -> Inode:
        try:
            return self.found[path]
        except KeyError:
            raise _error(errno.ENOENT, path) from None

    def remove(self, path: str) -> None:
        self.get(path).links -= 1
        del self.found[path]

    def names(self, directory: str) -> list[str]:
        self.get(directory)
        start = directory + "/"
        return [path[len(start) :] for path in self.found if path.startswith(start)]


class OpenFile:
    """What a descriptor leads to; shared by the descriptors that a fork copies."""

    __slots__ = ("inode", "references")

    def __init__(self, inode: Inode) -> None:
        self.inode = inode
        self.references = 1

    def released(self) -> None:
        self.references -= 1
        if self.references == 0 and self.inode.shared_lock is self:
            self.inode.shared_lock = None


def _error(number: int, path: str = "") -> OSError:
    return OSError(number, real_os.strerror(number), path)  # of the subclass that belongs to the number


def _files() -> Files:
    SCHEDULER.step()
    return SCHEDULER.process.files


class Path:
    """`pathlib.Path`."""

    __slots__ = ("text",)

    def __init__(self, text: Any) -> None:
        self.text = str(text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Path({self.text!r})"

    def __fspath__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> "Path":
        return Path(f"{self.text}/{name}")

    @property
    def name(self) -> str:
        return self.text.rpartition("/")[2]

    def absolute(self) -> "Path":
        return self

    def with_name(self, name: str) -> "Path":
        return Path(f"{self.text.rpartition('/')[0]}/{name}")

    def with_suffix(self, suffix: str) -> "Path":
        return Path(self.text.rpartition(".")[0] + suffix)

    def exists(self) -> bool:
        return self.text in _files().found

    def is_dir(self) -> bool:
        return self.exists()

    def stat(self) -> Any:
        return _stat(_files().get(self.text))

    lstat = stat

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        try:
            _files().make(self.text, stat.S_IFDIR | mode)
        except FileExistsError:
            if not exist_ok:
                raise

    def chmod(self, mode: int) -> None:
        inode = _files().get(self.text)
        inode.mode = stat.S_IFMT(inode.mode) | mode

    def rmdir(self) -> None:
        if _files().names(self.text):
            raise _error(errno.ENOTEMPTY, self.text)
        SCHEDULER.process.files.remove(self.text)

    def unlink(self, missing_ok: bool = False) -> None:
        files = _files()
        if self.text in files.found:
            files.remove(self.text)
        elif not missing_ok:
            raise _error(errno.ENOENT, self.text)

    def replace(self, target: "Path") -> None:
        files = _files()
        inode = files.get(self.text)
        if target.text in files.found:
            files.remove(target.text)
        del files.found[self.text]
        files.found[target.text] = inode

    rename = replace

    def read_bytes(self) -> bytes:
        return bytes(_files().get(self.text).data)

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        _files().get(self.text).data = bytearray(text.encode(encoding))

    def touch(self, mode: int = 0o666) -> None:
        files = _files()
        if self.text not in files.found:
            files.make(self.text, stat.S_IFREG | mode)
        files.get(self.text).changed = int(SCHEDULER.now * 1e9)

    def symlink_to(self, target: object) -> None:
        _files().make(self.text, stat.S_IFLNK | 0o777).data = bytearray(str(target).encode())

    def readlink(self) -> "Path":
        return Path(_files().get(self.text).data.decode())

    def iterdir(self) -> list["Path"]:
        return [self / name for name in _files().names(self.text)]

    def glob(self, pattern: str) -> list["Path"]:
        return [self / name for name in _files().names(self.text) if fnmatchcase(name, pattern)]


def _stat(inode: Inode) -> Any:
    return SimpleNamespace(
        st_dev=1, st_ino=inode.number, st_size=len(inode.data), st_nlink=inode.links, st_mode=inode.mode, st_uid=1000,
        st_mtime_ns=inode.changed,
    )  # fmt: skip


def _open(path: Any, flags: int, mode: int = 0o777) -> int:
    files = _files()
    inode = files.found.get(str(path))
    if inode is None:
        if not flags & real_os.O_CREAT:
            raise _error(errno.ENOENT, str(path))
        inode = files.make(str(path), stat.S_IFREG | mode)
    elif flags & real_os.O_EXCL:
        raise _error(errno.EEXIST, str(path))
    if flags & real_os.O_TRUNC:
        inode.data = bytearray()
    process = SCHEDULER.process
    process.last_descriptor += 1
    process.descriptors[process.last_descriptor] = OpenFile(inode)
    return process.last_descriptor


def _close(descriptor: int) -> None:
    process = SCHEDULER.process
    opened = process.descriptors.pop(descriptor, None)
    if opened is None:
        raise _error(errno.EBADF)
    if opened.inode.locked_by is process:
        opened.inode.locked_by = None
    opened.released()
    SCHEDULER.step()


def _opened(descriptor: int) -> OpenFile:
    try:
        return SCHEDULER.process.descriptors[descriptor]
    except KeyError:
        raise _error(errno.EBADF) from None


def _link(source: Any, target: Any) -> None:
    files = _files()
    inode = files.get(str(source))
    if str(target) in files.found:
        raise _error(errno.EEXIST, str(target))
    files.found[str(target)] = inode
    inode.links += 1


def _utime(path: Any, *, ns: tuple[int, int]) -> None:
    _files().get(str(path)).changed = ns[1]


def _lockf(descriptor: int, how: int) -> None:
    SCHEDULER.step()
    inode, process = _opened(descriptor).inode, SCHEDULER.process
    if how & fcntl.LOCK_UN:
        if inode.locked_by is process:
            inode.locked_by = None
        return
    if inode.locked_by not in (None, process):
        raise _error(errno.EAGAIN)
    inode.locked_by = process


def _flock(descriptor: int, how: int) -> None:
    SCHEDULER.step()
    opened = _opened(descriptor)
    if how & fcntl.LOCK_UN:
        opened.inode.shared_lock = None
        return
    if opened.inode.shared_lock not in (None, opened):
        raise _error(errno.EAGAIN)
    opened.inode.shared_lock = opened


class _Writing:
    """What `open(descriptor, "wb")` gives."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def write(self, content: bytes) -> None:
        SCHEDULER.step()
        _opened(self._descriptor).inode.data += content

    def __exit__(self, *_: object) -> None:
        _close(self._descriptor)


def open_file(descriptor: int, mode: str, *, closefd: bool = True) -> _Writing:
    """The builtin `open`, of a descriptor and for writing only."""
    assert (mode, closefd) == ("wb", True)
    return _Writing(descriptor)


def _random(count: int) -> bytes:
    return bytes(int(SCHEDULER.random() * 256) for _ in range(count))


fcntl = SimpleNamespace(lockf=_lockf, flock=_flock, LOCK_EX=2, LOCK_NB=4, LOCK_UN=8)
mmap = SimpleNamespace(mmap=lambda descriptor, size: _opened(descriptor).inode.data)
pathlib = SimpleNamespace(Path=Path)

#: Constants and what touches nothing are the real ones; whatever is not here cannot be used.
_SAME = [
    "O_RDWR", "O_WRONLY", "O_RDONLY", "O_CREAT", "O_EXCL", "O_TRUNC", "O_CLOEXEC", "O_NOFOLLOW",
    "O_DIRECTORY", "R_OK", "W_OK", "X_OK", "fspath", "fsencode", "PathLike",
]  # fmt: skip

os = SimpleNamespace(
    **{name: getattr(real_os, name) for name in _SAME},
    environ={},
    open=_open,
    close=_close,
    fstat=lambda descriptor: _stat(_opened(descriptor).inode),
    listdir=lambda path: _files().names(str(path)),
    link=_link,
    utime=_utime,
    getppid=lambda: 1,
    urandom=_random,
    access=lambda path, how: str(path) in _files().found,
    geteuid=lambda: 1000,
    getpid=lambda: SCHEDULER.process.pid,
    register_at_fork=lambda **hooks: None,  # `machines` calls what belongs to the process that forks
)
