"""Where the values of one entry come from: payloads that pass, older versions that still count, the environment."""

from contextlib import suppress
from typing import Any

from .candidates import Candidates
from .declaration import Declaration
from .entry import Access
from .errors import SecretUnavailable, ValueRejected
from .knowledge import LATEST, Knowledge
from .overlap import Overlap
from .predecessor import Predecessor
from .secret import HeldValue
from .upstream import Surroundings, ask


class Supply:
    """Make the values of one entry. Thread-safe.

    Args:
        declaration: the entry's.
        around: what it reaches outside through.
    """

    def __init__(self, declaration: Declaration, around: Surroundings) -> None:
        self._declaration = declaration
        self._around = around
        self._candidates = Candidates(declaration)
        self._overlap = Overlap(declaration.overlap, around.wall) if declaration.overlap is not None else None

    def refuse_inside(self) -> None:
        """Refuse who runs the entry's own `parse` or `validate`: it would wait for itself.

        Raises:
            SecretUnavailable: the calling thread does.
        """
        if self._candidates.inside:
            raise SecretUnavailable(f"{self._declaration.name} is loaded or refreshed by its own parse or validate")

    def try_out(self, number: int, data: bytes) -> HeldValue[Any]:
        """Make a value of a payload; see `Candidates.try_out`."""
        return self._candidates.try_out(number, data)

    def replaced(self, before: HeldValue[Any] | None, number: int, knowledge: Knowledge, *, deadline: float) -> None:
        """Let what counted before count beside version `number`, which is about to be served; see `Overlap`.

        Args:
            before: what has been served, where it is of the secret's present life.
            number: the version.
            knowledge: what is known of the secret.
            deadline: monotonic time by which this returns.
        """
        if self._overlap is None:
            return
        if before is not None and before.version not in (0, number):
            self._overlap.add(before, successor=number, knowledge=knowledge)
        if self._declaration.pin == LATEST:
            previous = Predecessor(self._declaration.name, self._around, self._candidates, self._overlap)
            previous.fill(number, knowledge, deadline=deadline)

    def accepted(self, newest: HeldValue[Any], knowledge: Knowledge) -> tuple[HeldValue[Any], ...]:
        """The newest value and those before it that still count; the others are let go of."""
        return (newest,) if self._overlap is None else self._overlap.counting(newest, knowledge)

    def at(self, number: int, knowledge: Knowledge, *, timeout: float) -> HeldValue[Any] | None:
        """The value of one version, read upstream and not served; None where it is not to be had."""
        access = Access(str(number), knowledge.boundary.stamp)
        heard = ask(self._around, self._declaration.name, access, deadline=self._around.clock() + timeout)
        with suppress(ValueRejected):
            return self._candidates.make(number, heard.data) if heard.data is not None else None
        return None

    def from_environment(self) -> HeldValue[Any] | None:
        """What the environment variable of the secret's name says, parsed but not validated; None without one.

        Raises:
            ValueRejected: it is not of the declared type.
        """
        text = self._around.environ.get(self._declaration.name.secret)
        return self._candidates.make(0, text.encode("utf-8", "surrogateescape")) if text else None

    def after_fork(self) -> None:
        """In a forked child: locks of its own. Memory only."""
        self._candidates.after_fork()
        if self._overlap is not None:
            self._overlap.after_fork()
