"""Is this process a pre-forking server's master, which serves nothing itself?

A master that loads the application (`gunicorn --preload`) must neither become a sibling of its own workers nor keep
a gRPC channel open when it forks. There is no portable sign of it; the stack shows who is loading the application.
"""

import sys
from types import FrameType
from typing import Final


#: Module of the arbiter -> the function on the stack in a worker only. Elsewhere in that module it is the master.
_ARBITERS: Final = {"gunicorn.arbiter": "spawn_worker"}


def in_a_master() -> bool:
    """Whether the caller runs inside a known server's master process."""
    if not any(module in sys.modules for module in _ARBITERS):
        return False
    found = False
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        in_a_worker = _ARBITERS.get(frame.f_globals.get("__name__", ""))
        if in_a_worker is not None:
            if frame.f_code.co_name == in_a_worker:
                return False
            found = True
        frame = frame.f_back
    return found
