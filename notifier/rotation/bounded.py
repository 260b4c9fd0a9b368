"""A rotator that ends in time, and tells of its failures without a value: others write rotators too."""

import threading
from concurrent.futures import Future
from typing import Any, Final

from .rotator import Job, Overlap, Rotator, RotatorError
from .vault import VaultError


#: Seconds beyond its own timeout after which a rotator is no longer waited for: a database that was stopped answers
#: keep-alives and nothing else. With it a step still ends within its lease.
MARGIN: Final = 10.0


class Bounded:
    """Passes each step on, on a daemon thread that is left to itself where it does not end. Thread-safe where it is.

    Args:
        rotator: what does the steps.
        margin: seconds beyond the job's timeout.
    """

    def __init__(self, rotator: Rotator, *, margin: float = MARGIN) -> None:
        self._rotator = rotator
        self._margin = margin
        self.overlap: Overlap = rotator.overlap
        self.one_at_a_time: bool = rotator.one_at_a_time

    def create(self, job: Job) -> bytes:
        """See `Rotator.create`."""
        value: bytes = self._call("create", job)
        return value

    def apply(self, job: Job, candidate: bytes) -> None:
        """See `Rotator.apply`."""
        self._call("apply", job, candidate)

    def test(self, job: Job, candidate: bytes) -> None:
        """See `Rotator.test`."""
        self._call("test", job, candidate)

    def revoke(self, job: Job, old: bytes) -> None:
        """See `Rotator.revoke`."""
        self._call("revoke", job, old)

    def _call(self, step: str, job: Job, *values: bytes) -> Any:
        ended: Future[Any] = Future()

        def run() -> None:
            try:
                ended.set_result(getattr(self._rotator, step)(job, *values))
            except BaseException as exc:  # noqa: BLE001  # raised again where it is waited for
                ended.set_exception(exc)

        threading.Thread(target=run, name=f"keyturn-{step}", daemon=True).start()
        try:
            return ended.result(job.timeout + self._margin)
        except (RotatorError, VaultError):
            raise
        except Exception as exc:  # noqa: BLE001  # whose words may hold a value
            if not ended.done():
                raise RotatorError(f"it did not end in {job.timeout + self._margin:.0f} s") from None
            raise RotatorError(f"the rotator failed unexpectedly ({type(exc).__name__})") from None
