"""Where each instance stands, and with that the rotation: from registers to a report. Pure.

The verdict is built so that what is missing can only make it more careful:

- An instance has followed where every worker of it that is known to live has said, as its newest word, that it serves
  the version or a newer one. Its workers are those that spoke and have not ended since, and those of its newest roll
  call, which must be no older than the first word of the version: who lives with the old version is in it. A worker of
  that roll call which has said nothing leaves the instance unclear. (A service that names no members holds no roll
  call; there, an instance is taken at the word of those workers that spoke.)
- That all *known* instances have followed says nothing of those whose entries are missing. So an independent count
  must agree: as many instances as were counted when the version was added are known to have run then (they moved from
  an older version to this one, or spoke before it was added), and at least as many as run now are known to serve it.
  Who started later read the newest version at its start.
- Where the count of those that ran then agrees, an instance that has been silent since before the add is none of
  them: it ended without a word, and holds up nothing.

Moments of different machines are compared only where a minute does not matter, or by Cloud Logging's own clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .acts import ADD, Act, Acts, usable
from .answer import InstanceState, Question, Report, State, Step
from .causes import FIXED, PASSED_OVER, SILENT, SOME_WORKERS, UNHEARD, UNPUBLISHED, Cause, of_trouble
from .lives import present
from .registers import Adoption, Instance, Worker
from .signs import Signs
from .times import MINUTE, SECOND
from .verdict import Judged, by_service, judge, worst_first


#: Between the moment at which a roll call is taken and that at which it is written another worker may begin.
_SLACK: Final = SECOND
_MS: Final = SECOND // 1000


@dataclass(slots=True)
class _Seen:
    """An instance, and those of its workers that live as far as is known."""

    instance: Instance
    living: dict[str, Worker]
    known: int
    unheard: int
    ran_at_add: bool


class Judge:
    """Make the report of what is known.

    Args:
        question: what is asked.
        signs: what receivers said, all of it.
        acts: what the audit log said, all of it.
    """

    def __init__(self, question: Question, signs: Signs, acts: Acts) -> None:
        self._question = question
        self._signs = signs
        self._acts = acts
        self._life = present(acts.all())
        self._done = [act for act in acts.all() if act.at > self._life.began]
        self._version = self._target()
        adds = [act for act in self._done if act.method == ADD and act.version == self._version]
        self._added: Act | None = adds[-1] if adds else None
        self._at = self._added.at if self._added else self._told_at()

    def report(self, read: Mapping[str, int]) -> Report:
        """The report; `read` says how many entries it is made of."""
        seen = [one for instance in self._signs.all() if (one := self._seen(instance)) is not None]
        ran = self._ran(seen)
        complete = self._agrees(ran)
        found = [state for one in seen if (state := self._state(one, complete=complete)) is not None]
        states = sorted(found, key=worst_first)
        counted, ended = self._question.counted, usable(self._done).get(self._version or 0)
        judged = Judged(self._version, self._at, ended, states, ran, counted, complete=complete)
        verdict, reasons = judge(judged)
        return Report(
            question=self._question,
            version=self._version,
            verdict=verdict,
            reasons=reasons,
            added=self._added,
            added_at=self._at,
            published_at=self._published(seen),
            ended=ended,
            instances=states,
            uncounted=max(0, sum(counted.now.values()) - len(states)) if counted else 0,
            accesses=self._acts.accesses(below=self._version or 0, since=self._at) if self._at is not None else (),
            acts=self._done,
            entries=read,
        )

    def _target(self) -> int | None:
        if self._question.version is not None:
            return self._question.version
        ended = usable(self._done)
        recent = {a.version for a in self._done if a.method == ADD and a.at >= self._question.since}
        # Also what receivers serve: the entry of its add may be late.
        served = {
            word.version
            for instance in self._signs.all()
            for worker in instance.workers.values()
            for (_, fixed), word in self._words(worker).items()
            if not fixed and word.at >= self._question.since
        }
        usable_yet = {version for version in recent | served if version and ended.get(version) is None}
        return max(usable_yet, default=max(recent, default=None))

    def _told_at(self) -> int | None:
        """When the version was added, as its event told the receivers: the event's own stamp, on Google's clock."""
        stamps = [
            adoption.at - round(adoption.event_ms * _MS)
            for instance in self._signs.all()
            for worker in instance.workers.values()
            for (version, project), adoption in worker.adopted.items()
            if project in self._acts.spelt and version == self._version and adoption.event_ms is not None
        ]
        return min((at for at in stamps if self._life.had(self._version or 0, at)), default=None)

    def _seen(self, instance: Instance) -> _Seen | None:
        workers = instance.workers
        if not any(self._spoke(worker) for worker in workers.values()):
            return None
        roll_at, _, members = instance.roll
        living = {
            key: worker
            for key, worker in workers.items()
            if worker.stopped[0] < worker.last and (key in members or worker.last > roll_at - _SLACK)
        }
        ended = {key for key, worker in workers.items() if worker.stopped[0] >= worker.last}
        # Who has served nothing of this secret, and is in no roll call, is no witness: a fork that only spoke.
        silent = set(members) - ended - living.keys()
        known, unheard = len(living) + len(silent), len(silent)
        unheard += sum(not self._words(worker) for worker in living.values())
        if instance.by_member and not unheard and roll_at < self._followed_at(living):
            unheard = 1  # a worker may have written nothing, and only a roll call would say so
        return _Seen(instance, living, known, unheard, self._ran_at_add(instance))

    def _followed_at(self, living: Mapping[str, Worker]) -> int:
        """When a worker first said that it serves the version, by the clock of all of them."""
        target = self._version or 0
        said = [adoption.at for worker in living.values() for adoption in self._taken(worker)]
        said += [w.at for worker in living.values() for w in self._words(worker).values() if w.version >= target]
        return min(said, default=0)

    def _ran_at_add(self, instance: Instance) -> bool:
        if self._at is None:
            return False
        took = False
        for worker in instance.workers.values():
            for adoption in self._taken(worker):
                if 0 < adoption.previous < (self._version or 0):
                    return True
                took = True
        before = min((worker.first[1] for worker in instance.workers.values()), default=self._at)
        # By its own clock an end must be later by more than clocks differ; and an end that came in before was before.
        ended = any(w.stopped[0] >= self._at + MINUTE and -w.stopped[1] >= self._at for w in instance.workers.values())
        return before < self._at and (took or ended)

    def _ran(self, seen: list[_Seen]) -> dict[str, int]:
        ran: dict[str, int] = {}
        for one in seen:
            ran[one.instance.service] = ran.get(one.instance.service, 0) + one.ran_at_add
        return ran

    def _agrees(self, ran: Mapping[str, int]) -> bool:
        counted = self._question.counted
        return counted is not None and self._at is not None and by_service(ran, counted.at_add) == counted.at_add

    def _state(self, one: _Seen, *, complete: bool) -> InstanceState | None:
        instance, living = one.instance, one.living
        if not living and not one.unheard:
            return None  # it has ended
        words = [word for worker in living.values() for word in self._words(worker).values()]
        target = self._version or 0
        behind = any(word.version < target for word in words)
        silent = self._at is not None and instance.last < self._at - MINUTE
        state = State.BEHIND if behind else State.UNCLEAR if one.unheard or not words else State.CONVERGED
        if state is not State.CONVERGED and complete and silent and not one.ran_at_add:
            return None  # all that ran then are known, and it is none of them
        cause = Cause("", "") if state is State.CONVERGED else self._cause(one, behind=behind)
        steps = [step for worker in living.values() if (step := self._step(worker)) is not None]
        return InstanceState(
            name=instance.name or "(unnamed)",
            service=instance.service,
            revision=instance.revision,
            state=state,
            versions=tuple(sorted({word.version for word in words})),
            workers=one.known,
            last_sign=instance.last,
            propagation_ms=self._propagation(living) if state is State.CONVERGED else None,
            cause=cause.cause,
            advice=cause.advice,
            steps=sorted(steps, key=lambda step: (step.swapped, step.worker)),
        )

    def _cause(self, one: _Seen, *, behind: bool) -> Cause:
        target, living = self._version or 0, list(one.living.values())
        if not behind:
            return UNHEARD
        words = [(fixed, word) for worker in living for (_, fixed), word in self._words(worker).items()]
        if all(fixed for fixed, word in words if word.version < target):
            return FIXED
        behind_by = [w for w in living if any(word.version < target for word in self._words(w).values())]
        troubles = [
            trouble
            for worker in behind_by
            for project, trouble in worker.trouble.items()
            if (project in self._acts.spelt or not project)
            and (trouble.at >= max(word.at for word in self._words(worker).values()))
        ]
        if troubles:
            return of_trouble(max(troubles))
        if len(behind_by) < len(living):
            return SOME_WORKERS
        if self._at is not None and self._acts.lost_since(self._at - SECOND):
            return UNPUBLISHED
        if self._at is not None and one.instance.last < self._at:
            return SILENT
        return PASSED_OVER

    def _spoke(self, worker: Worker) -> bool:
        """Whether a worker said something of the secret while this life of it lasted, be it of a version before."""
        return any(key[0] in self._acts.spelt and word.at > self._life.began for key, word in worker.words.items())

    def _words(self, worker: Worker) -> dict[Any, Any]:
        return {
            key: word
            for key, word in worker.words.items()
            if key[0] in self._acts.spelt and self._life.has(word.version, word.at)
        }

    def _taken(self, worker: Worker) -> list[Adoption]:
        """A worker's adoptions of the version, or of newer ones, the lowest version first."""
        target = self._version or 0
        return [
            adoption
            for (version, project), adoption in sorted(worker.adopted.items())
            if project in self._acts.spelt and version >= target and self._life.has(version, adoption.at)
        ]

    def _propagation(self, living: Mapping[str, Worker]) -> float | None:
        if self._at is None:
            return None
        moved = [taken[0] for w in living.values() if (taken := self._taken(w)) and taken[0].previous]
        took = [(a.event_ms if a.event_ms is not None else (a.at - self._at) / _MS) - a.ahead / _MS for a in moved]
        return max(0.0, *took) if took else None

    def _step(self, worker: Worker) -> Step | None:
        taken = self._taken(worker)
        if not taken:
            return None
        first, ended = taken[0], self._called_back(worker)
        swapped = first.at - first.ahead
        return Step(
            worker=worker.pid,
            path=first.path,
            arrived=_earlier(swapped, first.arrival_ms),
            fetched=_earlier(swapped, first.fetch_ms),
            swapped=swapped,
            called_back=None if ended is None else ended - first.ahead,
        )

    def _called_back(self, worker: Worker) -> int | None:
        found = [
            at
            for (version, project), (at,) in worker.called_back.items()
            if project in self._acts.spelt and version == self._version
        ]
        return max(found, default=None)

    def _published(self, seen: list[_Seen]) -> int | None:
        moments = [
            _earlier(push.at, push.publish_ms)
            for one in seen
            for worker in one.instance.workers.values()
            for (version, _), push in worker.pushed.items()
            if version == self._version
        ]
        return min((moment for moment in moments if moment is not None), default=None)


def _earlier(at: int, milliseconds: float | None) -> int | None:
    return None if milliseconds is None else at - round(milliseconds * _MS)
