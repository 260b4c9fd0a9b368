"""Which entries a service has declared, and which of them an event concerns. Memory only, no I/O.

Entries are declared under a project's id; events and the board speak of its number. The number shows in Secret
Manager's answers, so what is heard of a project before its first answer is kept until it can be joined.
"""

import threading
from collections.abc import Callable

from .declaration import Declaration
from .knowledge import Knowledge, Pin
from .live import LiveEntry
from .names import SecretName
from .values import Type


class Registry:
    """The declared entries. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[tuple[SecretName, Pin, Type], LiveEntry] = {}
        self._by_secret: dict[tuple[str, str], list[LiveEntry]] = {}
        self._numbers: dict[str, str] = {}
        self._heard: dict[SecretName, Knowledge] = {}

    def declare(self, declaration: Declaration, make: Callable[[Declaration], LiveEntry]) -> LiveEntry:
        """Return the entry of a declaration, made where it is new.

        Raises:
            ValueError: it contradicts an earlier declaration.
        """
        with self._lock:
            known = self._entries.get(declaration.key)
            if known is None:
                known = self._entries[declaration.key] = make(declaration)
                self._by_secret.setdefault((declaration.name.location, declaration.name.secret), []).append(known)
            elif known.declaration != declaration:
                raise ValueError(f"{declaration.name} has been declared otherwise before")
        return known

    def all(self) -> list[LiveEntry]:
        """Every entry, in the order of declaration."""
        with self._lock:
            return list(self._entries.values())

    def concerned(self, name: SecretName) -> list[LiveEntry]:
        """The entries that an event of `name` is about, those included whose project's number is not known yet."""
        with self._lock:
            return self._concerned(name)

    def numbered(self, declared: SecretName) -> SecretName | None:
        """The name of a declared secret with its project's number; None while that is not known."""
        number = self._numbers.get(declared.project)
        return declared.within(number) if number is not None else None

    def known(self, name: SecretName) -> Knowledge:
        """What all entries of a secret know together."""
        known = Knowledge()
        for entry in self.concerned(name):
            known = known.merge(entry.knowledge)
        return known

    def tell(self, name: SecretName, news: Knowledge) -> None:
        """Merge `news` into the entries concerned, or keep it for those whose project's number is not known yet."""
        # All under the lock: news that arrives while the number is learnt must end in one of the two.
        with self._lock:
            self._tell(name, news)

    def learn(self, declared: SecretName, number: str) -> None:
        """Take in that the project of `declared` has this number, and what was heard of it before."""
        if self._numbers.get(declared.project) == number:
            return
        with self._lock:
            self._numbers[declared.project] = number
            for name in [name for name in self._heard if name.project == number]:
                self._tell(name, self._heard.pop(name))

    def after_fork(self) -> None:
        """In a forked child: a lock of its own, and every entry cold."""
        self._lock = threading.Lock()
        for entry in self._entries.values():
            entry.after_fork()

    def __len__(self) -> int:
        return len(self._entries)

    def _concerned(self, name: SecretName) -> list[LiveEntry]:
        entries = self._by_secret.get((name.location, name.secret), [])
        return [entry for entry in entries if self._may_be(entry.declaration.name.project, name.project)]

    def _may_be(self, declared: str, named: str) -> bool:
        if named == declared:
            return True
        if not named.isdigit():  # an audit entry may name a project by its id; a number cannot be compared with that
            return declared.isdigit()
        return self._numbers.get(declared, named) == named

    def _is_certain(self, entry: LiveEntry, name: SecretName) -> bool:
        project = entry.declaration.name.project
        return name.project in (project, self._numbers.get(project))

    def _tell(self, name: SecretName, news: Knowledge) -> None:
        for entry in self._concerned(name):
            if self._is_certain(entry, name):
                entry.tell(news)
            else:
                self._heard[name] = self._heard.get(name, Knowledge()).merge(news)
