"""What people and programs do to the secret."""

import random
from collections.abc import Callable, Sequence

from .scheduler import SCHEDULER
from .secret_manager import DESTROYED, DISABLED, ENABLED, Truth, Version
from .settings import Settings


class Changes:
    """Change a secret by chance.

    Args:
        kinds: in which ways, by name; None for all that there are.
    """

    def __init__(
        self, truth: Truth, settings: Settings, rng: random.Random, *, kinds: Sequence[str] | None = None
    ) -> None:
        self.truth = truth
        self.rng = rng
        self._kinds = _CHANGES if kinds is None else [getattr(Changes, f"_{kind}") for kind in kinds]
        self._aliased = "alias" in settings.entries
        self._steady_from = 0.0  # no bad clock's event is younger

    def begin(self, versions: int) -> None:
        self.truth.create()
        for _ in range(versions):
            self.truth.add()
        if self._aliased:
            self._alias()

    def end(self) -> None:
        """Leave something to serve."""
        truth = self.truth
        if truth.deleted:
            self._create()
        if not truth.enabled() or not truth.enabled()[-1].good:
            truth.add()
        if self._aliased:
            truth.alias({"live": truth.enabled()[-1].number})

    def happen(self) -> None:
        if self.truth.deleted:
            self._create()
            return
        if not self.truth.life.versions:
            self.truth.add()
            return
        if SCHEDULER.now < self._steady_from:
            SCHEDULER.run(self._steady_from)
        self.rng.choice(self._kinds)(self)

    def _some_version(self) -> Version:
        versions = self.truth.life.versions
        return versions[-1] if self.rng.random() < 0.6 else self.rng.choice(versions)

    def _rotate(self) -> None:
        before = self.truth.enabled()
        self.truth.add()
        if before and self.rng.random() < 0.6:
            SCHEDULER.run(SCHEDULER.now + self.rng.choice([0.0, 0.01, 2.0]))
            self._move(before[-1], self.rng.choice([DISABLED, DESTROYED]))

    def _add(self) -> None:
        self.truth.add(good=self.rng.random() < 0.93)

    def _add_good_and_bad(self) -> None:
        self.truth.add()
        self.truth.add(good=False)

    def _disable(self) -> None:
        self._move(self._some_version(), DISABLED)

    def _destroy(self) -> None:
        self._move(self._some_version(), DESTROYED)

    def _enable(self) -> None:
        disabled = [v for v in self.truth.life.versions if v.state == DISABLED]
        if disabled:
            self._move(self.rng.choice(disabled), ENABLED)

    def _move(self, version: Version, state: str, *, ahead: float = 0.0) -> None:
        if version.state not in (state, DESTROYED):
            self.truth.move(version, state, ahead=ahead)

    def _from_a_bad_clock(self) -> None:
        """A server's clock is a year ahead; what is done a minute later must count nevertheless."""
        version = self._some_version()
        state = ENABLED if version.state == DISABLED else DISABLED
        self._move(version, state, ahead=365 * 86400.0)
        self._steady_from = SCHEDULER.now + 61.0

    def _alias(self) -> None:
        self.truth.alias({"live": self._some_version().number})

    def _delete(self) -> None:
        self.truth.delete()
        if self.rng.random() < 0.7:
            SCHEDULER.run(SCHEDULER.now + self.rng.choice([0.0, 1.0]))
            self._create()

    def _create_anew(self) -> None:
        """The first version comes with what happens next."""
        self.truth.delete()
        self.truth.create()

    def _create(self) -> None:
        self.truth.create(said=self.rng.random() < 0.8)
        for _ in range(self.rng.choice([1, 1, 2])):
            self.truth.add()
        if self._aliased:
            self._alias()


_CHANGES: list[Callable[[Changes], None]] = [
    *[Changes._rotate] * 6,
    *[Changes._add] * 4,
    *[Changes._disable] * 4,
    *[Changes._enable] * 4,
    Changes._destroy,
    Changes._from_a_bad_clock,
    *[Changes._alias] * 2,
    Changes._delete,
]
