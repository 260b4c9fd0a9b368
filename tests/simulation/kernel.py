"""The parts of `os`, `fcntl`, `mmap` and `signal` that the package uses, and the builtin `open`, on files in memory.

Descriptors and record locks are the process's, and the kernel takes them back when it dies: a record lock also when
its process closes *any* descriptor of the file.
"""

import errno
import os as real_os
import signal as real_signal
import stat
from itertools import count
from types import SimpleNamespace
from typing import Any, Self

from .files import OpenFile, error, files_here, status
from .scheduler import SCHEDULER


#: No number is given twice, so that what is left of one process cannot touch another's files.
_numbers = count(3).__next__


def _open(path: Any, flags: int, mode: int = 0o777) -> int:
    files = files_here()
    inode = files.found.get(str(path))
    if inode is None:
        if not flags & real_os.O_CREAT:
            raise error(errno.ENOENT, str(path))
        inode = files.make(str(path), stat.S_IFREG | mode)
    elif flags & real_os.O_EXCL:
        raise error(errno.EEXIST, str(path))
    if flags & real_os.O_TRUNC:
        inode.data = bytearray()
    descriptor = _numbers()
    SCHEDULER.process.descriptors[descriptor] = OpenFile(inode)
    return descriptor


def _close(descriptor: int) -> None:
    process = SCHEDULER.process
    opened = process.descriptors.pop(descriptor, None)
    if opened is None:
        raise error(errno.EBADF)
    if opened.inode.locked_by is process:
        opened.inode.locked_by = None
    opened.released()
    SCHEDULER.step()


def _opened(descriptor: int) -> OpenFile:
    try:
        return SCHEDULER.process.descriptors[descriptor]
    except KeyError:
        raise error(errno.EBADF) from None


def _link(source: Any, target: Any) -> None:
    files = files_here()
    inode = files.get(str(source))
    if str(target) in files.found:
        raise error(errno.EEXIST, str(target))
    files.found[str(target)] = inode
    inode.links += 1


def _utime(path: Any, *, ns: tuple[int, int]) -> None:
    files_here().get(str(path)).changed = ns[1]


def _lockf(descriptor: int, how: int) -> None:
    process = SCHEDULER.process
    if SCHEDULER.over or (how & fcntl.LOCK_UN and descriptor not in process.descriptors):
        return  # Python collects what a dead process left
    SCHEDULER.step()
    inode = _opened(descriptor).inode
    if how & fcntl.LOCK_UN:
        if inode.locked_by is process:
            inode.locked_by = None
        return
    if inode.locked_by not in (None, process):
        raise error(errno.EAGAIN)
    inode.locked_by = process


def _flock(descriptor: int, how: int) -> None:
    SCHEDULER.step()
    opened = _opened(descriptor)
    if how & fcntl.LOCK_UN:
        opened.inode.shared_lock = None
        return
    if opened.inode.shared_lock not in (None, opened):
        raise error(errno.EAGAIN)
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
    fstat=lambda descriptor: status(_opened(descriptor).inode),
    listdir=lambda path: files_here().names(str(path)),
    link=_link,
    utime=_utime,
    getppid=lambda: SCHEDULER.process.parent,
    urandom=_random,
    access=lambda path, how: str(path) in files_here().found,
    geteuid=lambda: 1000,
    getpid=lambda: SCHEDULER.process.pid,
    register_at_fork=lambda **hooks: None,  # `machines` calls what belongs to the process that forks
)


def _handle(number: int, handler: Any) -> None:
    SCHEDULER.process.handlers[number] = handler


def _handler(number: int) -> Any:
    return SCHEDULER.process.handlers.get(number, lambda number, frame: None)


signal = SimpleNamespace(
    signal=_handle,
    getsignal=_handler,
    siginterrupt=lambda number, flag: None,
    SIGTERM=real_signal.SIGTERM,
    SIGQUIT=real_signal.SIGQUIT,
    SIGINT=real_signal.SIGINT,
)
