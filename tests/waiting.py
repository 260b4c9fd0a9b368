"""Waiting in tests."""

import threading
import time


WAIT = 15.0


def until(condition, what, patience=WAIT):
    """Wait until something is so."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        threading.Event().wait(0.01)
