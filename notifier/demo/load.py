"""A steady stream of requests, and what the answers show: everything that the demo claims is seen here."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self


#: How many clients ask at the same time, and how long each rests between two requests, in seconds.
CLIENTS: Final = 8
_REST: Final = 0.012
_TIMEOUT: Final = 5.0

#: Seconds that requests under way may take when the load ends; what then is unanswered is let go.
_LAST: Final = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What one response said.

    Args:
        pid: of the worker.
        served: the version and the mark of each secret.
    """

    pid: int
    served: dict[str, tuple[int, str]]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a response's body.

        Raises:
            ValueError: it is no answer of the demo's service.
        """
        try:
            said = json.loads(body)
            return cls(int(said["pid"]), {name: (int(n), str(mark)) for name, (n, mark) in said["served"].items()})
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError("no answer of the demo's service") from exc


@dataclass(slots=True)
class Seen:
    """What the answers have shown so far.

    Args:
        requests: how many were sent and ended.
        failed: how many were not answered with 200.
        mixed: how many answers showed a version with the value of another.
        stale: how many began after an acknowledgement and were served what it had replaced.
        served: the versions that each worker served last.
        asked: when the request began that each worker answered last.
        instance: which instance each worker is of.
        first: when each worker was first seen to serve a version, by (pid, secret, version).
    """

    requests: int = 0
    failed: int = 0
    mixed: int = 0
    stale: int = 0
    served: dict[int, dict[str, int]] = field(default_factory=dict)
    asked: dict[int, float] = field(default_factory=dict)
    instance: dict[int, int] = field(default_factory=dict)
    first: dict[tuple[int, str, int], float] = field(default_factory=dict)


class Load:
    """Send requests from `start` to `stop`, each on a connection of its own. Thread-safe.

    Args:
        ports: of the service's instances on loopback; each client asks one of them.
        mark: the mark that belongs to a secret's version; None for one that was never made.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        ports: Sequence[int],
        mark: Callable[[str, int], str | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mark = mark
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wanted: dict[str, tuple[int, float]] = {}
        self._threads = [
            threading.Thread(target=self._ask_on, args=(place % len(ports),), daemon=True)
            for place in range(CLIENTS if ports else 0)
        ]
        self._ports = ports
        self._since = clock()
        self.seen = Seen()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        deadline = time.monotonic() + _LAST
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def expect(self, secret: str, version: int | None) -> float:
        """From now on, requests that begin must be served this version; None: any. Return when now is."""
        with self._lock:
            now = self._clock()
            if version is None:
                self._wanted.pop(secret, None)
            else:
                self._wanted[secret] = (version, now)
            return now

    def forget_failures(self) -> None:
        """Count anew from here: what was asked before the service had started says nothing of it."""
        with self._lock:
            self.seen.requests = self.seen.failed = 0
            self._since = self._clock()

    def rate(self) -> float:
        """Requests a second since the counting began."""
        with self._lock:
            return self.seen.requests / max(self._clock() - self._since, 0.001)

    def serving(self, workers: set[int], secret: str, version: int, *, since: float) -> int:
        """How many of these workers answered a request that began later than `since`, and served the version then."""
        with self._lock:
            seen = self.seen
            current = [pid for pid in workers if seen.asked.get(pid, since) > since]
            return sum(seen.served[pid].get(secret) == version for pid in current)

    def versions(self) -> dict[int, dict[str, int]]:
        """The versions that each worker served last."""
        with self._lock:
            return dict(self.seen.served)

    def turned(self, secret: str, version: int) -> dict[int, float]:
        """When each worker was first seen to serve a version."""
        with self._lock:
            return {
                pid: at for (pid, name, number), at in self.seen.first.items() if (name, number) == (secret, version)
            }

    def instances(self) -> dict[int, int]:
        """Which instance each worker that has answered is of."""
        with self._lock:
            return dict(self.seen.instance)

    def workers(self) -> set[int]:
        """The workers that have answered so far."""
        with self._lock:
            return set(self.seen.served)

    def _ask_on(self, instance: int) -> None:
        while not self._ended.wait(_REST):
            began = self._clock()
            answer = self._ask(self._ports[instance])
            self._note(began, answer, instance)

    def _ask(self, port: int) -> Answer | None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            body = response.read()
            return Answer.parse(body) if response.status == http.client.OK else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def _note(self, began: float, answer: Answer | None, instance: int = 0) -> None:
        ended = self._clock()
        with self._lock:
            seen = self.seen
            seen.requests += 1
            if answer is None:
                seen.failed += 1
                return
            pid, served = answer.pid, answer.served
            seen.mixed += any(self._mark(name, version) != shown for name, (version, shown) in served.items())
            for name, (version, _) in served.items():
                seen.first.setdefault((pid, name, version), ended)
                wanted, since = self._wanted.get(name, (version, ended))
                seen.stale += began >= since and version != wanted
            seen.served[pid] = {name: version for name, (version, _) in served.items()}
            seen.asked[pid] = began
            seen.instance[pid] = instance
