"""Push: the thread that carries a subscription's messages to its endpoint, at once and several at a time."""

import contextlib
import functools
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import delivery, exchange
from .backlog import Backlog
from .fault_plan import PushFault
from .messages import Lease
from .push_pace import Pace
from .turns import Steps, Turns


_log = logging.getLogger(__name__)

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


@dataclass(frozen=True, slots=True, eq=False)
class _Push:
    endpoint: Endpoint
    lease: Lease
    began: float


class Pusher:
    """Push the messages of one backlog to its endpoint, each as soon as it is due and the pace allows it.

    One thread carries all requests; it is made when there is first an endpoint, and ends with `close`.

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
        # Reading the certificates that TLS trusts takes longer than a push.
        self._target = functools.lru_cache(maxsize=1)(delivery.target)
        self._thread: threading.Thread | None = None
        self._asleep = False

    def aim(self, endpoint: Endpoint | None) -> None:
        """Push to this endpoint from now on; None pauses. Requests under way go on."""
        with self._backlog.changed:
            self._endpoint = endpoint
            if endpoint is not None and self._thread is None and not self._backlog.closed:
                self._thread = self._start()
            self._backlog.tell()

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="local-push", daemon=True)
        with contextlib.ExitStack() as unless_started:
            self._turns: Turns[_Push, int | None] = unless_started.enter_context(Turns())
            self._backlog.wake = self._wake
            thread.start()
            unless_started.pop_all()
        return thread

    def close(self, deadline: float) -> None:
        """End: what waits stays, requests under way are cut off. Returns by `deadline` (monotonic)."""
        self._backlog.close()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            self._turns.wake()

    def _work(self) -> None:
        with self._turns:
            while not self._backlog.closed:
                while isinstance(found := self._next(), _Push):
                    self._turns.begin(found, self._send(found), found.endpoint.timeout)
                self._settle(self._turns.wait(found))

    def _next(self) -> _Push | float:
        """Lease a message that is due, as far as the pace allows; else the seconds to wait for one, or for `_wake`."""
        with self._backlog.changed:
            if self._backlog.closed:
                return 0.0
            endpoint, wait = self._endpoint, math.inf
            if endpoint is not None and len(self._turns) < self._pace.window:
                pause = self._pace.pause()
                # One at a time: those of an ordering key would else come together.
                if pause == 0.0 and (leases := self._backlog.take(1, endpoint.timeout + _MARGIN)):
                    return _Push(endpoint, leases[0], time.monotonic())
                due = self._backlog.due_in()
                wait = math.inf if due is None else max(due, pause)
            self._asleep = True
            return wait

    def _settle(self, ended: list[tuple[_Push, int | None]]) -> None:
        if not ended:
            return
        attempts = []
        with self._backlog.changed:
            for push, status in ended:
                lease, seconds = push.lease, time.monotonic() - push.began
                attempt = PushAttempt(self._subscription, lease.message.id, lease.attempt, status, seconds)
                if attempt.acknowledged:
                    self._pace.acknowledged(seconds)
                    self._backlog.acknowledge(lease.id)
                else:
                    self._pace.refused()
                    self._backlog.refuse(lease.id, push.endpoint.wait(lease.attempt))
                attempts.append(attempt)
        for attempt in attempts:
            try:
                self._done(attempt)
            except Exception:  # noqa: BLE001  # the next ones go out all the same
                _log.exception("a push cannot be told of")

    def _send(self, push: _Push) -> Steps[int | None]:
        """Send a push, and return the status of its answer; None where there is none."""
        endpoint, lease = push.endpoint, push.lease
        fault = self._fault(self._subscription, lease.message.id, lease.attempt)
        if fault is PushFault.DOWN:
            return None
        try:
            target = self._target(endpoint.url)
            # A connection each: workers behind one port then share the pushes as they would in the cloud.
            with (yield from exchange.connect(target.host, target.port, target.secure)) as opened:
                if fault is PushFault.DROP_BEFORE:
                    return None
                yield from exchange.send(opened, self._request(target, endpoint, lease))
                if fault is PushFault.DROP_AFTER:
                    return None
                status = yield from exchange.status(opened)
        except (OSError, ValueError):
            return None  # not reachable, not HTTP, or a URL that cannot be written into a request
        return None if fault is PushFault.LOSE_ANSWER else status

    def _request(self, target: delivery.Target, endpoint: Endpoint, lease: Lease) -> bytes:
        if endpoint.unwrapped:
            content, told = delivery.unwrapped(
                self._subscription, lease.message, write_metadata=endpoint.write_metadata
            )
        else:
            attempt = lease.attempt if endpoint.counted else 0
            content, told = delivery.wrapped(self._subscription, lease.message, attempt=attempt)
        return delivery.request(target, content, told, token=endpoint.token() if endpoint.token else None)
