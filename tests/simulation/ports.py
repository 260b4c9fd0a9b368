"""What stands at the package's ports: the source of values, who may push, and the log."""

from typing import TYPE_CHECKING, Any

from .machines import Worker
from .scheduler import SCHEDULER, Broken
from .secret_manager import NUMBER, Version


if TYPE_CHECKING:
    from .world import World


#: So often within so many seconds a worker asks for the same at most: for each event that comes, say.
AGAIN, WHILE = 40, 5.0


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
        self._once(worker, version)
        world.accesses += 1
        deadline = SCHEDULER.now + timeout
        try:
            self._travel(worker, timeout)
            found, exact = self._answer(version)
            self._travel(worker, deadline - SCHEDULER.now)
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

    def _once(self, worker: Worker, version: str) -> None:
        """Nobody asks the same in a circle, while one answer has to do."""
        asked = worker.asked.setdefault(version, [])
        asked.append(SCHEDULER.now)
        if len(asked) > AGAIN and asked.pop(0) > SCHEDULER.now - WHILE:
            raise Broken(f"{worker.name} has asked for {version} {AGAIN} times in {WHILE:g} s")

    def _travel(self, worker: Worker, timeout: float) -> None:
        """One way, or a failure."""
        world, chance = self.world, SCHEDULER.random
        settings = world.settings
        takes = settings.latency * chance()
        if settings.slow and chance() < settings.slow:
            takes = chance() * 8
        if takes >= timeout:
            if timeout > 0:  # else whoever asks was stopped on the way
                # From now on, since whoever waits for it may give up in the very moment in which it ends.
                worker.trouble(timeout)
            SCHEDULER.block(timeout)
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
