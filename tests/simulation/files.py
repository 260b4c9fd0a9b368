"""A file system in memory, and the part of `pathlib` that the package uses.

Each instance has one (`Files`); which is the running process's. `kernel.py` has descriptors and locks.
"""

import errno
import os as real_os
import stat
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any

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
            raise error(errno.EEXIST, path)
        if path.rpartition("/")[0] not in self.found:
            raise error(errno.ENOENT, path)
        self._last += 1
        inode = self.found[path] = Inode(self._last, mode)
        inode.links = 1
        return inode

    def get(self, path: str) -> Inode:
        try:
            return self.found[path]
        except KeyError:
            raise error(errno.ENOENT, path) from None

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


def error(number: int, path: str = "") -> OSError:
    return OSError(number, real_os.strerror(number), path)  # of the subclass that belongs to the number


def files_here() -> Files:
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
        return self.text in files_here().found

    def is_dir(self) -> bool:
        return self.exists()

    def stat(self) -> Any:
        return status(files_here().get(self.text))

    lstat = stat

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        try:
            files_here().make(self.text, stat.S_IFDIR | mode)
        except FileExistsError:
            if not exist_ok:
                raise

    def chmod(self, mode: int) -> None:
        inode = files_here().get(self.text)
        inode.mode = stat.S_IFMT(inode.mode) | mode

    def rmdir(self) -> None:
        if files_here().names(self.text):
            raise error(errno.ENOTEMPTY, self.text)
        SCHEDULER.process.files.remove(self.text)

    def unlink(self, missing_ok: bool = False) -> None:
        files = files_here()
        if self.text in files.found:
            files.remove(self.text)
        elif not missing_ok:
            raise error(errno.ENOENT, self.text)

    def replace(self, target: "Path") -> None:
        files = files_here()
        inode = files.get(self.text)
        if target.text in files.found:
            files.remove(target.text)
        del files.found[self.text]
        files.found[target.text] = inode

    rename = replace

    def read_bytes(self) -> bytes:
        return bytes(files_here().get(self.text).data)

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        files_here().get(self.text).data = bytearray(text.encode(encoding))

    def touch(self, mode: int = 0o666) -> None:
        files = files_here()
        if self.text not in files.found:
            files.make(self.text, stat.S_IFREG | mode)
        files.get(self.text).changed = int(SCHEDULER.now * 1e9)

    def symlink_to(self, target: object) -> None:
        files_here().make(self.text, stat.S_IFLNK | 0o777).data = bytearray(str(target).encode())

    def readlink(self) -> "Path":
        return Path(files_here().get(self.text).data.decode())

    def iterdir(self) -> list["Path"]:
        return [self / name for name in files_here().names(self.text)]

    def glob(self, pattern: str) -> list["Path"]:
        return [self / name for name in files_here().names(self.text) if fnmatchcase(name, pattern)]


def status(inode: Inode) -> Any:
    return SimpleNamespace(
        st_dev=1, st_ino=inode.number, st_size=len(inode.data), st_nlink=inode.links, st_mode=inode.mode, st_uid=1000,
        st_mtime_ns=inode.changed,
    )  # fmt: skip


pathlib = SimpleNamespace(Path=Path)
