"""What a payload must pass before it is served: it has the declared type, `parse` takes it, `validate` has tried it.

`parse` is quick and runs where the refresh runs. `validate` may call the provider or log in to the database, so it has
a thread of its own and a deadline: one that hangs costs this entry its time and no other anything.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import iscoroutine
from typing import Any, Final

from .declaration import Declaration, Validate
from .errors import ValueRejected
from .parsing import name_of, told
from .secret import HeldValue
from .threads import spawn
from .values import decode


#: How many validations of one entry may be running beyond their deadline before no more are started.
_ABANDONED: Final = 3


class Candidates:
    """Make and try the values of one entry. Thread-safe; waits no longer than the declared `validate_timeout`."""

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self._lock = threading.Lock()
        self._inside: set[int] = set()
        self._running = 0

    @property
    def inside(self) -> bool:
        """Whether the calling thread runs the service's `parse` or `validate` of this very entry."""
        return threading.get_ident() in self._inside

    def make(self, number: int, data: bytes) -> HeldValue[Any]:
        """Make a value of a payload.

        Args:
            number: the version that it is of.
            data: the payload.

        Raises:
            ValueRejected: it is not of the declared type; says why without repeating anything of it.
        """
        with self._marked():
            return HeldValue(number, decode(data, self._declaration.type, self._declaration.parse))

    def try_out(self, number: int, data: bytes) -> HeldValue[Any]:
        """Make a value of a payload, and let the service try it where it declared how.

        Raises:
            ValueRejected: as `make`, or the service refused it, or was not done in time.
        """
        held = self.make(number, data)
        if self._declaration.validate is not None:
            self._validate(self._declaration.validate, held, data.decode(errors="replace"))
        return held

    def after_fork(self) -> None:
        """In a forked child: the parent's threads are not here. Memory only."""
        self._lock = threading.Lock()
        self._inside = set()
        self._running = 0

    def _validate(self, validate: Validate, held: HeldValue[Any], payload: str) -> None:
        with self._lock:
            if self._running >= _ABANDONED:
                raise ValueRejected(f"{self._running} calls of validate={name_of(validate)} before have not ended yet")
            self._running += 1
        ended, refused = threading.Event(), [""]

        def run() -> None:
            try:
                with self._marked():
                    refused[0] = _refusal(validate, held, payload)
            finally:
                with self._lock:
                    self._running -= 1
                ended.set()

        try:
            spawn(run, name="validate")
        except RuntimeError:  # no thread can be started
            with self._lock:
                self._running -= 1
            raise ValueRejected("no thread could be started to validate it") from None
        if not ended.wait(self._declaration.validate_timeout):
            limit = self._declaration.validate_timeout
            raise ValueRejected(f"validate={name_of(validate)} did not end within {limit:g} seconds")
        if refused[0]:
            raise ValueRejected(f"validate={name_of(validate)} refused it: {refused[0]}")

    @contextmanager
    def _marked(self) -> Iterator[None]:
        ident = threading.get_ident()
        self._inside.add(ident)
        try:
            yield
        finally:
            self._inside.discard(ident)


def _refusal(validate: Validate, held: HeldValue[Any], payload: str) -> str:
    try:
        answer = validate(held.value)
    except BaseException as exc:  # noqa: BLE001  # also an exit: it refuses this candidate and ends nothing else
        return told(exc, payload=payload)
    if iscoroutine(answer):
        answer.close()
        return "it returned a coroutine, which nobody awaits"
    return "it returned False" if answer is False else ""
