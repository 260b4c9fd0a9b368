"""What the demo measured, and whether all of it held."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ..trace import Report, Verdict


@dataclass(slots=True)
class Figures:
    """Each figure is seen from outside: in the answers of the workers, or in Secret Manager's count of calls.

    Args:
        workers: how many each instance has.
        instances: how many there are.
        milliseconds: for each worker that followed, from before the add to its first answer with the new version.
        fetches: accesses of the rotated secret from the add until all had followed.
        other_fetches: accesses of any other secret from the add to the end.
        requests: how many were sent.
        failed: how many of them were not answered with 200.
        mixed: how many answers showed a version with the value of another.
        stale: how many began after the push was acknowledged, and were served the old version.
        unacknowledged: how many pushes were not acknowledged in time; nothing could be stale after those.
        forged: how many of the forged pushes were acknowledged, or had a secret fetched.
        refused: how many of them were answered with 401 or 403.
        forgeries: how many were sent.
        stepped_back: whether every worker served the version before again after the one it had turned to was disabled.
        trace: where the rotation stood after its act, told from log entries alone.
        static_unchanged: whether every worker kept the static secret's version, and none fetched the new one.
    """

    workers: int
    instances: int = 1
    milliseconds: Sequence[float] = field(default_factory=list)
    fetches: int = 0
    other_fetches: int = 0
    requests: int = 0
    failed: int = 0
    mixed: int = 0
    stale: int = 0
    unacknowledged: int = 0
    forged: int = 0
    refused: int = 0
    forgeries: int = 0
    trace: Report | None = None
    stepped_back: bool = False
    static_unchanged: bool = False

    @property
    def expected(self) -> int:
        """How many workers were to follow: those of all instances."""
        return self.workers * self.instances

    @property
    def converged(self) -> int:
        """How many workers followed."""
        return len(self.milliseconds)

    def as_json(self) -> dict[str, Any]:
        """The figures under the names that `--json` promises."""
        took = sorted(self.milliseconds)
        return {
            "instances": self.instances,
            "workers": self.workers,
            "converged": self.converged,
            "propagation_ms": {
                "p50": round(median(took), 1) if took else None,
                "max": round(took[-1], 1) if took else None,
            },
            "fetches": self.fetches,
            "fetches_of_other_entries": self.other_fetches,
            "requests": self.requests,
            "requests_failed": self.failed,
            "mixed_values": self.mixed,
            "stale_after_ack": self.stale,
            "pushes_unacknowledged": self.unacknowledged,
            "forged_pushes_accepted": self.forged,
            "forged_pushes_refused": self.refused,
            "stepped_back": self.stepped_back,
            "static_unchanged": self.static_unchanged,
            "trace": self.trace.as_json() if self.trace else None,
        }

    def _traced(self) -> bool:
        return self.trace is not None and self.trace.verdict is Verdict.CONVERGED

    def shortcomings(self) -> list[str]:
        """What did not hold, each in a few words; nothing where all did."""
        judged = {
            f"{self.expected - self.converged} of {self.expected} workers did not follow": self.converged
            == self.expected,
            f"{self.other_fetches} fetches of other entries": self.other_fetches == 0,
            "no request was made": self.requests > 0,
            f"{self.failed} requests failed": self.failed == 0,
            f"{self.mixed} answers mixed two versions": self.mixed == 0,
            f"{self.stale} requests were served the old version after the acknowledgement": self.stale == 0,
            f"{self.unacknowledged} pushes were not acknowledged": self.unacknowledged == 0,
            f"{self.forged} forged pushes were accepted": self.forged == 0,
            f"{self.refused} of {self.forgeries} forged pushes were refused": 0 < self.forgeries == self.refused,
            "the log does not tell that all have followed": self._traced(),
            "not every worker stepped back": self.stepped_back,
            "the static secret changed": self.static_unchanged,
        }
        return [what for what, held in judged.items() if not held]
