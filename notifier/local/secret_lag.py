"""How far `latest` and the aliases of a secret may be behind, on demand.

Production lets those lag for minutes to hours, while access by number is consistent at once [documented].
"""

from bisect import bisect_right
from dataclasses import dataclass

from .ports import Wall
from .secret_records import Stored


@dataclass(frozen=True, slots=True)
class _Lag:
    change: int | None
    seconds: float


class Lags:
    """The lag of each secret, by its name; whoever calls holds the store's lock.

    Args:
        wall: wall time.
    """

    def __init__(self, wall: Wall) -> None:
        self._wall = wall
        self._lags: dict[str, _Lag] = {}

    def set(self, path: str, stored: Stored, *, changes: int | None, seconds: float) -> None:
        """Stay before the last `changes` changes, or `seconds` behind."""
        at = None if changes is None else max(0, len(stored.changes) - changes)
        self._lags[path] = _Lag(at, seconds)

    def end(self, path: str) -> None:
        """Be behind no more."""
        self._lags.pop(path, None)

    def seen(self, path: str, stored: Stored) -> int:
        """The number of the change up to which `latest` and aliases have heard."""
        lag = self._lags.get(path)
        if lag is None:
            return len(stored.changes)
        change = lag.change
        if change is None:
            change = bisect_right(stored.changes, self._wall() - lag.seconds)
        # However far behind, a secret that has versions answers with its first rather than with nothing.
        first = stored.versions[0].states[0][0] if stored.versions else 0
        return max(change, first)
