"""Where one rotation stands. Pure: it is kept as text in an annotation of the candidate's secret.

Secret Manager's etag makes each change of it a comparison and a swap, so that of two writers one is told that it lost.
There is never a value in it: an annotation is read by everybody who may see the secret.
"""

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self


#: The annotations' keys, on the candidate's secret.
STATE: Final = "keyturn-rotation"
PAUSED: Final = "keyturn-paused"

#: The layout; a newer one is refused, never guessed at.
_LAYOUT: Final = 1


class Step(StrEnum):
    """The last step that is done."""

    IDLE = "idle"
    BEGUN = "begun"
    CREATED = "created"
    APPLIED = "applied"
    TESTED = "tested"
    PROMOTED = "promoted"


class UnreadableState(Exception):
    """The annotation is not one that this version of keyturn wrote."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A disabled version that is to be destroyed; `at` in seconds since the epoch."""

    number: int
    at: float


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a secret's rotation.

    Args:
        asked: the newest request for a rotation, as the nanoseconds of its event.
        satisfied: requests up to this one have their version.
        step: the last step that is done.
        base: the version that was current when it began; 0 where there was none.
        before: the highest candidate then; a higher one was made for this rotation.
        candidate: the number of the candidate.
        promoted: the number that the candidate got in the secret itself.
        promoted_at: when, in seconds since the epoch.
        copy_of: for a rollback: the version whose value is the candidate.
        doomed: versions that are disabled and wait for their destruction.
        owner: who works on it; "" nobody.
        until: until when, in seconds since the epoch; after that anybody may go on.
        failures: attempts of the present step that failed.
        retry_at: not tried again by itself before this, in seconds since the epoch.
        why: what stopped it, in words without a value.
    """

    asked: int = 0
    satisfied: int = 0
    step: Step = Step.IDLE
    base: int = 0
    before: int = 0
    candidate: int = 0
    promoted: int = 0
    promoted_at: float = 0.0
    copy_of: int = 0
    doomed: tuple[Doomed, ...] = ()
    owner: str = ""
    until: float = 0.0
    failures: int = 0
    retry_at: float = 0.0
    why: str = ""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read an annotation; None is a secret that was never rotated.

        Raises:
            UnreadableState: it is anything else.
        """
        if text is None:
            return cls()
        try:
            given = json.loads(text)
            if given.pop("layout") != _LAYOUT:
                raise UnreadableState("the state of the rotation was written by another version of keyturn")
            return cls(
                **{**given, "step": Step(given.get("step", Step.IDLE))}
                | {"doomed": tuple(Doomed(**one) for one in given.get("doomed", ()))}
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise UnreadableState(f"the annotation {STATE} is not the state of a rotation") from None

    def text(self) -> str:
        """The annotation."""
        empty = asdict(State())
        told: dict[str, Any] = {name: value for name, value in asdict(self).items() if value != empty[name]}
        return json.dumps({"layout": _LAYOUT, **told}, separators=(",", ":"))

    @property
    def under_way(self) -> bool:
        """Whether a rotation has begun and its version is not there yet."""
        return self.step not in {Step.IDLE, Step.PROMOTED}

    @property
    def wanted(self) -> bool:
        """Whether somebody asked for a version that is not there yet."""
        return self.asked > self.satisfied or self.under_way

    def leased(self, now: float, *, to_others_than: str) -> bool:
        """Whether somebody else works on it."""
        return bool(self.owner) and self.owner != to_others_than and now < self.until

    def held_by(self, owner: str, *, until: float) -> "State":
        """The same, with somebody working on it."""
        return replace(self, owner=owner, until=until)

    def released(self) -> "State":
        """The same, with nobody working on it."""
        return replace(self, owner="", until=0.0)

    def asking(self, asked: int) -> "State":
        """The same, with a request, which does not wait for an old version's end; an older one changes nothing."""
        if asked <= self.asked:
            return self
        waits = self if self.failures else replace(self, retry_at=0.0, why="")
        return replace(waits, asked=asked)

    def insisting(self, asked: int) -> "State":
        """The same, with a person's request, which counts even where that person's clock is late."""
        return self.asking(max(asked, self.satisfied + 1))

    def did(self, step: Step, **changes: Any) -> "State":
        """The same, one step further, with no failure standing."""
        return replace(self, step=step, failures=0, retry_at=0.0, why="", **changes)

    def failed(self, why: str, *, retry_at: float) -> "State":
        """The same, with one more failure, and nobody working on it."""
        return replace(self.released(), failures=self.failures + 1, retry_at=retry_at, why=why)
