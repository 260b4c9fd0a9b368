"""Google's client as `receiver.fleet` calls it: streams that break, and calls that fail or are denied.

A process that touches what it inherited by a fork breaks a promise.
"""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from .pubsub import Delivery, Pulled, Subscription, Topic
from .scheduler import SCHEDULER, Broken
from .threads import EPOCH


if TYPE_CHECKING:
    from .machines import Worker
    from .world import World


#: Seconds within which a server notices that a client has died.
NOTICED = 1.0


class Received:
    """What a stream brings: one message, as the client's library has it."""

    def __init__(self, pulled: Pulled) -> None:
        self.received_messages = [SimpleNamespace(ack_id=pulled.ack_id, message=pulled.message)]

    @staticmethod
    def pb(received: "Received") -> "Received":
        return received


class StreamingPull:
    """What `SubscriberClient.streaming_pull` gives: it sends what it is given to send, and brings messages."""

    def __init__(self, client: "Client", requests: Iterator[Any]) -> None:
        self.process: Worker = client.process
        self.topic = client.world.topic
        self.runs = True
        self.lease = 0
        self._latency = client.world.settings.pubsub_latency
        self._subscription: Subscription | None = None
        self._error: BaseException | None = None
        self._queue: list[Pulled] = []
        self._reader: Any = None
        self.process.streams.append(self)
        SCHEDULER.spawn(self.process, lambda: self._send(requests), name="requests")

    def _send(self, requests: Iterator[Any]) -> None:
        for request in requests:
            if not self.runs:
                return
            if request.subscription:
                self.lease = request.stream_ack_deadline_seconds
                path = request.subscription
                SCHEDULER.at(SCHEDULER.now + self._latency * SCHEDULER.random(), lambda path=path: self._attach(path))
            for done, ids in ((True, request.ack_ids), (False, request.modify_deadline_ack_ids)):
                for ack_id in ids:
                    self._answer(ack_id, done)

    def _answer(self, ack_id: str, done: bool) -> None:
        pulled = self.topic.leases.get(ack_id)
        if pulled is not None:  # else its lease has ended
            pulled.answered(done, self.topic)

    def _attach(self, path: str) -> None:
        if not self.runs or self.process.dead:
            return
        found = self._subscription = self.topic.subscriptions.get(path)
        if self.process.world.settings.denied:
            self.end(exceptions.PermissionDenied("it lacks the role"))
        elif found is None:
            self.end(exceptions.NotFound("no such subscription"))
        else:
            found.streams.append(self)
            waiting, found.waiting = found.waiting, []
            for delivery in waiting:
                delivery.again(0.0)

    def bring(self, delivery: Delivery) -> None:
        pulled = Pulled(delivery, self)
        if not self.process.dead:
            self._queue.append(pulled)
            self._stir()

    def _stir(self) -> None:
        if self._reader is not None:
            SCHEDULER.wake(self._reader)

    def __iter__(self) -> "StreamingPull":
        return self

    def __next__(self) -> Received:
        _only(self.process)
        while not self._queue:
            if self._error is not None:
                raise self._error
            self._reader = SCHEDULER.current
            SCHEDULER.block()
        pulled = self._queue.pop(0)
        pulled.taken()
        return Received(pulled)

    def cancel(self) -> None:
        _only(self.process)
        if self.runs:
            self.end(exceptions.Cancelled("the client has ended it"))

    def end(self, error: BaseException) -> None:
        """It breaks, or is closed: what was on its way comes again, at the latest when its lease ends."""
        self.runs, self._error = False, error
        if self in self.process.streams:
            self.process.streams.remove(self)
        self.leave()
        waiting, self._queue = self._queue, []
        for pulled in waiting:
            if SCHEDULER.random() < 0.5:
                pulled.dropped(0.05)
        self._stir()

    def lost(self) -> None:
        """Its process has died, which the server notices a little later."""
        SCHEDULER.at(SCHEDULER.now + NOTICED * SCHEDULER.random(), self.leave)

    def leave(self) -> None:
        if self._subscription is not None and self in self._subscription.streams:
            self._subscription.streams.remove(self)

    def forked(self, _copied: Any) -> "StreamingPull":
        return self


class Client:
    """`SubscriberClient`."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.process: Worker = SCHEDULER.process

    def create_subscription(self, *, request: Any, timeout: float, retry: Any) -> None:
        self._travel(timeout)
        topic = self.world.topic
        if request["name"] in topic.subscriptions:
            raise exceptions.AlreadyExists(request["name"])
        made = topic.subscriptions[request["name"]] = Subscription(self.world, request["name"], request["labels"])
        self.world.say(self.process, f"has made {made.path.rpartition('/')[2]}")
        self._travel(timeout)

    def get_subscription(self, *, subscription: str, timeout: float, retry: Any) -> Any:
        self._travel(timeout)
        return SimpleNamespace(topic=Topic.PATH, labels=self._find(subscription).labels)

    def seek(self, *, request: Any, timeout: float, retry: Any) -> None:
        found = self._find(request["subscription"])
        found.unsought = True
        self._travel(timeout)
        back = request["time"]["seconds"] * 10**9 + request["time"]["nanos"]
        found.seek((back - EPOCH) / 1e9)
        self._travel(timeout)

    def streaming_pull(self, *, requests: Iterator[Any], retry: Any, timeout: Any, metadata: Any) -> StreamingPull:
        _only(self.process)
        return StreamingPull(self, requests)

    def update_subscription(self, *, request: Any, timeout: float, retry: Any) -> None:
        self._travel(timeout)
        self._find(request["subscription"]["name"]).labels = request["subscription"]["labels"]

    def list_subscriptions(self, *, request: Any, timeout: float, retry: Any) -> list[Any]:
        self._travel(timeout)
        found = self.world.topic.subscriptions.values()
        return [SimpleNamespace(name=one.path, topic=Topic.PATH, labels=one.labels) for one in found]

    def delete_subscription(self, *, subscription: str, timeout: float, retry: Any) -> None:
        self._travel(timeout)
        self._find(subscription).delete()
        del self.world.topic.subscriptions[subscription]
        self.world.say(self.process, f"has deleted {subscription.rpartition('/')[2]}")
        self._travel(timeout)

    @property
    def transport(self) -> "Client":
        return self

    def close(self) -> None:
        _only(self.process)
        for stream in list(self.process.streams):
            stream.cancel()

    def _find(self, path: str) -> Subscription:
        found = self.world.topic.subscriptions.get(path)
        if found is None:
            raise exceptions.NotFound(path)
        return found

    def _travel(self, timeout: float) -> None:
        """One way, or a failure."""
        _only(self.process)
        settings, chance = self.world.settings, SCHEDULER.random
        if settings.denied:
            self._fail(exceptions.PermissionDenied("it lacks the role"))
        SCHEDULER.block(settings.pubsub_latency * chance())
        if settings.pubsub_failing and chance() < settings.pubsub_failing:
            if chance() < 0.3:
                SCHEDULER.block(timeout)
                self._fail(exceptions.DeadlineExceeded("no answer in time"))
            self._fail(exceptions.ServiceUnavailable("an outage"))

    def _fail(self, error: Exception) -> None:
        self.process.instance.unheard_at = SCHEDULER.now
        raise error

    def forked(self, _copied: Any) -> "Client":
        return self


def _only(process: "Worker") -> None:
    if SCHEDULER.process is not process:
        raise Broken(f"{SCHEDULER.process.name} touches what it inherited from {process.name}")


def _request(
    *,
    subscription: str = "",
    stream_ack_deadline_seconds: int = 0,
    max_outstanding_messages: int = 0,
    ack_ids: Sequence[str] = (),
    modify_deadline_ack_ids: Sequence[str] = (),
    modify_deadline_seconds: Sequence[int] = (),
) -> Any:
    return SimpleNamespace(
        subscription=subscription,
        stream_ack_deadline_seconds=stream_ack_deadline_seconds,
        ack_ids=ack_ids,
        modify_deadline_ack_ids=modify_deadline_ack_ids,
    )


types = SimpleNamespace(StreamingPullRequest=_request)
