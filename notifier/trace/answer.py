"""What a trace is asked, and what it answers: data only, names and numbers, never a value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .acts import Access, Act
from .times import iso


class Verdict(StrEnum):
    """Where a rotation stands."""

    CONVERGED = "converged"
    BEHIND = "behind"
    UNKNOWN = "unknown"


class State(StrEnum):
    """Where one instance stands. UNCLEAR: it runs, but not every worker of it has said what it serves."""

    CONVERGED = "converged"
    BEHIND = "behind"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Counted:
    """How many instances there are, by somebody who does not read their entries.

    Args:
        at_add: how many ran when the version was added, by service; under "" for all services together.
        now: how many run now, likewise.
        by: who counted.
    """

    at_add: Mapping[str, int]
    now: Mapping[str, int]
    by: str = "given"

    @classmethod
    def constant(cls, number: int) -> "Counted":
        """So many, then as now, of all services together."""
        return cls({"": number}, {"": number})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the entries.

    Args:
        project: the secret's project, by id or number.
        secret: the secret's id.
        location: its region, "" for a global one.
        version: which version is asked about; the newest usable one that was added where it is not given.
        since: only versions added since this moment, in nanoseconds, are looked for.
        now: the moment of asking, in nanoseconds.
        counted: how many instances there are; without it no trace says that all have followed.
    """

    project: str
    secret: str
    now: int
    location: str = ""
    version: int | None = None
    since: int = 0
    counted: Counted | None = None

    @property
    def name(self) -> str:
        """The secret's full name."""
        place = f"/locations/{self.location}" if self.location else ""
        return f"projects/{self.project}{place}/secrets/{self.secret}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One worker's move to the version; moments in nanoseconds, None where its entries do not show them.

    Args:
        worker: its process.
        path: by which path the news came.
        arrived: when the news came to it.
        fetched: when it asked Secret Manager.
        swapped: when it served the version.
        called_back: when its callbacks had run.
    """

    worker: str
    path: str
    arrived: int | None
    fetched: int | None
    swapped: int
    called_back: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceState:
    """One instance that serves the secret, and runs as far as its entries say.

    Args:
        name: what the instance is called.
        service: its service.
        revision: its revision.
        state: where it stands.
        versions: what its workers serve, each once.
        workers: how many of them are known to live.
        last_sign: when it was last heard of, in nanoseconds.
        propagation_ms: from the add until its last worker served the version; None where it started with it.
        cause: why it does not serve the version, as far as can be told; "" where it does.
        advice: what to do; likewise.
        steps: how its workers moved.
    """

    name: str
    service: str
    revision: str
    state: State
    versions: tuple[int, ...]
    workers: int
    last_sign: int
    propagation_ms: float | None = None
    cause: str = ""
    advice: str = ""
    steps: Sequence[Step] = ()

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "instance": self.name,
            "service": self.service,
            "revision": self.revision,
            "state": self.state.value,
            "versions": list(self.versions),
            "workers": self.workers,
            "last_sign": iso(self.last_sign),
            "propagation_ms": rounded(self.propagation_ms),
            **({"cause": self.cause, "advice": self.advice} if self.cause else {}),
            "steps": [
                {
                    "worker": step.worker,
                    "path": step.path,
                    "arrived_at": iso(step.arrived),
                    "fetched_at": iso(step.fetched),
                    "swapped_at": iso(step.swapped),
                    "called_back_at": iso(step.called_back),
                }
                for step in self.steps
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Where a rotation stands.

    Args:
        question: what was asked.
        version: the version that all should serve; None where no entry shows one.
        verdict: CONVERGED only where an independent count agrees that every instance is known.
        reasons: why it is not CONVERGED, each a sentence.
        added: the audit entry of the version's add; None where there is none.
        added_at: when the version was added, in nanoseconds; None where no entry shows it.
        published_at: when Pub/Sub took in the news; likewise.
        ended: what made the version unusable since; None where nothing did.
        instances: those that run, as far as their entries say, worst first.
        uncounted: how many instances were counted that said nothing.
        accesses: who accessed an older version after this one was there, where Data Access logs are on.
        acts: what was done to the secret's versions, oldest first.
        entries: how many entries were read; of receivers; of the audit log; and how many could not be read.
    """

    question: Question
    version: int | None
    verdict: Verdict
    reasons: Sequence[str]
    added: Act | None
    added_at: int | None
    published_at: int | None
    ended: Act | None
    instances: Sequence[InstanceState]
    uncounted: int
    accesses: Sequence[Access]
    acts: Sequence[Act]
    entries: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many instances there are: those that spoke, and those that were counted and did not."""
        return len(self.instances) + self.uncounted

    @property
    def converged(self) -> int:
        """How many of them are known to serve the version, or a newer one, in every worker."""
        return sum(instance.state is State.CONVERGED for instance in self.instances)

    @property
    def stragglers(self) -> list[InstanceState]:
        """The instances that are not known to."""
        return [instance for instance in self.instances if instance.state is not State.CONVERGED]

    def propagation_ms(self) -> dict[str, float | None]:
        """From the add until an instance served the version: of the middle one and of the slowest."""
        took = sorted(i.propagation_ms for i in self.instances if i.propagation_ms is not None)
        # The lower of the two in the middle, so that the figure is of an instance.
        return {"p50": rounded(took[(len(took) - 1) // 2]), "max": rounded(took[-1])} if took else _NO_FIGURES

    def as_json(self) -> dict[str, Any]:
        """For `--json`: one object."""
        counted = self.question.counted
        return {
            "secret": self.question.name,
            "version": self.version,
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "added_at": iso(self.added_at),
            "added_by": self.added.by or None if self.added else None,
            "added_from": self.added.caller or None if self.added else None,
            "published_at": iso(self.published_at),
            "instances_total": self.total,
            "instances_converged": self.converged,
            "instances_counted": dict(counted.now) if counted else None,
            "stragglers": [
                {key: value for key, value in straggler.as_json().items() if key != "steps"}
                for straggler in self.stragglers
            ],
            "propagation_ms": self.propagation_ms(),
            "accesses_of_older_versions": [
                {"version": a.version, "by": a.by, "times": a.times, "last": iso(a.last)} for a in self.accesses
            ],
            "timeline": [
                {"at": iso(act.at), "method": act.method, "version": act.version, "by": act.by} for act in self.acts
            ],
            "instances": [instance.as_json() for instance in self.instances],
            "entries": dict(self.entries),
            "asked_at": iso(self.question.now),
        }


_NO_FIGURES: dict[str, float | None] = {"p50": None, "max": None}


def rounded(milliseconds: float | None) -> float | None:
    """A figure to a tenth of a millisecond."""
    return None if milliseconds is None else round(milliseconds, 1)
