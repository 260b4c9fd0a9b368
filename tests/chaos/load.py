"""A steady load on every instance, and what was wrong with any answer."""

import threading
import time
from dataclasses import dataclass
from typing import ClassVar


#: Seconds: longer than the longest stop, so that a request at a stopped worker is answered late, not failed.
TIMEOUT = 10.0
#: Seconds that a process which was killed takes to end, on a machine that is busy with the run.
ENDING = 0.5


@dataclass(frozen=True)
class Failure:
    """A request without an answer."""

    instance: int
    began: float
    ended: float
    why: str


@dataclass
class Disturbance:
    """What the run itself did to an instance's processes; `ended` is infinity while it lasts.

    Args:
        instance: which.
        what: in words, for the report.
        kind: "killed" or "stopped", a worker; "instance", all of them.
        began: monotonic seconds.
        ended: likewise.
    """

    instance: int
    what: str
    kind: str
    began: float
    ended: float = float("inf")

    #: How a request ends whose worker is killed or stopped under it. Nobody listens only where all processes are gone.
    ENDS: ClassVar = {
        "killed": {"ConnectionResetError", "RemoteDisconnected", "IncompleteRead", "BrokenPipeError"},
        "stopped": {"TimeoutError"},
    }

    def explains(self, failure: Failure) -> bool:
        """Whether a request can have failed by it: it was under way, and it ended as such requests do."""
        return (
            failure.instance == self.instance
            and failure.began <= self.ended + ENDING
            and failure.ended >= self.began - 0.1
            and (self.kind == "instance" or failure.why in self.ENDS[self.kind])
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
