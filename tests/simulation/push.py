"""Pub/Sub's push: to one worker of one instance, again until it is acknowledged."""

from typing import TYPE_CHECKING

from .machines import Worker
from .scheduler import SCHEDULER
from .secret_manager import Event


if TYPE_CHECKING:
    from .world import World


class Message:
    """One message of the push subscription, sent until it is acknowledged."""

    def __init__(self, world: "World", event: Event) -> None:
        self.world = world
        self.event = event
        self.over = False  # acknowledged, or lost
        self.tries = 0

    def send(self) -> None:
        SCHEDULER.at(SCHEDULER.now + self.world.delivery(), self._arrive)

    def _arrive(self) -> None:
        able = [w for i in self.world.instances for w in i.workers if w.ready and w.pushed and not w.stopped]
        if not able:
            SCHEDULER.at(SCHEDULER.now + (1.0 if self.world.instances else 30.0 * SCHEDULER.random()), self._arrive)
            return
        worker = able[int(SCHEDULER.random() * len(able))]
        self.tries += 1
        Push(self, worker)

    def refused(self) -> None:
        """Not acknowledged: send it again, later and later."""
        if not self.over:
            pause = min(60.0, 0.1 * 2 ** min(self.tries, 10)) * (0.5 + SCHEDULER.random())
            SCHEDULER.at(SCHEDULER.now + pause, self._arrive)


class Push:
    """One delivery to one worker."""

    DEADLINE = 60.0

    def __init__(self, message: Message, worker: Worker) -> None:
        self.message = message
        self.worker = worker
        self.over = False
        worker.pushes[self] = None
        worker.run(self._handle, name="push")
        SCHEDULER.at(SCHEDULER.now + self.DEADLINE, self._late)

    def _handle(self) -> None:
        event, worker = self.message.event, self.worker
        world, began = worker.world, SCHEDULER.now
        awake = worker.instance.awake()
        worker.instance.came.setdefault(event, began)
        world.say(worker, f"is pushed {event.label}")
        answer = worker.heap.handler({}, len(event.body), lambda most: event.body[:most])
        worker.pushes.pop(self, None)
        world.say(worker, f"answers {answer.name} to {event.label}")
        world.checks.answered(worker, event, answer, began, awake)
        if self.over:
            return
        self.over = True
        if answer.status == 204:
            self.message.over = True
        else:
            self.message.refused()

    def broken(self) -> None:
        """The worker died."""
        self._ended()

    def _late(self) -> None:
        self._ended()

    def _ended(self) -> None:
        if not self.over:
            self.over = True
            self.message.refused()
