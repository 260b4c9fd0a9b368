"""Pub/Sub as a fleet's client sees it: a topic that retains, subscriptions with leases, and streams that break.

`Client` and `StreamingPull` are what `receiver.fleet` calls of Google's client; all of the fleet above that is the
real code. A process that touches what it inherited by a fork breaks a promise.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from .scheduler import SCHEDULER, Broken
from .secret_manager import PROJECT, Event
from .threads import EPOCH


if TYPE_CHECKING:
    from .machines import Worker
    from .world import World


#: No two changes have the same moment, so that an event may seem a little younger than it is.
MOMENT = 1e-3
#: Seconds within which a server notices that a client has died.
NOTICED = 1.0


class Topic:
    """The topic, and the subscriptions on it."""

    PATH = f"projects/{PROJECT}/topics/secret-events"

    def __init__(self, world: "World") -> None:
        self.world = world
        self.subscriptions: dict[str, Subscription] = {}
        self.leases: dict[str, Pulled] = {}  # by the id that an answer names
        self.leased = count(1).__next__

    def publish(self, event: Event) -> None:
        for subscription in self.subscriptions.values():
            subscription.take(event)

    def of(self, instance: Any) -> list["Subscription"]:
        """An instance's subscriptions."""
        return [found for found in self.subscriptions.values() if found.instance is instance]


class Subscription:
    """One subscription, as an instance made it."""

    def __init__(self, world: "World", path: str, labels: dict[str, str]) -> None:
        self.world = world
        self.path = path
        self.labels = labels
        self.maker: Worker = SCHEDULER.process
        self.instance = self.maker.instance
        self.created = SCHEDULER.now
        self.sought = False
        self.unsought = False  # because Pub/Sub failed
        self.gone = False
        self.streams: list[StreamingPull] = []
        self.waiting: list[Delivery] = []  # for a stream
        self.open: dict[Delivery, None] = {}  # not acknowledged
        self.lost: dict[Event, None] = {}

    def take(self, event: Event) -> None:
        if self.world.is_lost():
            self.lost[event] = None
            return
        Delivery(self, event)
        while SCHEDULER.random() < self.world.settings.doubled:
            Delivery(self, event)

    def seek(self, since: float) -> None:
        self.sought = True
        if self.world.settings.retained:
            for event in self.world.events:
                if event.stamp >= since:
                    self.lost.pop(event, None)
                    Delivery(self, event)

    def brings(self, event: Event) -> bool:
        """Whether an event must come by this subscription, sooner or later."""
        if event in self.lost:
            return False
        back = self.world.settings.retained and (self.sought or not (self.unsought or self.maker.dead))
        return back or event.stamp > self.created + MOMENT

    def delete(self) -> None:
        self.gone = True
        for stream in list(self.streams):
            stream.end(exceptions.NotFound("the subscription is gone"))


class Delivery:
    """One message of one subscription, until it is acknowledged."""

    def __init__(self, subscription: Subscription, event: Event) -> None:
        self.subscription = subscription
        self.event = event
        self.acked = False
        self.tries = 0
        subscription.open[self] = None
        self.again(subscription.world.delivery())

    def again(self, after: float) -> None:
        SCHEDULER.at(SCHEDULER.now + after, self._go)

    def _go(self) -> None:
        subscription = self.subscription
        if self.acked or subscription.gone:
            return
        streams = subscription.streams
        if not streams:
            subscription.waiting.append(self)
            return
        self.tries += 1
        streams[int(SCHEDULER.random() * len(streams))].bring(self)

    def acknowledge(self) -> None:
        self.acked = True
        self.subscription.open.pop(self, None)


class Pulled:
    """A message in a client's hands, for as long as its lease lasts."""

    def __init__(self, delivery: Delivery, stream: "StreamingPull") -> None:
        event = delivery.event
        self.delivery = delivery
        self.event = event
        self.message = event.message
        self.worker: Worker = stream.process
        self.ack_id = str(stream.topic.leased())
        self.began = SCHEDULER.now
        self.awake: dict[Worker, int] = {}
        stream.topic.leases[self.ack_id] = self
        SCHEDULER.at(SCHEDULER.now + stream.lease, self.dropped)

    def taken(self) -> None:
        """The client hands it on."""
        worker, self.began = self.worker, SCHEDULER.now
        self.awake = worker.instance.awake()
        worker.instance.came[self.event] = None
        worker.world.say(worker, f"pulls {self.event.label}")

    def answered(self, done: bool, topic: Topic) -> None:
        """The client sends an answer, which may be lost on its way."""
        worker = self.worker
        worker.world.hearing.answered(self, done)
        SCHEDULER.at(SCHEDULER.now + 0.05 * SCHEDULER.random(), lambda: self._arrives(done, topic))

    def _arrives(self, done: bool, topic: Topic) -> None:
        if topic.leases.pop(self.ack_id, None) is None or self.worker.dead:
            return
        if done:
            self.delivery.acknowledge()
        else:
            self.delivery.again(min(60.0, 2.0 ** (self.delivery.tries - 1)))

    def dropped(self, after: float = 0.0) -> None:
        """It comes again."""
        if not self.delivery.acked and self.worker.world.topic.leases.pop(self.ack_id, self) is self:
            self.delivery.again(after)


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
        made.unsought = True
        self._travel(timeout)
        made.unsought = False

    def get_subscription(self, *, subscription: str, timeout: float, retry: Any) -> Any:
        self._travel(timeout)
        return SimpleNamespace(topic=self._find(subscription).world.topic.PATH)

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
