"""Pub/Sub as a fleet's client sees it: a topic that retains, subscriptions with leases, and streams that break.

`Client` and `StreamingPull` are what `receiver.fleet.subscriptions` calls of Google's client; all of the fleet above
that is the real code. A process that touches what it inherited by a fork breaks a promise.
"""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from .scheduler import SCHEDULER, Broken
from .secret_manager import PROJECT, Event
from .threads import EPOCH


if TYPE_CHECKING:
    from .machines import Worker
    from .world import World


#: Seconds within which a server notices that a client has died, and for which the client's leases last: from, to.
NOTICED, LEASE = 1.0, (10.0, 60.0)


class Topic:
    """The topic, and the subscriptions on it."""

    PATH = f"projects/{PROJECT}/topics/secret-events"

    def __init__(self, world: "World") -> None:
        self.world = world
        self.subscriptions: dict[str, Subscription] = {}

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
        return back or event.stamp > self.created

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
        streams[int(SCHEDULER.random() * len(streams))].bring(Pulled(self))

    def acknowledge(self) -> None:
        self.acked = True
        self.subscription.open.pop(self, None)


class Pulled:
    """A message in a client's hands: leased, and the lease is lengthened for as long as the client runs."""

    def __init__(self, delivery: Delivery) -> None:
        event = delivery.event
        self.delivery = delivery
        self.event = event
        self.attributes, self.data = event.message.attributes, event.message.data
        self.message_id, self.publish_time = event.message.message_id, event.message.publish_time
        self.over = False  # the lease
        self.answered = False
        self.began = 0.0
        self.awake: dict[Worker, int] = {}
        self.stream: StreamingPull | None = None
        self._term = LEASE[0] + (LEASE[1] - LEASE[0]) * SCHEDULER.random()

    def lease(self, stream: "StreamingPull") -> None:
        self.stream = stream
        SCHEDULER.at(SCHEDULER.now + self._term, self._renew)

    def _renew(self) -> None:
        if self.over or self.delivery.acked:
            return
        if self.stream.runs and not self.answered and not self._silent:
            SCHEDULER.at(SCHEDULER.now + self._term, self._renew)
        else:
            self.dropped()

    @property
    def _silent(self) -> bool:
        return self.stream.process.dead or self.stream.process.frozen

    def dropped(self, after: float = 0.0) -> None:
        """It comes again."""
        self.over = True
        self.delivery.again(after)

    def ack(self) -> None:
        self._answer(True)

    def nack(self) -> None:
        self._answer(False)

    def forked(self, _copied: Any) -> "Pulled":
        return self

    def _answer(self, done: bool) -> None:
        self.answered = True
        self.stream.process.world.hearing.answered(self, done)
        # What is answered on a stream that has ended, or by a process that dies at once, is lost.
        SCHEDULER.at(SCHEDULER.now + 0.05 * SCHEDULER.random(), lambda: self._reaches(done))

    def _reaches(self, done: bool) -> None:
        if self.over or not self.stream.runs or self._silent:
            return
        self.over = True
        if done:
            self.delivery.acknowledge()
        else:
            self.delivery.again(min(60.0, 2.0 ** (self.delivery.tries - 1)))


class StreamingPull:
    """The future of `SubscriberClient.subscribe`; calls back on one thread of its process."""

    def __init__(self, client: "Client", path: str, callback: Any) -> None:
        self.process: Worker = client.process
        self.runs = True
        self._topic, self._path, self._callback = client.world.topic, path, callback
        self._subscription: Subscription | None = None
        self._error: Exception | None = None
        self._queue: list[Pulled] = []
        self._busy = False
        self.process.streams.append(self)
        SCHEDULER.at(SCHEDULER.now + client.world.settings.pubsub_latency * SCHEDULER.random(), self._attach)

    def _attach(self) -> None:
        if not self.runs:
            return
        found = self._subscription = self._topic.subscriptions.get(self._path)
        if found is None:
            self.end(exceptions.NotFound("no such subscription"))
            return
        found.streams.append(self)
        waiting, found.waiting = found.waiting, []
        for delivery in waiting:
            delivery.again(0.0)

    def bring(self, pulled: Pulled) -> None:
        pulled.lease(self)
        if self.process.dead:
            return
        self._queue.append(pulled)
        if not self._busy:
            self._busy = True
            SCHEDULER.spawn(self.process, self._call, name="stream")

    def _call(self) -> None:
        while self._queue:
            pulled = self._queue.pop(0)
            worker = self.process
            pulled.began, pulled.awake = SCHEDULER.now, worker.instance.awake()
            worker.instance.came[pulled.event] = None
            worker.world.say(worker, f"pulls {pulled.event.label}")
            self._callback(pulled)
        self._busy = False

    def end(self, error: Exception | None) -> None:
        """It breaks, or is closed: what waits goes back."""
        self.runs, self._error = False, error
        if self in self.process.streams:
            self.process.streams.remove(self)
        self._leave()
        waiting, self._queue = self._queue, []
        for pulled in waiting:
            pulled.dropped(0.05)

    def lost(self) -> None:
        """Its process has died, which the server notices a little later."""
        SCHEDULER.at(SCHEDULER.now + NOTICED * SCHEDULER.random(), self._leave)

    def _leave(self) -> None:
        if self._subscription is not None and self in self._subscription.streams:
            self._subscription.streams.remove(self)

    def done(self) -> bool:
        _only(self.process)
        return not self.runs

    def exception(self) -> Exception | None:
        _only(self.process)
        return self._error

    def cancel(self) -> None:
        _only(self.process)
        if self.runs:
            self.end(None)

    def result(self, timeout: float) -> None:
        _only(self.process)
        SCHEDULER.block(min(timeout, 0.1 * SCHEDULER.random()))

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

    def subscribe(self, path: str, *, callback: Any, flow_control: Any, scheduler: Any) -> StreamingPull:
        _only(self.process)
        return StreamingPull(self, path, callback)

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

    def close(self) -> None:
        _only(self.process)

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


types = SimpleNamespace(FlowControl=lambda max_messages: max_messages)
scheduler = SimpleNamespace(Scheduler=object)
