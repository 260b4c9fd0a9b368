"""One schedule's world: a secret, the instances of a service that follow it, and Pub/Sub between them."""

from collections.abc import Iterable
from itertools import count
from types import SimpleNamespace
from typing import Any

from .checks import Checks
from .client import Client
from .hearing import Hearing
from .instances import Instance
from .machines import Worker
from .package import Copy
from .ports import Auth, Log, Source
from .pubsub import Topic
from .push import Message
from .scheduler import SCHEDULER, Broken
from .secret_manager import Event, Truth
from .settings import Settings
from .steady import Steady
from .threads import EPOCH


class World:
    """Everything of one schedule. The scheduler has begun it already.

    Args:
        copy: the copy of the package that runs in it.
        story: where lines of what happens are put; None for nowhere.
    """

    def __init__(self, copy: Copy, settings: Settings, *, story: list[str] | None = None) -> None:
        SCHEDULER.entered = self._entered
        self.copy = copy
        self.settings = settings
        self.story = story
        self.accesses = 0
        self.source = Source(self)
        self.auth = Auth()
        self.jitter = SCHEDULER.random
        self.events: list[Event] = []
        self.messages: list[Message] = []
        self.instances: list[Instance] = []
        self.ended: list[Instance] = []  # in good order, or about to
        self.names = 0
        self.pids = count(100).__next__
        self.checks = Checks(self)
        self.steady = Steady(self, self.checks)
        self.topic = Topic(self)
        self.hearing = Hearing(self)
        self.truth = Truth("KEY", self.publish)
        self._furnish(copy)

    def _furnish(self, copy: Copy) -> None:
        """Put what is simulated in place of what touches the outside."""
        settings = self.settings
        copy.telemetry.LOGGER = Log(self)
        copy.telemetry.Voice.__call__ = self._heard
        copy.cache.at_fork = lambda cache: SCHEDULER.process.heap.forkables.append(cache)  # noqa: PLW0108  # of the process then
        copy.cache.at_exit = lambda cache: None
        copy.cache.in_a_master = lambda: SCHEDULER.process.master
        copy.listener.TICK = settings.tick
        copy.leaving.sys = SimpleNamespace(modules={"gunicorn.arbiter"} if settings.gunicorn else set())
        copy.leaving._has_younger_children = lambda _: SCHEDULER.process.has_younger_siblings
        if settings.pulls:
            copy.hearing._is_installed = lambda: True
            copy.instance._ask_metadata = self._ask_metadata
            copy["fleet.subscriptions"]._connect = lambda: Client(self)
            self.hurry(0.25)

    def end(self) -> None:
        """Let go of everything."""
        SCHEDULER.end()
        copy = self.copy
        copy.telemetry.LOGGER = copy.telemetry.Voice.__call__ = None
        copy.cache.in_a_master = copy.cache.at_fork = None
        if self.settings.pulls:
            copy.instance._ask_metadata = copy["fleet.subscriptions"]._connect = None

    def hurry(self, beat: float) -> None:
        """Set how often the members of a fleet look around; the package's own is a quarter of a second."""
        if self.settings.pulls:
            self.copy["fleet.member"].BEAT, self.copy["fleet.term"].LOOK = beat, 2 * beat

    def _ask_metadata(self, environ: Any) -> str | None:
        SCHEDULER.block(2 * SCHEDULER.random() ** 4)
        return f"{SCHEDULER.process.instance.name}0" if SCHEDULER.random() < 0.8 else None

    def forked(self, _copied: Any) -> "World":
        """The world is no part of a process."""
        return self

    def _entered(self, process: Any) -> None:
        if isinstance(process, Worker):
            self.copy.locks._BOOK = process.book

    def wall(self) -> int:
        """Wall time in nanoseconds as the running process's machine has it."""
        process = SCHEDULER.process
        skew = process.instance.skew if isinstance(process, Worker) else 0.0
        return EPOCH + int((SCHEDULER.now + skew) * 1e9)

    def skew(self) -> float:
        return (2 * SCHEDULER.random() - 1) * self.settings.skew if self.settings.skew else 0.0

    def say(self, who: Any, what: str) -> None:
        """Put a line into the story."""
        if self.story is not None:
            name = who if isinstance(who, str) else who.name
            self.story.append(f"{SCHEDULER.now:10.3f}  {name:<14} {what}")

    # What happens to instances and workers.

    def start_instance(self) -> Instance:
        self.names += 1
        instance = Instance(self, f"i{self.names}")
        self.instances.append(instance)
        self.say(instance, "starts")
        instance.start()
        return instance

    def failed_to_start(self, worker: Worker, why: Exception) -> None:
        """As gunicorn does: its master ends, the container with it, and the platform starts another."""
        self.steady.did_not_start(worker, why)
        instance = worker.instance
        if instance.ending:
            worker.die()
        elif not instance.dead:
            self.restart(instance, after=2.0)

    def restart(self, instance: Instance, *, after: float) -> None:
        """An instance crashes, and another takes its place."""
        self.say(instance, "crashes")
        instance.crash()
        self.instances.remove(instance)
        SCHEDULER.at(SCHEDULER.now + after, self.start_instance)

    def scale_in(self, instance: Instance) -> None:
        """An instance ends in good order, after another has taken its place."""
        self.start_instance()
        self.say(instance, "is ended")
        self.instances.remove(instance)
        self.ended.append(instance)
        instance.end_in_order()

    def end_of(self, worker: Worker, *, after: float) -> None:
        instance = worker.instance
        worker.die()

        SCHEDULER.at(SCHEDULER.now + after, lambda: self.replenish(instance))

    def replenish(self, instance: Instance) -> None:
        """As a server's master does: start workers in place of those that ended."""
        gone = instance.dead or instance.ending
        if not gone and sum(w.pushed and not w.leaving for w in instance.workers) < self.settings.workers:
            instance.start_worker()

    def workers(self) -> list[Worker]:
        return [worker for instance in self.instances for worker in instance.workers]

    def known(self, heard: Iterable[Event]) -> Any:
        """What some events teach together."""
        known = self.copy.knowledge.Knowledge()
        for event in heard:
            if event.lesson is None:
                event.lesson = self.copy.events.decode_push(event.body, received=0).knowledge() or known
            known = known.merge(event.lesson)
        return known

    # Pub/Sub.

    def publish(self, event: Event) -> None:
        self.say("Secret Manager", event.label)
        self.events.append(event)
        self.topic.publish(event)
        if not self.settings.pushes:
            return
        if self.is_lost():
            self.say("Pub/Sub", f"loses the push of {event.label}")
            return
        message = Message(self, event)
        self.messages.append(message)
        message.send()
        while SCHEDULER.random() < self.settings.doubled:
            message.send()

    def is_lost(self) -> bool:
        """Whether a message is lost on one of its ways."""
        return bool(self.settings.dropped) and SCHEDULER.random() < self.settings.dropped

    def delivery(self) -> float:
        """How long a delivery takes: most are quick, some very late."""
        chance = SCHEDULER.random()
        return self.settings.delay * (chance if chance < 0.8 else 100 * (chance - 0.8))

    # What the package says of itself.

    def logged(self, event: str, message: str, fields: dict[str, Any]) -> None:
        worker = SCHEDULER.process
        if self.story is not None:
            self.say(worker, f"logs {event}: {message}")
        if event in _CHANGES:
            self.checks.changed(worker)
        elif event == "fallback_served" and worker.freezes:
            worker.trouble()  # it had no time left to look, and who comes next is given what stands in
        elif event == "pull_answered":
            worker.answers.setdefault(fields["message_id"], []).append((SCHEDULER.now, fields["answer"]))
        elif event in _FAULTS:
            raise Broken(f"{worker.name} logs {event}: {message} {fields}")

    def _heard(self, level: int, event: str, message: str, *, roll: bool = False, **fields: Any) -> None:
        """In place of `Voice`: who speaks is known here, and the roll of all workers is dear."""
        self.logged(event, message, fields)

    def called_back(self, held: Any) -> None:
        """In a callback of the service's."""
        if self.settings.callbacks:
            SCHEDULER.block(self.settings.callbacks * SCHEDULER.random())
        if self.settings.callbacks_fail and SCHEDULER.random() < self.settings.callbacks_fail:
            raise ValueError("the callback fails")


_CHANGES = frozenset({"loaded", "refreshed", "stepped_back", "backstop_found"})

#: What is never logged unless something in the package went wrong.
_FAULTS = frozenset(
    {"tick_failed", "sibling_apply_failed", "siblings_trouble", "sibling_unreadable", "push_unreadable"}
)
