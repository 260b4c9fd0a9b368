"""The pushes that were tried, for tests that wait for them and for people who watch."""

import threading
from collections import deque
from collections.abc import Callable

from .ports import Report
from .push import PushAttempt


# Pushes that are remembered; enough for a long demo.
_KEPT = 100_000


class PushLog:
    """Keep what became of pushes, the newest hundred thousand. Thread-safe.

    Args:
        report: told of each push, in a line for people.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._changed = threading.Condition()
        self._attempts: deque[PushAttempt] = deque(maxlen=_KEPT)

    def note(self, attempt: PushAttempt) -> None:
        """Keep a push that was answered or failed."""
        with self._changed:
            self._attempts.append(attempt)
            self._changed.notify_all()
        answer = "no answer" if attempt.status is None else str(attempt.status)
        self._report(
            f"pushed {attempt.message} (attempt {attempt.attempt}) to {attempt.subscription}: {answer}, "
            f"{'acknowledged' if attempt.acknowledged else 'will come again'}, {attempt.seconds * 1000:.0f} ms"
        )

    def attempts(self) -> list[PushAttempt]:
        """The pushes that were answered or failed, oldest first."""
        with self._changed:
            return list(self._attempts)

    def wait(self, wanted: Callable[[list[PushAttempt]], bool], timeout: float) -> bool:
        """Wait until the pushes so far are as `wanted`; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: wanted(list(self._attempts)), timeout)
