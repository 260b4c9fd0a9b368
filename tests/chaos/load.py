"""A steady load on every instance, and what was wrong with any answer."""

import threading
import time
from dataclasses import dataclass


#: Seconds: longer than the longest stop, so that a request at a stopped worker is answered late, not failed.
TIMEOUT = 10.0
#: Seconds after a disturbance within which a request can still fail by it: a worker that was killed takes its
#: connections with it, and a new one takes a moment to start.
AFTER = 5.0


@dataclass(frozen=True)
class Failure:
    """A request without an answer."""

    instance: int
    began: float
    ended: float
    why: str


@dataclass
class Disturbance:
    """What the run itself did to an instance's processes; `ended` is infinity while it lasts."""

    instance: int
    what: str
    began: float
    ended: float = float("inf")

    def explains(self, failure: Failure) -> bool:
        """Whether a request can have failed by it."""
        return (
            failure.instance == self.instance
            and failure.began <= self.ended + AFTER
            and failure.ended >= self.began - 0.1
        )


class Load:
    """Users of every instance, one request after the other.

    Args:
        city: the instances, and what values exist.
        users: how many of each instance.
    """

    def __init__(self, city, users=2):
        self._city, self._over = city, threading.Event()
        self.answered = [0] * len(city.instances)
        self.failures: list[Failure] = []
        self.wrong: list[str] = []
        self._threads = [
            threading.Thread(target=self._use, args=(index,), daemon=True)
            for index in range(len(city.instances))
            for _ in range(users)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(TIMEOUT + 5)

    def _use(self, index):
        instance = self._city.instances[index]
        while not self._over.is_set():
            began = time.monotonic()
            try:
                answer = instance.get(timeout=TIMEOUT)
            except Exception as exc:  # noqa: BLE001  # all of them are listed
                self.failures.append(Failure(index, began, time.monotonic(), type(exc).__name__))
                self._over.wait(0.05)
                continue
            self.answered[index] += 1
            for name, (version, value) in ((n, answer[n]) for n in self._city.names):
                if value not in self._city.created.get((name, version), ()):
                    self.wrong.append(f"{name} version {version} was {value}, which nobody created")
            self._over.wait(0.01)
