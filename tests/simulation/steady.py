"""What must hold once things have gone quiet: what each worker should serve then, and who is excused."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .scheduler import SCHEDULER, Broken
from .secret_manager import Event
from .serving import Served, is_cold, parsed, said, served


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

    def behind(self) -> list[str]:
        """Which workers serve something else, as they stand; a cold one looks at its first read."""
        found = []
        for worker in self.world.workers():
            for label in worker.heap.handles:
                wanted, now = self.wanted(label), served(worker, label)
                told = worker.heap.told.get(label)
                if wanted is None or is_cold(worker, label) or self.cannot_know(worker, label):
                    continue
                if now != wanted:
                    found.append(f"{worker.name} serves {said(now)} for {label}, not {said(wanted)}")
                elif told is not None and parsed(told) != now:
                    found.append(f"a callback of {worker.name} was last told {told}, and {said(now)} is served")
        return found

    def looked(self, worker: "Worker", label: str, value: object, *, since: float) -> None:
        """Who looks after the last change serves what is so: whoever reads first, and whoever started after it.

        Args:
            worker: who serves a request.
            label: the entry.
            value: what the request got, or why it got nothing.
            since: when the worker looked at the earliest.
        """
        truth, checks, wanted = self.world.truth, self._checks, self.wanted(label)
        changed = max([truth.life.born, *(e.stamp for e in self.world.events)])
        failed = max(worker.trouble_at, worker.waited_until, worker.instance.unheard_at) >= since
        if wanted is None or failed or changed > since or self.cannot_know(worker, label):
            return
        version = truth.version(*wanted)
        # However far reads lag behind, what was added last is found by its number.
        added = version is truth.life.versions[-1] and len(version.states) == 1 and version.life == 1
        if checks.lagged and not (added and checks.alias(label) is None):
            return
        # Where an alias pointed is known of events, and what came may wait for its turn.
        unheard = any(e.kind == "SECRET_UPDATE" and e not in worker.instance.heard for e in self.world.events)
        if checks.alias(label) is not None and unheard:
            return
        if not isinstance(value, str) or parsed(value) != wanted:
            raise Broken(
                f"{worker.name} has looked since the last change and gives a request {value}, not {said(wanted)}"
            )

    def did_not_start(self, worker: "Worker", why: Exception) -> None:
        """A worker must start where Secret Manager gave it all that it asked for, and that is steady.

        As a request, a start fails where the worker cannot join because one was stopped that holds the board's lock.
        """
        stopped = any(other.freezes for other in worker.instance.workers)
        if stopped and isinstance(why, self.world.copy.errors.BoardError):
            return
        truth, settings = self.world.truth, self.world.settings
        steady = max([truth.life.born, *(e.stamp for e in self.world.events)]) <= worker.started
        failed = max(worker.trouble_at, worker.instance.unheard_at) >= worker.started
        # Who joins waits for a lock that one who is stopped may hold.
        disturbed = any(other.freezes for other in [worker, *worker.instance.workers])
        if self._checks.lagged or not steady or failed or disturbed:
            return
        if all(self.wanted(label) and not self.cannot_know(worker, label) for label in settings.entries):
            raise Broken(f"{worker.name} does not start, although all that it follows is usable")

    def cannot_know(self, worker: "Worker", label: str) -> bool:
        """Whether a worker heard something that only an event which passed its instance over refutes.

        Within the consistency window no read is stronger than an event, so the safety read does not help there: a
        version that was disabled and is enabled again, an alias that moved again, a secret that was deleted and is
        there again.
        """
        heard, wanted = worker.instance.heard, self.wanted(label)
        if self.world.settings.monotonic_stops and any(event not in heard for event in self.world.events):
            return True  # its safety read is never due
        if wanted is None:
            return True
        life, number = wanted
        told = [e for e in self.world.events if (e.life, e.number) == (life, number)]
        if any(event.kind == "SECRET_VERSION_ENABLE" and event not in heard for event in told):
            return True
        if not self._checks.knows(worker, life):
            return True  # what it saw of the life before may be of the same numbers
        if life > 1 and any(event.kind == "SECRET_VERSION_ADD" and event not in heard for event in told):
            return True  # what it read of this life is void since it heard of the creation
        # What a worker was told before it died may be on the board, although nobody here acknowledged it: all of it, or
        # an enabling without what came after that.
        came = worker.instance.came
        enabled = [*heard, *(event for event in came if event.kind == "SECRET_VERSION_ENABLE")]
        return any(self._against(worker, label, wanted, told) for told in (heard, came, enabled))

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
