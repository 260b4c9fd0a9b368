"""What the rotator does without being asked: what waits for its time, and what was interrupted."""

import logging
import threading
from typing import Final

from .machine import Advance
from .rotations import Rotations
from .telemetry import entry as log


#: Seconds between two looks.
EVERY: Final = 60.0


def tick(rotations: Rotations) -> list[Advance]:
    """Do what is due for every secret, one after the other; what is wrong with one stops no other."""
    done = []
    for machine in rotations:
        try:
            done.append(rotations.advance(machine))
        except Exception as exc:  # noqa: BLE001  # the next look comes in any case
            what = f"{machine.plan.secret}: a look failed ({type(exc).__name__})"
            log(logging.ERROR, "rotation_failed", what, secret=machine.plan.secret.path, step="tick")
    return done


class Ticker:
    """Looks every minute, on a daemon thread of its own.

    Args:
        rotations: of the manifest.
        every: seconds.
    """

    def __init__(self, rotations: Rotations, *, every: float = EVERY) -> None:
        self._rotations = rotations
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keyturn-rotations", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step that is under way; waits a few seconds at most."""
        self._ended.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            tick(self._rotations)
