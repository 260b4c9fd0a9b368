"""TailLogEntries: what comes in, to those who listen."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.cloud.logging_v2.types.logging import TailLogEntriesResponse

from .log_store import Entry, LogStore
from .logging_service import fitting, selection
from .rpc import Refusal


# Seconds for which entries are held back to be sorted where the client says nothing, and at most [documented].
_WINDOW = 2.0
_LONGEST_WINDOW = 60.0

# Of one answer.
_MOST = 1000


class Tail:
    """One listener, from the entries that come in after it began.

    Args:
        store: where they come in.
        first: the request that opened the stream.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """

    def __init__(self, store: LogStore, first: Any) -> None:
        self._store = store
        self._gone = threading.Event()
        self._wanted: Callable[[Entry], bool] = selection(first)
        self._window = _WINDOW
        if first.HasField("buffer_window"):
            self._window = first.buffer_window.ToTimedelta().total_seconds()
        if not 0 <= self._window <= _LONGEST_WINDOW:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT, f"`buffer_window` is between 0 and {_LONGEST_WINDOW:.0f} seconds."
            )
        self._last = store.last

    def leave(self) -> None:
        """End: the client has gone."""
        self._gone.set()
        with self._store.changed:
            self._store.changed.notify_all()

    def answers(self) -> Iterator[Any]:
        """What the client is sent until it leaves: those of one window together, by time."""
        while self._wait():
            # The first has come; what comes within the window is sorted with it.
            self._gone.wait(self._window)
            new = self._store.after(self._last)
            self._last = new[-1].number if new else self._last
            found = sorted(filter(self._wanted, new), key=lambda entry: entry.key)
            while found:
                part = fitting(found, _MOST)
                found = found[len(part) :]
                yield TailLogEntriesResponse.pb()(entries=[entry.message for entry in part])

    def _wait(self) -> bool:
        with self._store.changed:
            while not (self._gone.is_set() or self._store.closed):
                if self._store.last > self._last:
                    return True
                self._store.changed.wait()
        return False


def serve(store: LogStore, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
    """Serve one stream; what the client says after its first request changes nothing [documented]."""
    try:
        tail = Tail(store, next(requests))
    except StopIteration:
        return
    except Refusal as refusal:
        context.abort(refusal.code, refusal.message)
    if context.add_callback(tail.leave):
        yield from tail.answers()
