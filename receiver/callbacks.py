"""The callbacks of one entry: told of every change after the swap, each on a thread of its own.

A callback is *due* while the change it was last told of is not the newest. That is the whole state, so versions passed
over are skipped, one that failed is due again, and whatever happens the last call is of the value being served. Each
runs once at a time and waits for no other: one that hangs holds up nothing but itself.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from .secret import HeldValue
from .telemetry import Event, Voice
from .threads import spawn


#: Seconds that an answer waits for callbacks, and after which one that still runs is said to be slow.
PATIENCE: Final = 2.0

#: Pauses before a callback that failed is called again: full jitter below this, doubling up to the cap, in seconds.
RETRY_FIRST: Final = 1.0
RETRY_CAP: Final = 300.0

Callback = Callable[[HeldValue[Any]], object]


class _Watcher:
    __slots__ = ("call", "failures", "name", "outlasted", "retry_at", "said_slow", "seen", "since", "tried")

    def __init__(self, call: Callback, seen: int) -> None:
        self.call = call
        self.name = getattr(call, "__qualname__", type(call).__qualname__)
        self.seen = self.tried = seen  # the number of the last change that it was told of, or was to be told of
        self.since: float | None = None  # when the call under way began
        self.retry_at: float | None = None
        self.failures = 0
        self.said_slow = False
        self.outlasted = False  # an answer has waited for the call under way, and waits no more


class Callbacks:
    """Tell callbacks of changes. Thread-safe.

    Args:
        secret: the entry's name, for the log.
        served: returns the number of the newest change and what is being served since; None where nothing is.
        clock: monotonic seconds.
        jitter: a number between 0 and 1 at each call.
        voice: writes the log.
    """

    def __init__(
        self,
        secret: str,
        served: Callable[[], tuple[int, HeldValue[Any] | None]],
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        voice: Voice | None = None,
    ) -> None:
        self._secret = secret
        self._voice = voice or Voice()
        self._served = served
        self._clock = clock
        self._jitter = jitter
        self._idle = threading.Condition()
        self._watchers: list[_Watcher] = []

    def add(self, call: Callback) -> None:
        """Call `call` after every change from now on."""
        with self._idle:
            self._watchers.append(_Watcher(call, self._served()[0]))

    def changed(self) -> None:
        """Start what is due; never waits for a callback."""
        if not self._watchers:
            return
        newest = self._served()[0]
        with self._idle:
            due = [w for w in self._watchers if w.since is None and _is_due(w, newest)]
            for watcher in due:
                watcher.since, watcher.outlasted = self._clock(), False
        try:
            while due:
                self._start(due.pop(0))
        finally:
            # Also where a worker's abort or a greenlet's kill passes through: what was not started is due again.
            with self._idle:
                for watcher in due:
                    watcher.since = None
                self._idle.notify_all()

    def tick(self) -> None:
        """Say who is slow, and call those again who failed a while ago; called about each second."""
        now = self._clock()
        with self._idle:
            slow = [w for w in self._watchers if w.since is not None and now - w.since > PATIENCE and not w.said_slow]
            for watcher in slow:
                watcher.said_slow = True
            for watcher in self._watchers:
                if watcher.retry_at is not None and watcher.retry_at <= now:
                    watcher.retry_at = None
        for watcher in slow:
            what = "is still running after two seconds; it holds up no other"
            self._say(watcher, logging.WARNING, "callback_slow", what)
        self.changed()

    def pending(self) -> list[str]:
        """The names of those that have not been told of the newest change."""
        newest = self._served()[0]
        with self._idle:
            return [w.name for w in self._watchers if w.seen != newest]

    def wait(self, deadline: float) -> bool:
        """Start what is due and wait until every call has ended; say whether all were told of the newest change.

        Args:
            deadline: monotonic time after which nobody is waited for, `PATIENCE` from now. Whoever then has run for
                half of that is not waited for later either, so that one which hangs costs one answer two seconds and
                later ones nothing. What it ran before does not count: its process may have been stopped or without
                CPU. And who has just begun, since a change came while this one waited, is that change's to wait for.
        """
        if not self._watchers:
            return True
        self.changed()  # another thread has swapped, and is about to start them
        with self._idle:
            while (running := self._running()) and (left := deadline - self._clock()) > 0:
                self._idle.wait(left)
            for watcher in running:
                watcher.outlasted = watcher.since is not None and deadline - watcher.since >= PATIENCE / 2
        return not self.pending()

    def _running(self) -> list[_Watcher]:
        return [w for w in self._watchers if w.since is not None and not w.outlasted]

    def after_fork(self) -> None:
        """In a forked child: the parent's threads are not here, so nothing is under way."""
        self._idle = threading.Condition()
        for watcher in self._watchers:
            watcher.since = watcher.retry_at = None

    def _start(self, watcher: _Watcher) -> None:
        try:
            spawn(lambda: self._run(watcher), name="callback")
        except RuntimeError:  # out of threads, or the interpreter is going down: the next tick tries again
            with self._idle:
                watcher.since, watcher.retry_at = None, self._clock()

    def _run(self, watcher: _Watcher) -> None:
        while (change := self._next(watcher)) is not None:
            number, held = change
            version, began = held.version, self._clock()
            failure = _failure(watcher.call, held)
            del held, change  # or this frame would keep a replaced value alive
            if failure is not None:
                self._failed(watcher, failure)
                return
            with self._idle:
                watcher.seen, watcher.failures = number, 0
            self._say_told(watcher, version, self._clock() - began)

    def _next(self, watcher: _Watcher) -> tuple[int, HeldValue[Any]] | None:
        with self._idle:
            number, held = self._served()
            if held is None or number == watcher.seen:
                watcher.since = None
                self._idle.notify_all()
                return None
            watcher.since, watcher.tried = self._clock(), number
            watcher.said_slow = watcher.outlasted = False
            return number, held

    def _failed(self, watcher: _Watcher, failure: str) -> None:
        with self._idle:
            limit = min(RETRY_CAP, RETRY_FIRST * 2 ** min(watcher.failures, 16))
            watcher.failures += 1
            watcher.retry_at = self._clock() + limit * self._jitter()
            watcher.since = None
            self._idle.notify_all()
        self._say(watcher, logging.ERROR, "callback_failed", f"failed with {failure}; it is called again")

    def _say(self, watcher: _Watcher, level: int, event: Event, what: str) -> None:
        text = f"{self._secret}: the callback {watcher.name} {what}"
        self._voice(level, event, text, secret=self._secret, callback=watcher.name)

    def _say_told(self, watcher: _Watcher, version: int, seconds: float) -> None:
        text = f"{self._secret}: the callback {watcher.name} has run with version {version}"
        took = round(seconds * 1000, 3)
        name = watcher.name
        self._voice(
            logging.INFO, "called_back", text, secret=self._secret, version=version, callback=name, callback_ms=took
        )


def _is_due(watcher: _Watcher, newest: int) -> bool:
    return watcher.seen != newest and (watcher.retry_at is None or watcher.tried != newest)


def _failure(call: Callback, held: HeldValue[Any]) -> str | None:
    # The type alone: the text of an exception of the user's may hold the value.
    try:
        call(held)
    except BaseException as exc:  # noqa: BLE001  # also an exit: it ends this call and nothing else
        return type(exc).__name__
    return None
