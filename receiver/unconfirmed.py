"""News that a safety read found and no event has told: in a fleet, where every instance hears, that is a wiring fault.

One that is merely late confirms it within minutes: events of global secrets were seen three minutes late.
"""

import threading
from collections.abc import Callable
from typing import Final

from .knowledge import Claim, Knowledge
from .names import SecretName


#: Seconds within which an event is to come.
LATEST: Final = 600.0


class Unconfirmed:
    """Versions that were found and not heard of. Thread-safe.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: it has found nothing itself. Memory only."""
        self._lock = threading.Lock()
        self._found: dict[tuple[SecretName, int], float] = {}

    def note(self, name: SecretName, version: int) -> None:
        """Note that a safety read found a version of a declared secret."""
        with self._lock:
            self._found.setdefault((name, version), self._clock())

    def confirm(self, name: SecretName, news: Knowledge) -> None:
        """Take back what an event has now told of a declared secret."""
        if not self._found:
            return
        with self._lock:
            for (found, version), _ in list(self._found.items()):
                word = news.word(version) if found == name else None
                if word is not None and word.claim is not Claim.READ:
                    del self._found[found, version]

    def overdue(self) -> list[tuple[SecretName, int]]:
        """Give, once, what has waited too long."""
        if not self._found:
            return []
        with self._lock:
            now = self._clock()
            late = [what for what, since in self._found.items() if now - since > LATEST]
            for what in late:
                del self._found[what]
        return late
