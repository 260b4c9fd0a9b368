"""Push: the threads that carry a subscription's messages to its endpoint, at once and several at a time."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import delivery
from .backlog import Backlog
from .fault_plan import PushFault
from .messages import Lease
from .push_pace import MOST, Pace


# Without a retry policy a refused message comes again after 100 ms, then after twice that and so on up to a minute
# [assumed: documented is "as soon as possible", within what push backoff allows].
_SHORTEST, _LONGEST = 0.1, 60.0

# A lease outlives the request by this, so that an answer in the last moment still counts.
_MARGIN = 1.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a subscription pushes to, and how.

    Args:
        url: http or https.
        timeout: seconds for the request: the ack deadline [documented].
        token: makes the OIDC token of a request, None where none is sent.
        backoff: the shortest and the longest wait of the retry policy, None where there is none.
        counted: whether requests say which attempt they are.
        unwrapped: whether the body is the message's data and nothing else.
        write_metadata: whether an unwrapped message's attributes and id come as headers.
    """

    url: str
    timeout: float
    token: Callable[[], str] | None = None
    backoff: tuple[float, float] | None = None
    counted: bool = False
    unwrapped: bool = False
    write_metadata: bool = False

    def wait(self, attempt: int) -> float:
        """Seconds until a message goes out again after its `attempt`-th refusal."""
        shortest, longest = self.backoff or (_SHORTEST, _LONGEST)
        return min(longest, max(shortest, _SHORTEST if attempt > 1 else 0.0) * 2.0 ** min(attempt - 1, 30))


@dataclass(frozen=True, slots=True)
class PushAttempt:
    """One push that was tried.

    Args:
        subscription: its full name.
        message: id of the message.
        attempt: the how manyth time it was sent, from 1 on.
        status: of the answer; None where there was none.
        seconds: from sending to answer.
    """

    subscription: str
    message: str
    attempt: int
    status: int | None
    seconds: float

    @property
    def acknowledged(self) -> bool:
        """Whether the answer acknowledged the message."""
        return self.status in delivery.ACKNOWLEDGING


class Pusher:
    """Push the messages of one backlog to its endpoint, each as soon as it is due and the pace allows it.

    Threads are made as they are needed, and wait for more until `close`.

    Args:
        subscription: full name.
        backlog: what to push.
        done: told of each attempt, on the pushing thread.
        pace: how fast.
        fault: what goes wrong with a push of a message (by its id) and attempt; None where nothing does.
    """

    def __init__(
        self,
        subscription: str,
        backlog: Backlog,
        *,
        done: Callable[[PushAttempt], None],
        pace: Pace,
        fault: Callable[[str, str, int], PushFault | None],
    ) -> None:
        self._subscription = subscription
        self._backlog = backlog
        self._done = done
        self._pace = pace
        self._fault = fault
        self._endpoint: Endpoint | None = None
        self._busy = 0
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._open: set[http.client.HTTPConnection] = set()

    def aim(self, endpoint: Endpoint | None) -> None:
        """Push to this endpoint from now on; None pauses. Requests under way go on."""
        with self._backlog.changed:
            self._endpoint = endpoint
            if endpoint is not None and not self._threads:
                self._grow()
            self._backlog.changed.notify_all()

    def close(self, deadline: float) -> None:
        """End: what waits stays, requests under way are cut off. Returns by `deadline` (monotonic)."""
        self._backlog.close()
        with self._backlog.changed:
            under_way = list(self._open)
        for opened in under_way:
            _cut(opened)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _grow(self) -> None:
        number = len(self._threads) + 1
        thread = threading.Thread(target=self._work, name=f"local-push-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._push(*job)

    def _next(self) -> tuple[Endpoint, Lease] | None:
        """Wait for a message that is due and lease it; None when it is time to end."""
        changed = self._backlog.changed
        with changed:
            self._idle += 1
            try:
                while not self._backlog.closed:
                    wait, endpoint = self._wait(), self._endpoint
                    if endpoint is not None and wait == 0.0:
                        (lease,) = self._backlog.take(1, endpoint.timeout + _MARGIN)
                        self._busy += 1
                        return endpoint, lease
                    changed.wait(None if endpoint is None else wait)
                return None
            finally:
                self._idle -= 1
                self._hand_over()

    def _wait(self) -> float | None:
        """Seconds until something may go out; None where only a change can say."""
        due = self._backlog.due_in()
        # Who is done with a push looks again by itself.
        return None if due is None or self._busy >= self._pace.window else max(due, self._pace.pause())

    def _hand_over(self) -> None:
        """See to it that somebody waits for the next message while this thread is busy."""
        if self._backlog.closed or self._busy >= self._pace.window:
            return
        if self._idle:
            self._backlog.changed.notify()
        elif len(self._threads) < MOST:
            self._grow()

    def _push(self, endpoint: Endpoint, lease: Lease) -> None:
        began = time.monotonic()
        status = self._status(endpoint, lease)
        attempt = PushAttempt(self._subscription, lease.message.id, lease.attempt, status, time.monotonic() - began)
        with self._backlog.changed:
            self._busy -= 1
            if attempt.acknowledged:
                self._pace.acknowledged(attempt.seconds)
                self._backlog.acknowledge(lease.id)
            else:
                self._pace.refused()
                self._backlog.refuse(lease.id, endpoint.wait(lease.attempt))
        self._done(attempt)

    def _content(self, endpoint: Endpoint, lease: Lease) -> tuple[bytes, delivery.Headers]:
        if endpoint.unwrapped:
            return delivery.unwrapped(self._subscription, lease.message, write_metadata=endpoint.write_metadata)
        return delivery.wrapped(self._subscription, lease.message, attempt=lease.attempt if endpoint.counted else 0)

    def _status(self, endpoint: Endpoint, lease: Lease) -> int | None:
        fault = self._fault(self._subscription, lease.message.id, lease.attempt)
        if fault is PushFault.DOWN:
            return None
        # A connection each: workers behind one port then share the pushes as they would in the cloud.
        opened = delivery.connection(endpoint.url, endpoint.timeout)
        try:
            opened.connect()
            with self._backlog.changed:
                if self._backlog.closed:
                    return None
                self._open.add(opened)
            if fault is PushFault.DROP_BEFORE:
                return None
            content, told = self._content(endpoint, lease)
            token = endpoint.token() if endpoint.token else None
            delivery.send(opened, endpoint.url, content, {**delivery.headers(content, token), **told})
            if fault is PushFault.DROP_AFTER:
                return None
            status = opened.getresponse().status
        except (OSError, http.client.HTTPException, ValueError):
            return None  # not reachable, not HTTP, or a URL that cannot be written into a request
        else:
            return None if fault is PushFault.LOSE_ANSWER else status
        finally:
            with self._backlog.changed:
                self._open.discard(opened)
            opened.close()


def _cut(opened: http.client.HTTPConnection) -> None:
    sock = opened.sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
