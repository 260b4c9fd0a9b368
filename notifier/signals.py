"""The signals that end a command, kept back until the command asks for them."""

import contextlib
import signal
from collections.abc import Iterator


_ENDING = frozenset({signal.SIGINT, signal.SIGTERM})


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Keep SIGINT and SIGTERM back, for this thread and those that it starts, so that no moment of a start is bad.

    One that comes a second time, while the command is ending already, is forgotten.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        while signal.sigpending() & _ENDING:
            signal.sigwait(_ENDING)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait_for_end() -> str:
    """Wait until a signal asks the command to end, and return its name."""
    return signal.Signals(signal.sigwait(_ENDING)).name
