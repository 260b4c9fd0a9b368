"""Pub/Sub's pull side: a topic that retains, subscriptions, and leases of messages; `client.py` is the way to it."""

from itertools import count
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from .scheduler import SCHEDULER
from .secret_manager import PROJECT, Event


if TYPE_CHECKING:
    from .client import StreamingPull
    from .machines import Worker
    from .world import World


#: No two changes have the same moment, so that an event may seem a little younger than it is.
MOMENT = 1e-3


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
        back = self.world.settings.retained and (self.sought or not self.unsought)
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
        worker.instance.came.setdefault(self.event, self.began)
        worker.world.say(worker, f"pulls {self.event.label}")

    def answered(self, done: bool, topic: Topic) -> None:
        """The client sends an answer, which may be lost on its way."""
        worker = self.worker
        worker.world.hearing.answered(self, done)
        SCHEDULER.at(SCHEDULER.now + 0.05 * SCHEDULER.random(), lambda: self._arrives(done, topic))

    def _arrives(self, done: bool, topic: Topic) -> None:
        # What the dead have answered is lost on its way, and comes again when its lease ends.
        if self.worker.dead or topic.leases.pop(self.ack_id, None) is None:
            return
        if done:
            self.delivery.acknowledge()
        else:
            self.delivery.again(min(60.0, 2.0 ** (self.delivery.tries - 1)))

    def dropped(self, after: float = 0.0) -> None:
        """It comes again."""
        if not self.delivery.acked and self.worker.world.topic.leases.pop(self.ack_id, None) is self:
            self.delivery.again(after)
