"""Many things that wait for the network, carried on by one thread: whichever can go on takes its next step."""

import logging
import math
import selectors
import socket
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, Self, TypeVar


_Result = TypeVar("_Result")
_Key = TypeVar("_Key")

_log = logging.getLogger(__name__)

# Seconds; what is longer than 24 days the system refuses to wait for.
_LONGEST = 24 * 3600.0

# Each step yields the socket that it waits for, and for what; it goes on once that is so. Closing the generator ends
# it early, and must free what it holds.
Steps = Generator[tuple[socket.socket, int], None, _Result]


@dataclass(slots=True, eq=False)
class _Running(Generic[_Key, _Result]):
    key: _Key
    steps: Steps[_Result]
    until: float
    waits_for: socket.socket | None = None


class Turns(Generic[_Key, _Result]):
    """Steps under way. For the thread that takes them; only `wake` is called from any."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._button = socket.socketpair()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._running: set[_Running[_Key, _Result]] = set()
        self._ended: list[tuple[_Key, _Result | None]] = []

    def __len__(self) -> int:
        """How many are under way, or have ended and `wait` has not told of it."""
        return len(self._running) + len(self._ended)

    def begin(self, key: _Key, steps: Steps[_Result], seconds: float) -> None:
        """Take the first step of something that may take so many seconds in all."""
        running = _Running(key, steps, time.monotonic() + seconds)
        self._running.add(running)
        self._step(running)

    def wait(self, seconds: float) -> list[tuple[_Key, _Result | None]]:
        """Wait until a step can be taken, or for `wake`, at most so many seconds; take all steps that can be.

        Returns:
            What has ended, by key: each with its result, or None where its time was up or a fault ended it.
        """
        until = min((running.until for running in self._running), default=math.inf)
        left = 0.0 if self._ended else min(seconds, _LONGEST, max(0.0, until - time.monotonic()))
        for ready, _ in self._selector.select(left):
            if ready.data is None:
                self._bell.recv(1)
            else:
                self._selector.unregister(ready.fileobj)
                self._step(ready.data)
        self._give_up()
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        """Let the `wait` that is under way return, or else the next one."""
        self._button.send(b"!")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running:
            running.steps.close()
        self._selector.close()
        self._bell.close()
        self._button.close()

    def _step(self, running: _Running[_Key, _Result]) -> None:
        try:
            running.waits_for, event = next(running.steps)
        except StopIteration as end:
            self._end(running, end.value)
        except Exception:  # noqa: BLE001  # it has ended, and those beside it have nothing to do with that
            _log.exception("a step failed")
            self._end(running, None)
        else:
            self._selector.register(running.waits_for, event, running)

    def _give_up(self) -> None:
        now = time.monotonic()
        for running in [one for one in self._running if one.until <= now]:
            if running.waits_for is not None:
                self._selector.unregister(running.waits_for)
            running.steps.close()
            self._end(running, None)

    def _end(self, running: _Running[_Key, _Result], result: _Result | None) -> None:
        self._running.discard(running)
        self._ended.append((running.key, result))
