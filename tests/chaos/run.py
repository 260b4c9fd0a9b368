"""A chaos run: `python -m tests.chaos.run --seconds 300 --seed 1`.

Faults and changes happen for a round; then all that lasts is undone, and within the bound every worker of every
instance must serve what Secret Manager says. The same seed plans the same run.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from .city import City
from .load import Load
from .schedule import SECRETS, rounds


#: Seconds from the end of a round until every worker has converged: messages that failed during it are sent again with
#: a backoff that doubles up to a minute, and workers that were killed have to start.
SETTLED = 90.0
#: Seconds from an add in quiet until every worker serves it: awake workers, two seconds; the rest is for a machine that
#: is busy with the run itself.
QUIET = 10.0


@dataclass
class Report:
    """What came of a run."""

    seed: int
    rounds: int = 0
    acts: int = 0
    answered: int = 0
    settled: list[float] = field(default_factory=list)
    quiet: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def run(seed, *, seconds, instances, workers, each=20.0, density=1.0, say=lambda _: None):
    """Run, and report; a report without `faults` is a run in which all promises were kept."""
    report = Report(seed)
    plan = rounds(seed, count=max(1, round(seconds / each)), seconds=each, instances=instances, density=density)
    before = set(threading.enumerate())
    with City(instances, workers, say) as city:
        with Load(city) as load:
            _converge(city, report, "before the first round", SETTLED)
            report.settled.clear()
            sizes = [city.processes()]
            for number, acts in enumerate(plan, 1):
                say(f"round {number}")
                _play(city, acts)
                city.settle()
                report.rounds, report.acts = number, report.acts + len(acts)
                _converge(city, report, f"after round {number}", SETTLED)
                _rotate_in_quiet(city, report, number)
            sizes.append(city.processes())
        _judge(city, load, report, sizes)
        _end(city, report)
    left = [
        thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith(("local", "keyturn"))
    ]
    report.faults += [f"left running: {name}" for name in left]
    report.skipped = sorted(city.skipped)
    return report


def _play(city, acts):
    began = time.monotonic()
    for act in acts:
        threading.Event().wait(max(0.0, began + act.at - time.monotonic()))
        city.do(act)


def _converge(city, report, when, bound, into=None):
    began = time.monotonic()
    while stale := city.stale():
        if time.monotonic() - began > bound:
            report.faults += [f"{when}: {line}" for line in stale]
            return
        threading.Event().wait(0.1)
    (report.settled if into is None else into).append(round(time.monotonic() - began, 2))


def _rotate_in_quiet(city, report, number):
    for index, _ in enumerate(SECRETS):
        act = type("Quiet", (), {"whom": index})
        city.rotate(act)
    _converge(city, report, f"in the quiet after round {number}", QUIET, into=report.quiet)


def _judge(city, load, report, sizes):
    report.answered = sum(load.answered)
    report.faults += load.wrong[:20]
    failed = Counter()
    for failure in load.failures:
        causes = [one.what for one in city.disturbances if one.explains(failure)]
        line = f"instance {failure.instance}: {failure.why} after {failure.ended - failure.began:.2f} s"
        if causes:
            failed[f"instance {failure.instance}: {failure.why}, {causes[-1]}"] += 1
        else:
            report.faults.append(f"{line}, and nothing had been done to it")
    report.failed = [f"{line}: {count}" for line, count in sorted(failed.items())]
    most = [max(size[1] for size in one.values()) for one in sizes]
    if most[1] > most[0] + 20:
        report.faults.append(f"open files grew from {most[0]} to {most[1]} in a process")
    most = [max(size[0] for size in one.values()) for one in sizes]
    if most[1] > most[0] + 20:
        report.faults.append(f"threads grew from {most[0]} to {most[1]} in a process")


def _end(city, report):
    city.end_supervision()
    pids = list(city.processes())
    for service in city.instances:
        service.process.terminate()
    for index, service in enumerate(city.instances):
        service.process.wait(15)
        city.say(f"the last of instance {index}:\n" + "\n".join(service.output().splitlines()[-30:]))
        left = [name for name in service.left_in_run_dir() if name not in {"small", "small/full"}]
        report.faults += [f"instance {index} left {name} in its run directory" for name in left]
    report.faults += [f"process {pid} is left" for pid in pids if _is_alive(pid)]
    report.faults += [f"subscription {name} is left" for name in city.subscriptions() - {"push"}]


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123  # one line of /proc
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main():
    """Run from the command line; the exit status says whether all promises were kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--each", type=float, default=20, help="seconds of a round")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else time.time_ns() % 1_000_000
    began = time.monotonic()
    report = run(
        seed,
        seconds=given.seconds,
        instances=given.instances,
        workers=given.workers,
        each=given.each,
        say=lambda line: given.verbose and sys.stderr.write(f"{time.monotonic() - began:7.1f} {line}\n"),
    )
    sys.stdout.write(json.dumps(vars(report), indent=2) + "\n")
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
