"""One schedule's world: a secret, the instances of a service that follow it, and Pub/Sub between them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .checks import Checks
from .machines import Instance, Worker
from .package import Copy
from .scheduler import SCHEDULER, Broken
from .secret_manager import ENABLED, NUMBER, Event, Truth, Version
from .threads import EPOCH


@dataclass
class Settings:
    """What kind of world it is."""

    instances: int = 1
    workers: int = 1
    platform: str = "always"  # or "requests": CPU only while a request runs
    preload: bool = False
    eager: bool = True
    entries: dict[str, dict[str, Any]] = field(default_factory=lambda: {"latest": {}})
    backstop: float = 3600.0
    tick: float = 1.0
    delay: float = 0.05  # of a delivery, typically; a few take a hundred times as long
    doubled: float = 0.0  # the chance that a message comes again
    latency: float = 0.02
    slow: float = 0.0  # the chance that an access takes seconds, or never ends
    failing: float = 0.0  # the chance that an access fails
    lag: float = 0.0  # how far behind reads may be
    skew: float = 0.0  # how wrong wall clocks are
    monotonic_stops: bool = False
    callbacks: float = 0.0  # how long callbacks take
    callbacks_fail: float = 0.0
    lead: int = 1  # versions that are there at the beginning
    jumpy: float = 0.1


class Source:
    """The `SecretSource` of every worker."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def access(self, name: Any, version: str, *, timeout: float) -> Any:
        world, worker, errors = self.world, SCHEDULER.process, self.world.copy.errors
        worker.flying += 1
        if worker.flying > len(world.settings.entries):
            raise Broken(
                f"{worker.name} has {worker.flying} accesses under way for {len(world.settings.entries)} entry"
            )
        world.accesses += 1
        try:
            self._travel(worker, timeout)
            found, exact = self._answer(version)
            self._travel(worker, timeout)
        finally:
            worker.flying -= 1
        world.say(
            worker, f"is told of {version}: {found.number if isinstance(found, Version) else found or 'NOT_FOUND'}"
        )
        if not exact:
            worker.trouble()
        if found is None:
            raise errors.VersionMissing(f"{version} does not exist")
        if not isinstance(found, Version):
            raise errors.VersionRefused(f"{version} is {found}", destroyed=found == "destroyed")
        names = world.copy.names
        full = names.VersionName(names.SecretName(NUMBER, name.secret), found.number)
        return world.copy.source.Payload(full, found.payload)

    def _travel(self, worker: Worker, timeout: float) -> None:
        """One way, or a failure."""
        world, chance = self.world, SCHEDULER.random
        settings = world.settings
        takes = settings.latency * chance()
        if settings.slow and chance() < settings.slow:
            takes = chance() * 8
        if takes >= timeout:
            SCHEDULER.block(timeout)
            worker.trouble()
            raise world.copy.errors.AccessFailed("no answer in time", transient=True)
        if takes > 0.5:
            worker.trouble(takes)
        SCHEDULER.block(takes)
        if settings.failing and chance() < settings.failing:
            worker.trouble()
            raise world.copy.errors.AccessFailed("an outage", transient=chance() < 0.7)

    def _answer(self, version: str) -> tuple[Any, bool]:
        truth, lag = self.world.truth, self.world.settings.lag
        if not lag:
            return truth.read(version, 0.0), True
        found = truth.read(version, lag * SCHEDULER.random())
        lies = version.isdecimal() and not isinstance(found, Version) and isinstance(truth.read(version, 0.0), Version)
        return found, not lies

    def after_fork(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""

    def forked(self, _copied: Any) -> "Source":
        return self


class Auth:
    """Lets in whatever comes: who may push is tried elsewhere."""

    def verify(self, authorization: str | None) -> str:
        return "pubsub"

    def announce(self) -> None:
        """Nothing to say."""

    def after_fork(self) -> None:
        """Nothing is held."""

    def forked(self, _copied: Any) -> "Auth":
        return self


class Log:
    """The package's logger, of which the simulation hears what happens."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # `logging`'s name
        return True

    def log(self, level: int, form: str, event: str, message: str, *, extra: Any) -> None:
        self._world.logged(event, message, extra["json_fields"])


class World:
    """Everything of one schedule.

    Args:
        copy: the copy of the package that runs in it.
        seed: decides everything that is left to chance.
        story: where lines of what happens are put; None for nowhere.
    """

    def __init__(self, copy: Copy, settings: Settings, seed: int, *, story: list[str] | None = None) -> None:
        SCHEDULER.reset(seed, jumpy=settings.jumpy)
        SCHEDULER.entered = self._entered
        self.copy = copy
        self.settings = settings
        self.story = story
        self.accesses = 0
        self.source = Source(self)
        self.auth = Auth()
        self.jitter = SCHEDULER.random
        self.messages: list[Message] = []
        self.instances: list[Instance] = []
        self.names = 0
        self.checks = Checks(self)
        self.truth = Truth("KEY", self.publish)
        copy.telemetry.LOGGER = Log(self)
        copy.telemetry.Voice.__call__ = self._heard
        copy.cache.at_fork = lambda cache: SCHEDULER.process.heap.forkables.append(cache)  # noqa: PLW0108  # of the process then
        copy.cache.at_exit = lambda cache: None
        copy.cache.in_a_master = lambda: SCHEDULER.process.master
        copy.listener.TICK = settings.tick

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
        for _ in range(self.settings.workers):
            instance.start_worker()
        return instance

    def failed_to_start(self, worker: Worker) -> None:
        """As gunicorn does: its master ends, the container with it, and the platform starts another."""
        self.checks.did_not_start(worker)
        instance = worker.instance
        if not instance.dead:
            self.restart(instance, after=2.0)

    def restart(self, instance: Instance, *, after: float) -> None:
        """An instance crashes, and another takes its place."""
        self.say(instance, "crashes")
        instance.crash()
        self.instances.remove(instance)
        SCHEDULER.at(SCHEDULER.now + after, self.start_instance)

    def end_of(self, worker: Worker, *, after: float) -> None:
        instance = worker.instance
        worker.die()

        SCHEDULER.at(SCHEDULER.now + after, lambda: self.replenish(instance))

    def replenish(self, instance: Instance) -> None:
        """As a server's master does: start workers in place of those that ended."""
        if not instance.dead and sum(w.pushed and not w.leaving for w in instance.workers) < self.settings.workers:
            instance.start_worker()

    def workers(self) -> list[Worker]:
        return [worker for instance in self.instances for worker in instance.workers]

    def known(self, heard: Iterable[Event]) -> Any:
        """What some events teach together."""
        known = self.copy.knowledge.Knowledge()
        for event in heard:
            news = self.copy.events.decode_push(event.body, received=0).knowledge()
            known = known if news is None else known.merge(news)
        return known

    # Pub/Sub.

    def publish(self, event: Event) -> None:
        self.say("Secret Manager", event.label)
        message = Message(self, event)
        self.messages.append(message)
        message.send()
        while SCHEDULER.random() < self.settings.doubled:
            message.send()

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


class Message:
    """One message of the push subscription, sent until it is acknowledged."""

    def __init__(self, world: World, event: Event) -> None:
        self.world = world
        self.event = event
        self.acked: float | None = None
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
        if self.acked is None:
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
        awake = {w: w.freezes for w in worker.instance.workers if w.joined and not w.frozen and w.loaded}
        worker.instance.came[event] = None
        world.say(worker, f"is pushed {event.label}")
        answer = worker.heap.handler({}, len(event.body), lambda most: event.body[:most])
        worker.pushes.pop(self, None)
        world.say(worker, f"answers {answer.name} to {event.label}")
        world.checks.answered(worker, event, answer, began, awake)
        if self.over:
            return
        self.over = True
        if answer.status == 204:
            self.message.acked = SCHEDULER.now
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


def usable(version: Version) -> bool:
    return version.state == ENABLED and version.good
