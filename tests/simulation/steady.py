"""What must hold once things have gone quiet: what each worker should serve then, and who is excused."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .checks import SHARED
from .scheduler import SCHEDULER, Broken
from .secret_manager import Event
from .serving import Served, held_by, is_cold, parsed, said, served


if TYPE_CHECKING:
    from .checks import Checks
    from .machines import Worker
    from .world import World


class Steady:
    """Say who is behind."""

    def __init__(self, world: "World", checks: "Checks") -> None:
        self.world = world
        self._checks = checks

    def wanted(self, label: str) -> Served | None:
        """What Secret Manager says should be served; None where it says nothing certain."""
        truth, alias = self.world.truth, self._checks.alias(label)
        usable = truth.enabled()
        if alias is not None:
            number = truth.life.aliased(alias, SCHEDULER.now)
            usable = [v for v in usable if v.number == number]
        if not usable or not usable[-1].good:
            return None
        return usable[-1].life, usable[-1].number

    def _changed(self) -> float:
        """When the secret was last changed."""
        return max([self.world.truth.life.born, *(event.stamp for event in self.world.events)])

    def behind(self) -> list[str]:
        """Which workers serve something else, as they stand; a cold one looks at its first read."""
        return [
            one
            for worker in self.world.workers()
            for label in worker.heap.handles
            for one in self._behind(worker, label)
        ]

    def _behind(self, worker: "Worker", label: str) -> list[str]:
        wanted, now, told = self.wanted(label), served(worker, label), worker.heap.told.get(label)
        if wanted is None or is_cold(worker, label) or self.cannot_know(worker, label):
            return []
        if now != wanted:
            return [f"{worker.name} serves {said(now)} for {label}, not {said(wanted)}"]
        if told is not None and parsed(told) != now:
            return [f"a callback of {worker.name} was last told {told}, and {said(now)} is served"]
        return []

    def looked(self, worker: "Worker", label: str, value: object, *, since: float, told: Iterable[Event] = ()) -> None:
        """Who looks after the last change serves what is so: whoever reads first, and whoever started after it.

        Args:
            worker: who serves a request.
            label: the entry.
            value: what the request got, or why it got nothing.
            since: when the worker looked at the earliest.
            told: see `cannot_know`.
        """
        truth, checks, wanted, changed = self.world.truth, self._checks, self.wanted(label), self._changed()
        failed = max(worker.trouble_at, worker.waited_until, worker.instance.unheard_at) >= since
        if wanted is None or failed or changed > since or self.cannot_know(worker, label, told):
            return
        version = truth.version(*wanted)
        # However far reads lag behind, what was added last is found by its number.
        added = version is truth.life.versions[-1] and len(version.states) == 1 and version.life == 1
        if checks.lagged and not (added and checks.alias(label) is None):
            return
        if self._half_heard(worker, label):
            return
        if not isinstance(value, str) or parsed(value) != wanted:
            raise Broken(
                f"{worker.name} has looked since the last change and gives a request {value}, not {said(wanted)}"
            )

    def revoked(self, worker: "Worker") -> None:
        """Between a creation and the first version the last good value stays, in who forks then as in its parent."""
        truth = self.world.truth
        anew = [
            event
            for event, _, answered in worker.instance.done
            if (event.kind, event.life) == ("SECRET_CREATE", truth.life.number) and answered < worker.started
        ]
        if anew and not truth.deleted and all(len(version.states) == 1 for version in truth.life.versions):
            raise Broken(f"reads raise at {worker.name}, although the secret has been created anew")

    def still_behind(self) -> list[str]:
        """Who misses a newer version, although it began to look since the last change and had time to look again."""
        settings, changed, found = self.world.settings, self._changed(), []
        if self._checks.lagged or settings.platform != "always":
            return []
        for worker in self.world.workers():
            for label in worker.heap.handles:
                looked = max(worker.asked.get(self._checks.alias(label) or "latest", [0.0]))
                tried = max(looked + SHARED, self._checks.retried_by(worker)) + settings.tick
                wanted, now = self.wanted(label), served(worker, label)
                newer = wanted is not None and now is not None and now < wanted
                if newer and changed < looked and tried < SCHEDULER.now:
                    found += self._behind(worker, label)
        return found

    def has_started(self, worker: "Worker") -> None:
        """Who has loaded serves what is so, as far as it was told while it did."""
        told = self._told(worker)
        for label in worker.heap.handles if told else []:
            held = held_by(worker, label)
            self.looked(worker, label, held.value if held is not None else None, since=worker.started, told=told)

    def did_not_start(self, worker: "Worker", why: Exception) -> None:
        """A worker must start where Secret Manager gave it all that it asked for, and that is steady.

        As a request, a start fails where the worker cannot join because one was stopped that holds the board's lock.
        """
        stopped = any(other.freezes for other in worker.instance.workers)
        if stopped and isinstance(why, self.world.copy.errors.BoardError):
            return
        settings = self.world.settings
        steady = self._changed() <= worker.started
        failed = max(worker.trouble_at, worker.instance.unheard_at) >= worker.started
        if self._checks.lagged or not steady or failed or worker.freezes:
            return
        told = self._told(worker)
        able = [
            self.wanted(label) and not (self.cannot_know(worker, label, told) or self._half_heard(worker, label))
            for label in settings.entries
        ]
        if all(able):
            raise Broken(f"{worker.name} does not start, although all that it follows is usable")

    def _half_heard(self, worker: "Worker", label: str) -> bool:
        """Where an alias pointed is known of events, and not all of them may have come, or had their turn."""
        heard = worker.instance.heard
        moved = [event for event in self.world.events if event.kind == "SECRET_UPDATE"]
        return self._checks.alias(label) is not None and any(event not in heard for event in moved)

    def _told(self, worker: "Worker") -> set[Event]:
        """What a worker knows that it has pulled while it starts, though it may not have acknowledged it yet."""
        settings, came = self.world.settings, worker.instance.came
        if settings.pushes or settings.workers > 1 or len(settings.entries) > 1:
            return set()  # another worker may have pulled it; another entry may have been read before it came
        return {event for event, when in came.items() if worker.started <= when < SCHEDULER.now}

    def cannot_know(self, worker: "Worker", label: str, told: Iterable[Event] = ()) -> bool:
        """Whether a worker heard something that only an event which passed its instance over refutes.

        Within the consistency window no read is stronger than an event, so the safety read does not help there: a
        version that was disabled and is enabled again, an alias that moved again, a secret that was deleted and is
        there again.

        Args:
            worker: the worker.
            label: the entry.
            told: what it knows besides what its instance has acknowledged.
        """
        heard, wanted = {*worker.instance.heard, *told}, self.wanted(label)
        if self.world.settings.monotonic_stops and any(event not in heard for event in self.world.events):
            return True  # its safety read is never due
        if wanted is None:
            return True
        life, number = wanted
        about = [e for e in self.world.events if (e.life, e.number) == (life, number)]
        if any(event.kind == "SECRET_VERSION_ENABLE" and event not in heard for event in about):
            return True
        if not self._checks.knows(worker, life):
            return True  # what it saw of the life before may be of the same numbers
        if life > 1 and any(event.kind == "SECRET_VERSION_ADD" and event not in heard for event in about):
            return True  # what it read of this life is void since it heard of the creation
        # What a worker was told before it died may be on the board, although nobody here acknowledged it: all of it, or
        # an enabling without what came after that.
        came = worker.instance.came
        enabled = [*heard, *(event for event in came if event.kind == "SECRET_VERSION_ENABLE")]
        return any(self._against(worker, label, wanted, events) for events in (heard, came, enabled))

    def _against(self, worker: "Worker", label: str, wanted: Served, told: Iterable[Event]) -> bool:
        known, alias = self.world.known(told), self._checks.alias(label)
        word, now = known.word(wanted[1]), served(worker, label)
        against = not known.exists or (word is not None and word.unusable)
        if alias is not None:
            return against or known.alias_target(alias) not in (None, wanted[1])
        # The refusal of a version that was said to be enabled lately passes for a lag, and is asked about again and
        # again: a first read may have no time left for what is below.
        numbers = [n for n in known.words if n > wanted[1] or (now is not None and n == now[1])]
        enabled = self.world.copy.knowledge.Claim.ENABLED
        return against or (now != wanted and any((w := known.word(n)) and w.claim == enabled for n in numbers))
