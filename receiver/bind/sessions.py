"""Which of a pool's connections are in use, and which were opened with a value that has been replaced since.

The checkout path takes no lock. It says "in use" before it looks whether the value is the newest, and who retires looks
for "in use" after the value has changed; so either the one sees the change or the other sees the use.
"""

import asyncio
import threading
import weakref
from contextlib import suppress
from inspect import isawaitable
from typing import Any, Final

from ..secret import HeldValue


#: Seconds that a polite goodbye to a server may take; then the driver drops the connection.
_PATIENCE: Final = 5.0


class Mark:
    """What is known of one connection.

    Args:
        connection: the driver's connection.
        held: what it was opened with.
        loop: the event loop that it lives in, where it lives in one.
    """

    __slots__ = ("_open", "connection", "held", "in_use", "loop")

    def __init__(self, connection: Any, held: HeldValue[Any], loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.connection = connection
        self.held = held
        self.loop = loop
        self.in_use = True
        self._open = [None]

    def claim(self) -> bool:
        """Take it upon oneself to close the connection: true for one caller only."""
        try:
            self._open.pop()
        except IndexError:
            return False
        return True


class Sessions:
    """The connections of a pool, by the pool's object that holds each; let go of with that object. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: weakref.WeakKeyDictionary[Any, Mark] = weakref.WeakKeyDictionary()
        self._closing: set[asyncio.Task[None]] = set()

    def opened(self, holder: Any, mark: Mark) -> None:
        """The connection of `mark` was opened, in use, in place of what `holder` held before."""
        with self._lock:
            self._marks[holder] = mark

    def retire(self, newest: HeldValue[Any]) -> None:
        """Close what nobody uses and was opened with something else than `newest`."""
        with self._lock:
            marks = list(self._marks.values())
        for mark in marks:
            if mark.held is not newest and not mark.in_use and mark.claim():
                self._close(mark)

    def _close(self, mark: Mark) -> None:
        # It was idle: whatever closing it may raise, nobody loses anything.
        with suppress(Exception):
            if mark.loop is None:
                mark.connection.close()
            else:
                mark.loop.call_soon_threadsafe(self._close_in_loop, mark)

    def _close_in_loop(self, mark: Mark) -> None:
        task = asyncio.get_running_loop().create_task(_closed(mark.connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _closed(connection: Any) -> None:
    with suppress(Exception):
        closing = connection.close()
        if isawaitable(closing):
            await asyncio.wait_for(closing, _PATIENCE)
