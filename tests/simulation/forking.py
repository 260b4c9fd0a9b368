"""What `fork` does to a heap: the child has a copy of everything, and none of the other threads.

Locks that another thread held stay held in the copy, sockets share their ends, shared memory stays shared. Whoever
needs more than that says so with a method `forked`.
"""

from collections import Counter, deque
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any
from weakref import WeakSet


_ATOMS = (
    str, int, float, bytes, bool, type(None), type, Enum, ModuleType, BuiltinFunctionType, memoryview, frozenset, range,
    BaseException,
)  # fmt: skip

#: Frozen classes of the package that hold nothing which changes.
_VALUES = frozenset(
    {"Knowledge", "Entry", "Held", "HeldValue", "Declaration", "SecretName", "VersionName", "Rest", "Path"}
)


class Forking:
    """Copy one heap; call the object on each root."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}
        self._kept: list[Any] = []

    def __call__(self, found: Any) -> Any:
        if isinstance(found, _ATOMS) or type(found).__name__ in _VALUES:
            return found
        known = self._copies.get(id(found))
        if known is not None:
            return known
        self._kept.append(found)  # so that no other object gets its id meanwhile
        return self._copied(found)

    def _remember(self, found: Any, copy: Any) -> Any:
        self._copies[id(found)] = copy
        return copy

    def _copied(self, found: Any) -> Any:  # noqa: C901  # one case for each kind
        if hasattr(type(found), "forked"):
            return self._remember(found, found.forked(self))
        match found:
            case dict() if type(found) in (dict, Counter):
                copy = self._remember(found, type(found)())
                for key, value in found.items():
                    copy[self(key)] = self(value)
                return copy
            case list() | deque():
                copy = self._remember(found, type(found)())
                copy.extend(self(item) for item in found)
                return copy
            case bytearray():
                return self._remember(found, bytearray(found))
            case set():
                return self._remember(found, {self(item) for item in found})
            case WeakSet():
                return self._remember(found, WeakSet(self(item) for item in found))
            case tuple():
                items = [self(item) for item in found]
                made = type(found)(*items) if hasattr(found, "_fields") else tuple(items)
                return self._remember(found, made)
            case GeneratorType():  # a lock that is held: nobody in the child goes on with it
                return self._remember(found, (nothing for nothing in ()))
            case FunctionType():
                return self._function(found)
            case partial():
                arguments = [self(item) for item in found.args]
                return self._remember(found, partial(self(found.func), *arguments, **self(found.keywords)))
            case MethodType():
                return self._remember(found, MethodType(found.__func__, self(found.__self__)))
        return self._object(found)

    def _function(self, found: FunctionType) -> Any:
        if not found.__closure__:
            return found
        cells = tuple(CellType() for _ in found.__closure__)
        copy = FunctionType(found.__code__, found.__globals__, found.__name__, found.__defaults__, cells)
        copy.__kwdefaults__ = found.__kwdefaults__
        self._remember(found, copy)
        for mine, theirs in zip(cells, found.__closure__, strict=True):
            try:
                mine.cell_contents = self(theirs.cell_contents)
            except ValueError:
                continue  # not set yet
        return copy

    def _object(self, found: Any) -> Any:
        copy = self._remember(found, object.__new__(type(found)))
        for name, value in getattr(found, "__dict__", {}).items():
            object.__setattr__(copy, name, self(value))
        for kind in type(found).__mro__:
            for name in vars(kind).get("__slots__", ()):
                self._slot(found, copy, name)
        return copy

    def _slot(self, found: Any, copy: Any, name: str) -> None:
        if name in ("__weakref__", "__dict__"):
            return
        try:
            value = object.__getattribute__(found, name)
        except AttributeError:
            return  # an empty slot
        object.__setattr__(copy, name, self(value))
