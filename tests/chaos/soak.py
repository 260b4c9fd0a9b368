"""A soak: one rotation a second, and no process grows. `python -m tests.chaos.soak --seconds 1200`.

Each worker's resident memory, open files and threads are read every few seconds. After a warm-up (a fifth of the run:
allocators fill their arenas, and knowledge its 32 versions) the median of the last fifth is compared with the median of
the second.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from pathlib import Path

from .city import City
from .load import Load
from .schedule import SECRETS


#: Megabytes, files and threads by which the last fifth's median may be above the second's.
GROWTH = {"rss_mb": 3.0, "fds": 5, "threads": 3}
_PAGE_MB = 4096 / 1e6


def sample(pid):
    """What a process uses now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    counts = {kind: len(list(Path(f"/proc/{pid}/{kind}").iterdir())) for kind in ("fd", "task")}
    return {"rss_mb": pages * _PAGE_MB, "fds": counts["fd"], "threads": counts["task"]}


def run(seconds, *, instances=2, workers=2, say=lambda _: None):
    """Soak, and report; `faults` is empty where nothing grew and every worker ended at the newest version."""
    faults, samples, rotations = [], {}, 0
    with City(instances, workers, say) as city, Load(city, users=1) as load:
        pids = [pid for service in city.instances for pid in service.pids()]
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            name = SECRETS[0]
            rotations += 1
            city.cloud.add_version(name, city._value(name, rotations + 1))
            for pid in pids:
                samples.setdefault(pid, []).append(sample(pid))
            threading.Event().wait(max(0.0, began + rotations - time.monotonic()))
        deadline = time.monotonic() + 10
        while (stale := city.stale()) and time.monotonic() < deadline:
            threading.Event().wait(0.1)
        faults += stale + load.wrong[:10] + [f"a request failed: {failure.why}" for failure in load.failures[:10]]
        city.end_supervision()
    grown = {pid: growth(taken) for pid, taken in samples.items()}
    for pid, by in grown.items():
        faults += [f"worker {pid}: {what} grew by {by[what]:.1f}" for what, most in GROWTH.items() if by[what] > most]
    return {
        "seconds": seconds,
        "rotations": rotations,
        "answered": sum(load.answered),
        "last": {pid: taken[-1] for pid, taken in samples.items()},
        "growth": grown,
        "faults": faults,
    }


def growth(samples):
    """By how much the last fifth's median is above the second's."""
    fifth = max(1, len(samples) // 5)

    def median(part, what):
        return statistics.median(one[what] for one in part)

    return {
        what: round(median(samples[-fifth:], what) - median(samples[fifth : 2 * fifth] or samples, what), 2)
        for what in GROWTH
    }


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1200)
    report = run(parser.parse_args().seconds)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    sys.exit(1 if report["faults"] else 0)


if __name__ == "__main__":
    main()
