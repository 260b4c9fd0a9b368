"""What must hold of instances that hear for themselves: who leads, what is acknowledged, and what must have come."""

from typing import TYPE_CHECKING

from .checks import ANSWERED, MOMENT
from .scheduler import SCHEDULER, Broken
from .secret_manager import Event
from .serving import is_cold, said, served


if TYPE_CHECKING:
    from .instances import Instance
    from .machines import Worker
    from .pubsub import Pulled, Subscription
    from .world import World


#: Seconds, of `README.md`: another worker takes over within, and its container has converged within.
TAKEN_OVER, CONVERGED = 1.0, 2.0
#: A message waits for the run before its own, and a run that is put off for that.
PULLED = 2 * ANSWERED


class Hearing:
    """Raise `Broken` where a promise about the fleet is."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def answered(self, pulled: "Pulled", done: bool) -> None:
        """Look at what an answer promises."""
        worker, world = pulled.worker, self.world
        if SCHEDULER.process is not worker:
            raise Broken(f"{SCHEDULER.process.name} answers what {worker.name} pulled")
        kinds = world.copy.errors.Answer
        said = [one for when, one in worker.answers.get(pulled.message.message_id, ()) if when >= pulled.began]
        agree = [one for one in said if done == (kinds[one].status == 204)]
        if said and not agree:
            raise Broken(f"{worker.name} says {said[-1]} of {pulled.event.label}, and tells Pub/Sub otherwise")
        # Whoever acknowledges before anything is known of it promises no less.
        answer = kinds[agree[-1] if agree else "APPLIED" if done else "TRY_AGAIN"]
        world.say(worker, f"answers {answer.name} to {pulled.event.label}")
        within = PULLED + world.settings.spread
        world.checks.answered(worker, pulled.event, answer, pulled.began, pulled.awake, within=within)

    # Who leads.

    def ends(self, worker: "Worker", within: float = TAKEN_OVER) -> None:
        """A worker dies, leaves or is stopped; where it heard for others, one of them takes over in time."""
        instance = worker.instance
        if not worker.joined and [*instance.workers] == [worker]:
            instance.orderly = False  # the last one knows nothing of what another one made and left to it
        if not self.world.settings.pulls or worker not in self.leaders(instance) or worker.frozen:
            return
        others = {w: w.freezes for w in instance.workers if w.joined and w is not worker and not w.frozen}
        died = SCHEDULER.now
        stop = None if worker.dead else worker.freezes + 1
        SCHEDULER.at(died + within + MOMENT, lambda: self._taken_over(worker, stop, others, died, within))

    def leaders(self, instance: "Instance") -> "list[Worker]":
        seats = [inode for path, inode in instance.files.found.items() if "/seat-" in path]
        return [inode.locked_by for inode in seats if inode.locked_by is not None]

    def _taken_over(
        self, worker: "Worker", stop: int | None, others: "dict[Worker, int]", died: float, within: float
    ) -> None:
        left = _undisturbed(others)
        if not left or SCHEDULER.over:
            return
        if stop is not None and not (worker.frozen and worker.freezes == stop):
            return  # it went on before its time was over, and leads again; what ends it since is looked at by itself
        instance = worker.instance
        leaders = self.leaders(instance)
        if any(leader.frozen and leader is not worker for leader in leaders):  # it was stopped meanwhile
            return
        if all(leader.frozen for leader in leaders):
            since = instance.left_at
            if since > died:  # who took over may have left since, and whoever follows that one has its time from then
                again = since + TAKEN_OVER + MOMENT
                SCHEDULER.at(again, lambda: self._taken_over(worker, stop, others, since, TAKEN_OVER))
                return
            raise Broken(f"nobody of {instance.name} hears {within:g} s after its leader has ended")
        if self.world.settings.tick == 1.0:
            SCHEDULER.at(SCHEDULER.now + CONVERGED - TAKEN_OVER, lambda: self._converged(instance, others, died))

    def _converged(self, instance: "Instance", others: "dict[Worker, int]", died: float) -> None:
        """What was added before the leader died is served, wherever its message is."""
        world = self.world
        wanted = world.steady.wanted("latest")
        version = world.truth.version(*wanted) if wanted is not None else None
        if version is None or len(version.states) > 1 or version.since > died or world.truth.life.number > 1:
            return
        slow = world.checks.troubled or world.settings.latency > 0.1  # it takes several accesses
        if slow or world.checks.lagged or not self.leaders(instance):
            return
        for worker in _undisturbed(others):
            now = served(worker, "latest")
            if not is_cold(worker, "latest") and now != wanted:
                raise Broken(
                    f"{worker.name} serves {said(now)} and not {said(wanted)}, {SCHEDULER.now - died:.2f} s after the "
                    "end of the one that heard for it"
                )

    # After things have gone quiet.

    def deaf(self) -> bool:
        """Whether an instance does not hear yet."""
        return not all(
            any(self._heard_by(instance)) and all(w.ready or w.leaving for w in instance.workers)
            for instance in self.world.instances
        )

    def _heard_by(self, instance: "Instance") -> "list[Subscription]":
        return [found for found in self.world.topic.of(instance) if any(stream.runs for stream in found.streams)]

    def all_acknowledged(self) -> bool:
        """Whether nothing is under way to an instance."""
        return not any(found.open for instance in self.world.instances for found in self._heard_by(instance))

    def untold(self) -> str | None:
        """What an instance was not told by its subscription, and should have been."""
        for instance in self.world.instances:
            found = self._heard_by(instance)
            for event in self.world.events:
                if event not in instance.heard and any(one.brings(event) for one in found):
                    return f"{instance.name} was never told of {event.label}"
        return None

    def left_behind(self) -> str | None:
        """What an instance that ended in good order has left."""
        for instance in self.world.ended:
            orderly = instance.orderly and instance.unheard_at < 0 and not instance.workers
            if orderly and self.world.topic.of(instance):
                return f"{instance.name} has ended and left its subscription"
        return None

    def untrue(self, worker: "Worker") -> str | None:
        """What a worker's status says of who leads, and is not so; asked in that worker."""
        if not (self.world.settings.pulls and worker.joined):
            return None
        says, leads = self._leads(worker)
        if says != leads:  # it may be between the two steps of taking a seat, or of leaving one
            SCHEDULER.block(MOMENT)
            says, leads = self._leads(worker)
        return f"{worker.name} says that it leads: {says}, and it is {leads}" if says != leads else None

    def _leads(self, worker: "Worker") -> tuple[bool, bool]:
        return worker.heap.cache.status()["events"].get("leads"), worker in self.leaders(worker.instance)

    def passed_over(self, instance: "Instance", event: Event) -> bool:
        """Whether an event may have passed an instance over, so that its safety read finds what it said."""
        if event in instance.heard:
            return False
        since = max([instance.started, *(found.created for found in self.world.topic.of(instance))])
        return self.world.checks.lagged or event.stamp > since


def _undisturbed(others: "dict[Worker, int]") -> "list[Worker]":
    return [w for w, freezes in others.items() if not (w.dead or w.frozen or w.leaving) and w.freezes == freezes]
