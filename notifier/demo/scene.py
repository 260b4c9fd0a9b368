"""What a display shows: filled by the acts, read by whoever draws. Names and numbers only."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Act:
    """One step of the demo.

    Args:
        title: what is done.
        outcome: what was seen; "" while it goes on.
        held: whether that is what was promised.
    """

    title: str
    outcome: str = ""
    held: bool | None = None


@dataclass(slots=True)
class Row:
    """One worker.

    Args:
        version: of the rotated secret, as its last answer showed.
        instance: which one it is of, from 1; 0 where there is one only.
        milliseconds: from the add to its first answer with the new version; None before.
    """

    version: int
    milliseconds: float | None = None
    instance: int = 0

    @property
    def where(self) -> str:
        """The instance, for people."""
        return f"{self.instance}: " if self.instance else ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests so far.

    Args:
        requests: how many.
        rate: how many in a second.
        failed: how many of them were not answered with 200.
        mixed: how many showed a version with the value of another.
    """

    requests: int = 0
    rate: float = 0.0
    failed: int = 0
    mixed: int = 0


@dataclass(slots=True)
class Scene:
    """The state of the show.

    Args:
        changed: called with a line for people whenever there is something new.
        acts: the steps so far.
        workers: by process id.
        versions: the lowest and the highest of each secret, as the last answers of the workers showed.
        newest: the version of each secret that was added last.
        accesses: of each secret at Secret Manager since the service has started.
        traffic: the requests so far.
    """

    changed: Callable[[str], None]
    acts: list[Act] = field(default_factory=list)
    workers: dict[int, Row] = field(default_factory=dict)
    versions: dict[str, tuple[int, int]] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    accesses: dict[str, int] = field(default_factory=dict)
    traffic: Traffic = Traffic()

    def begin(self, title: str) -> None:
        """Begin a step."""
        self.acts.append(Act(title))
        self.changed(f"{len(self.acts)}. {title}")

    def end(self, outcome: str, *, held: bool) -> None:
        """End the step: what was seen, and whether it is what was promised."""
        self.acts[-1].outcome, self.acts[-1].held = outcome, held
        self.changed(f"   {'ok' if held else 'NOT AS PROMISED'}: {outcome}")

    def turned(self, pid: int, version: int, milliseconds: float) -> None:
        """A worker was seen to serve a new version."""
        before = self.workers.get(pid, Row(version))
        self.workers = {**self.workers, pid: Row(version, milliseconds, before.instance)}
        of = f" of instance {before.instance}" if before.instance else ""
        self.changed(f"   worker {pid}{of} serves version {version} after {milliseconds:.1f} ms")
