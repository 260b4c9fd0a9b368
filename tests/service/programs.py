"""Small programs that fork, spawn, hang and end: each says what it finds in lines of JSON.

Run as `python -m tests.service.programs NAME`; `Program` starts them.
"""

import contextlib
import json
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path


def native_threads():
    """How many threads there are that Python does not know of: gRPC's, as a rule."""
    return len(list(Path("/proc/self/task").iterdir())) - threading.active_count()


# Hooks that run before a fork run in the reverse order of their registration, so this one sees what the cache's leave.
native_at_fork = []
os.register_at_fork(before=lambda: native_at_fork.append(native_threads()))

from receiver import SecretCache, SecretUnavailable  # noqa: E402


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


#: What a forked child finds as its parent left it.
inherited = []


def _child(go_on):
    key = inherited[0] if inherited else declared()[1]
    say(child=key.version)
    go_on.wait(30)
    say(child=key.version)


def multiprocess(how):
    """Load, and start a child that reads the same secret; then look for a newer version, and let the child end."""
    context = multiprocessing.get_context(how)
    go_on = context.Event()
    cache, key = declared()
    cache.load()
    inherited.append(key)
    child = context.Process(target=_child, args=(go_on,))
    child.start()
    wait()
    outcome = cache.refresh("API_KEY", deadline=time.monotonic() + 6)
    say(parent=key.version, outcome=outcome.spread.value)
    go_on.set()
    child.join(20)
    say(code=child.exitcode)


def refresh():
    """Load, look for a newer version when told to, and end."""
    cache, key = declared()
    cache.load()
    say(served=key.version)
    wait()
    outcome = cache.refresh("API_KEY", deadline=time.monotonic() + 6)
    say(served=key.version, outcome=outcome.spread.value)


def _read(secret):
    with contextlib.suppress(SecretUnavailable):
        secret.held  # noqa: B018  # the reading is the point


def hang_and_end():
    """End while a refresh, a first read and a load wait for answers that never come."""
    cache, key = declared()
    cache.load()
    say(served=key.version)
    other = cache.secret("OTHER_KEY")
    wait()
    threading.Thread(target=lambda: cache.refresh("API_KEY", deadline=time.monotonic() + 60), daemon=True).start()
    threading.Thread(target=_read, args=(other,), daemon=True).start()
    try:
        cache.load(timeout=0.3)
    except SecretUnavailable as exc:
        say(unavailable=[name for name in ("API_KEY", "OTHER_KEY") if name in str(exc)])


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
