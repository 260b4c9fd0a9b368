"""Small programs that fork, spawn, hang and end: each says what it finds in lines of JSON.

Run as `python -m tests.service.programs NAME`; `Program` starts them.
"""

import json
import os
import sys
import threading
from pathlib import Path


def native_threads():
    """How many threads there are that Python does not know of: gRPC's, as a rule."""
    return len(list(Path("/proc/self/task").iterdir())) - threading.active_count()


# Hooks that run before a fork run in the reverse order of their registration, so this one sees what the cache's leave.
native_at_fork = []
os.register_at_fork(before=lambda: native_at_fork.append(native_threads()))

from receiver import SecretCache  # noqa: E402


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def wait():
    """Wait until the test says that it is to go on."""
    sys.stdin.readline()


def declared(**how):
    cache = SecretCache(os.environ["GOOGLE_CLOUD_PROJECT"], **how)
    return cache, cache.secret("API_KEY")


def close_and_fork(rounds):
    """Load, close and fork again and again, as a server's master does, with nothing in between."""
    for _ in range(int(rounds)):
        cache, key = declared()
        cache.load()
        cache.close()
        child = os.fork()
        if child == 0:
            say(served=key.version)
            os._exit(0)
        os.waitpid(child, 0)
    say(native=native_at_fork)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
