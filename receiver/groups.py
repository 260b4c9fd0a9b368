"""Secrets that belong together: a user and a password that are rotated as one, and are never to be mixed.

Members belong together where their version numbers are equal, which is a rule that every process can follow, whenever
it starts and in whatever order the events come: whoever rotates adds one version to each. A group serves the highest
number that all members have. Where one secret can hold it all (as JSON), that is simpler still.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from operator import is_
from types import MappingProxyType
from typing import Any, Final, TypeVar

from .errors import SecretUnavailable
from .secret import HeldValue, Secret
from .telemetry import Voice


#: Seconds that reading one member's older version may take.
_TIMEOUT: Final = 2.0

_T = TypeVar("_T")

Callback = Callable[[HeldValue[Any]], object]
Parts = Mapping[str, HeldValue[Any]]
_Now = tuple[HeldValue[Mapping[str, Any]], Parts]


class Group:
    """Follow several secrets as one. Made by `SecretCache.group`; thread-safe.

    Read alone, each member moves as soon as its own event comes; read here, and in a `View`, they move together.

    Args:
        members: the secrets by their names in the group.
        voice: writes the log.
    """

    def __init__(self, members: Mapping[str, Secret[Any]], voice: Voice) -> None:
        self._members = dict(members)
        self._voice = voice
        self._lock = threading.Lock()
        self._seen: tuple[HeldValue[Any], ...] = ()
        self._now: _Now | None = None
        self._tellers: list[_Teller] = []

    @property
    def held(self) -> HeldValue[Mapping[str, Any]]:
        """The members' values by their names, and the version number that they share; one immutable object.

        Raises:
            SecretUnavailable: a member could not be loaded, or the members have no usable version number in common.
            SecretRevoked: a member is revoked.
        """
        return self._current()[0]

    @property
    def value(self) -> Mapping[str, Any]:
        """The members' values by their names."""
        return self.held.value

    @property
    def version(self) -> int:
        """The version number that all members share."""
        return self.held.version

    @property
    def members(self) -> Mapping[str, Secret[Any]]:
        """The secrets by their names in the group."""
        return MappingProxyType(self._members)

    @property
    def parts(self) -> Parts:
        """What `held` consists of, each with its version."""
        return self._current()[1]

    def on_change(self, callback: Callback) -> Callback:
        """Call `callback` with the group's value after every change of it; as `Secret.on_change`."""
        teller = _Teller(self, callback)
        self._tellers.append(teller)
        for member in self._members.values():
            member.on_change(teller)
        return callback

    def after_fork(self) -> None:
        """In a forked child: locks of its own. Memory only."""
        self._lock = threading.Lock()
        for teller in self._tellers:
            teller.one_at_a_time = threading.Lock()

    def look(self, *, timeout: float = 2.0) -> bool:
        """Ask upstream once for newer versions of the members; says whether the group's value has changed."""
        before = self._now
        for member in self._members.values():
            member.look(timeout=timeout)
        return self._current() is not before

    def __repr__(self) -> str:
        return f"<Group {', '.join(self._members)}>"

    def _current(self) -> _Now:
        while True:
            seen = tuple(member.held for member in self._members.values())
            now = self._now
            if now is not None and all(map(is_, seen, self._seen)):
                return now
            settled = self._settle(seen, now)
            if settled is not None:
                return settled

    def _settle(self, seen: tuple[HeldValue[Any], ...], now: _Now | None) -> _Now | None:
        """Take in what the members hold; None where another thread was faster."""
        number = min(held.version for held in seen)
        parts = {name: self._at(number, name, held, now) for name, held in zip(self._members, seen, strict=True)}
        found = {name: part for name, part in parts.items() if part is not None}
        whole = len(found) == len(parts)
        with self._lock:
            if now is not self._now:
                return None
            if whole and (now is None or not all(map(is_, found.values(), now[1].values()))):
                values = MappingProxyType({name: part.value for name, part in found.items()})
                self._now = HeldValue(number, values), MappingProxyType(found)
            self._seen = seen
            settled = self._now
        if settled is None:
            raise SecretUnavailable(f"{self}: the members have no usable version number in common; add one to each")
        if any(held.version != settled[0].version for held in seen):
            self._say(settled[0].version, seen)
        return settled

    def _at(self, number: int, name: str, held: HeldValue[Any], now: _Now | None) -> HeldValue[Any] | None:
        before = now[1][name] if now is not None else None
        for known in (held, before):
            if known is not None and known.version == number:
                return known
        # Outside of the lock: this process started in the middle of a change, or a member stepped back.
        return self._members[name]._owner.at(number, timeout=_TIMEOUT)

    def _say(self, number: int, seen: tuple[HeldValue[Any], ...]) -> None:
        versions = ", ".join(f"{name} {held.version}" for name, held in zip(self._members, seen, strict=True))
        text = f"{self} stays at version {number} until all members have a newer one: {versions}"
        self._voice(logging.WARNING, "group_waits", text, version=number)


class _Teller:
    """Tells a callback of the group's changes, whichever member they came with, once each."""

    def __init__(self, group: Group, callback: Callback) -> None:
        self.one_at_a_time = threading.Lock()
        self.__qualname__ = getattr(callback, "__qualname__", type(callback).__qualname__)
        self._group = group
        self._callback = callback
        self._told = group._now[0] if group._now is not None else None

    def __call__(self, changed: HeldValue[Any]) -> None:
        with self.one_at_a_time:
            held = self._group.held
            # Where nobody had read the group before, a member that is ahead says that the group has not moved.
            moved = self._told is not None or held.version >= changed.version
            if moved and held is not self._told:
                self._callback(held)
            self._told = held


class View:
    """What a request sees of its secrets: each as it was when the request first read it, groups as one.

    Made by `SecretCache.view` at the start of a request and thrown away at its end; for one thread or task.
    """

    __slots__ = ("_groups", "_held")

    def __init__(self, groups: Mapping[Secret[Any], Group]) -> None:
        self._groups = groups
        self._held: dict[Secret[Any], HeldValue[Any]] = {}

    def __getitem__(self, secret: Secret[_T]) -> _T:
        return self.held(secret).value

    def held(self, secret: Secret[_T]) -> HeldValue[_T]:
        """The value with its version."""
        found = self._held.get(secret)
        if found is None:
            self._read(secret)
            found = self._held[secret]
        return found

    def _read(self, secret: Secret[Any]) -> None:
        group = self._groups.get(secret)
        if group is None:
            self._held[secret] = secret.held
            return
        for name, part in group.parts.items():
            self._held[group.members[name]] = part
