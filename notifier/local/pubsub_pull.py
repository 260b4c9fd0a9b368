"""Pulls: one answer to a request, or a stream of them."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.pubsub_v1.types import pubsub

from . import pubsub_checks as checks
from .broker import Broker
from .clocks import utc
from .messages import Lease
from .pubsub_refusals import missing
from .rpc import Caller, Refusal
from .subscription import Subscription


# A pull waits for a first message this long, unless its caller leaves before [assumed].
_LONGEST_PULL = 30.0

_MOST_PULLED = 1000

# A stream sends something at least this often, and ends where its client has said nothing for a long time [assumed].
_KEEP_ALIVE = 30.0


def pull(broker: Broker, request: Any, caller: Caller) -> Any:
    """Lease messages to the caller.

    A subscription that pushes has none to pull, and says so by an empty answer [seen in Google's emulator].

    Raises:
        Refusal: INVALID_ARGUMENT; NOT_FOUND; FAILED_PRECONDITION, it is detached.
    """
    if request.max_messages <= 0:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "`max_messages` must be positive.")
    subscription = broker.subscription(request.subscription)
    subscription.pulled()
    answer = pubsub.PullResponse.pb()()
    if subscription.message.push_config.push_endpoint:
        return answer
    gone = threading.Event()
    if not caller.when_gone(lambda: _leave(subscription, gone)):
        return answer
    until = time.monotonic() + (0.0 if request.return_immediately else _LONGEST_PULL)
    most = min(request.max_messages, _MOST_PULLED)
    for lease in _wait(subscription, lambda: most, subscription.lease, until, gone):
        answer.received_messages.append(received(lease, counted=subscription.counted))
    return answer


def received(lease: Lease, *, counted: bool) -> Any:
    """A leased message as pulls answer it."""
    found = pubsub.ReceivedMessage.pb()(ack_id=lease.id, delivery_attempt=lease.attempt if counted else 0)
    found.message.data = lease.message.data
    found.message.attributes.update(lease.message.attributes)
    found.message.message_id = lease.message.id
    found.message.publish_time.FromDatetime(utc(lease.message.at))
    found.message.ordering_key = lease.message.ordering_key
    return found


class Stream:
    """One streaming pull: it leases messages while its client has room for them.

    Args:
        broker: where subscriptions are.
        first: the request that opened the stream.
    """

    def __init__(self, broker: Broker, first: Any) -> None:
        if not first.subscription:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "The first request of a stream names its subscription.")
        checks.ack_deadline(first.stream_ack_deadline_seconds)
        self._broker = broker
        self._subscription = broker.subscription(first.subscription)
        self._subscription.pulled()
        if self._subscription.message.push_config.push_endpoint:
            # [seen in Google's emulator]
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "The subscription pushes: it has no streams.")
        self._seconds = first.stream_ack_deadline_seconds
        # What is not above 0 is no bound [documented].
        self._most = first.max_outstanding_messages if first.max_outstanding_messages > 0 else _MOST_PULLED
        self._most_bytes = max(0, first.max_outstanding_bytes)
        self._out: dict[str, int] = {}  # the leases that hold, as far as was looked, oldest first; their bytes
        self._out_bytes = 0
        self._gone = threading.Event()

    def leave(self) -> None:
        """End: the client has gone."""
        _leave(self._subscription, self._gone)

    def take_in(self, request: Any) -> None:
        """Acknowledge and extend as the client's further requests say."""
        if request.stream_ack_deadline_seconds:
            checks.ack_deadline(request.stream_ack_deadline_seconds)
            self._seconds = request.stream_ack_deadline_seconds
        for lease in request.ack_ids:
            self._subscription.backlog.acknowledge(lease)
        for lease, seconds in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=False):
            checks.modified_deadline(seconds)
            self._subscription.modify_deadline(lease, seconds)

    def answers(self) -> Iterator[Any]:
        """What the client is sent, until it leaves.

        Raises:
            Refusal: NOT_FOUND, FAILED_PRECONDITION: the subscription has been deleted or detached meanwhile.
        """
        subscription = self._subscription
        while not self._gone.is_set():
            answer = pubsub.StreamingPullResponse.pb()()
            answer.subscription_properties.message_ordering_enabled = subscription.message.enable_message_ordering
            until = time.monotonic() + _KEEP_ALIVE
            for lease in _wait(subscription, self._room, float(self._seconds), until, self._gone):
                self._out[lease.id] = len(lease.message.data)
                self._out_bytes += len(lease.message.data)
                answer.received_messages.append(received(lease, counted=subscription.counted))
            subscription.pulled()
            if subscription.backlog.closed:
                raise missing(subscription.name)
            yield answer

    def _room(self) -> int:
        """How many messages may be sent now. Called under the backlog's lock."""
        leased = self._subscription.backlog.leased
        # Asked at each message and each acknowledgement, so it looks at the oldest as a rule, and at all where full.
        while self._out and not leased(oldest := next(iter(self._out))):
            self._out_bytes -= self._out.pop(oldest)
        if self._full():
            self._out = {lease: size for lease, size in self._out.items() if leased(lease)}
            self._out_bytes = sum(self._out.values())
        return 0 if self._full() else self._most - len(self._out)

    def _full(self) -> bool:
        # Bytes hold up the next message, never one that is too large by itself.
        return len(self._out) >= self._most or 0 < self._most_bytes <= self._out_bytes


def serve(broker: Broker, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
    """Serve one stream: requests come in on a thread of their own."""
    try:
        stream = Stream(broker, next(requests))
        if not context.add_callback(stream.leave):
            return
        threading.Thread(target=_read, args=(stream, requests), name="local-stream", daemon=True).start()
        yield from stream.answers()
    except StopIteration:
        return
    except Refusal as refusal:
        context.abort(refusal.code, refusal.message)


def _read(stream: Stream, requests: Iterator[Any]) -> None:
    try:
        for request in requests:
            stream.take_in(request)
    except (grpc.RpcError, Refusal, ValueError):
        pass  # the client has gone, or says what cannot be: the stream ends
    stream.leave()


def _leave(subscription: Subscription, gone: threading.Event) -> None:
    gone.set()
    with subscription.backlog.changed:
        subscription.backlog.changed.notify_all()


def _wait(
    subscription: Subscription, room: Callable[[], int], seconds: float, until: float, gone: threading.Event
) -> list[Lease]:
    """Lease what is due, or wait for it; none where the time is up or the caller has gone."""
    backlog = subscription.backlog
    with backlog.changed:
        while not (gone.is_set() or backlog.closed or subscription.message.detached):
            most = room()
            if most > 0 and (leases := backlog.take(most, seconds)):
                return leases
            left = until - time.monotonic()
            if left <= 0:
                break
            due = backlog.due_in() if most > 0 else None
            backlog.changed.wait(left if due is None else min(due, left))
    return []
