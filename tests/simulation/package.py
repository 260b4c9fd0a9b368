"""Load the package a second time, under another name and with another standard library beneath it.

The source files are the real ones. What differs is what `import threading`, `time`, `os`, `socket` and so on give
them, and the builtin `open`: threads, clock, files and sockets of the simulation. Nothing of the package that the
rest of the test process uses is touched, and production code needs no seam that only tests would use. Imports inside
the package are relative, so that they stay inside the copy.

A *mutation* changes the source text of one copy, so that it can be shown that the simulation notices.
"""

import builtins
import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from . import client, files, kernel, queues, sockets, threads


RECEIVER = Path(__file__).parents[2] / "receiver"

STANDARD_LIBRARY: Mapping[str, Any] = {
    "threading": threads.threading,
    "time": threads.time,
    "os": kernel.os,
    "pathlib": files.pathlib,
    "fcntl": kernel.fcntl,
    "mmap": kernel.mmap,
    "signal": kernel.signal,
    "socket": sockets.socket,
    "selectors": sockets.selectors,
    "queue": queues.queue,
    "google.pubsub_v1.types": client.types,
}

#: (file, old text, new text): the old text stands there exactly once.
Change = tuple[str, str, str]

_numbers = count(1)
_compiled: dict[Path, CodeType] = {}


def _import(name: str, globals_: Any = None, locals_: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    if level == 0 and name in STANDARD_LIBRARY:
        return STANDARD_LIBRARY[name]
    return builtins.__import__(name, globals_, locals_, fromlist, level)


_BUILTINS = {**vars(builtins), "__import__": _import, "open": kernel.open_file}


class _Loader(importlib.abc.Loader):
    def __init__(self, path: Path, changes: Sequence[Change]) -> None:
        self._path = path
        self._changes = changes

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = _BUILTINS
        exec(self._code(), vars(module))

    def _code(self) -> CodeType:
        if not self._changes and self._path in _compiled:
            return _compiled[self._path]
        source = self._path.read_text()
        for _, old, new in self._changes:
            if source.count(old) != 1:
                raise LookupError(f"{self._path.name} has {source.count(old)} times, and should have once:\n{old}")
            source = source.replace(old, new)
        code = compile(source, str(self._path), "exec")
        if not self._changes:
            _compiled[self._path] = code
        return code


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, changes: Sequence[Change]) -> None:
        self._name = name
        self._changes = changes

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        head, *rest = fullname.split(".")
        if head != self._name:
            return None
        place = RECEIVER.joinpath(*rest)
        package = place.is_dir()
        file = place / "__init__.py" if package else place.with_suffix(".py")
        changes = [change for change in self._changes if change[0] == file.relative_to(RECEIVER).as_posix()]
        spec = importlib.machinery.ModuleSpec(fullname, _Loader(file, changes), origin=str(file), is_package=package)
        spec.has_location = False
        return spec


class Copy:
    """A copy of the package: its modules are attributes.

    Args:
        changes: a mutation.
    """

    def __init__(self, changes: Sequence[Change] = ()) -> None:
        self.name = f"keyturn_simulated_{next(_numbers)}"
        for file, _, _ in changes:
            assert (RECEIVER / file).is_file(), file
        sys.meta_path.insert(0, _Finder(self.name, changes))

    def __getattr__(self, module: str) -> ModuleType:
        found = importlib.import_module(f"{self.name}.{module}")
        setattr(self, module, found)
        return found

    def __getitem__(self, module: str) -> ModuleType:
        """A module of a package within it, by its dotted name."""
        return getattr(self, module)

    def forget(self) -> None:
        """Unload it."""
        sys.meta_path[:] = [f for f in sys.meta_path if getattr(f, "_name", None) != self.name]
        for name in [name for name in sys.modules if name.split(".")[0] == self.name]:
            del sys.modules[name]
