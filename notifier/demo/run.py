"""Run the demo from start to end, and say how it ended."""

import json
import sys
from typing import TextIO

from .acts import Play
from .display import lines, picture, summary
from .ending import Ended, Ending
from .load import Load
from .stage import ServiceDied, set_up


def run(workers: int, *, as_json: bool, out: TextIO, err: TextIO) -> int:
    """Run the demo and return the exit status: 0 only where all of it held.

    Args:
        workers: how many gunicorn starts.
        as_json: write one JSON object on `out` and what happens on `err`.
        out: where the figures go.
        err: where people are told of trouble.
    """
    ending = Ending()
    live = out.isatty() and not as_json
    with ending.heard():
        try:
            with (
                set_up(workers) as stage,
                picture() if live else lines(err if as_json else out) as scene,
                Load(stage.port, stage.mark) as load,
            ):
                figures = Play(stage, load, scene, ending, workers).run()
        except Ended as exc:
            err.write(f"{exc}: ended, and nothing is left running.\n")
            return exc.status
        except ServiceDied as exc:
            err.write(f"The service ended by itself. Its last lines:\n{exc}\n")
            return 1
    if as_json:
        out.write(json.dumps(figures.as_json()) + "\n")
    else:
        out.write("\n" + "\n".join(summary(figures)) + "\n")
    out.flush()
    return 1 if figures.shortcomings() else 0


def main(workers: int, *, as_json: bool) -> None:
    """Run the demo on the standard streams and end the process."""
    sys.exit(run(workers, as_json=as_json, out=sys.stdout, err=sys.stderr))
