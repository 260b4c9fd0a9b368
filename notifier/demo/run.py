"""Run the demo from start to end, and say how it ended."""

import json
from typing import TextIO

from .acts import Play
from .display import can_draw, lines, picture, summary
from .ending import Ended, Ending
from .load import Load
from .stage import ServiceDied, set_up


def run(workers: int, *, instances: int = 1, as_json: bool, out: TextIO, err: TextIO, ending: Ending) -> int:
    """Run the demo and return the exit status: 0 only where all of it held.

    Args:
        workers: how many gunicorn starts in each instance.
        instances: how many there are of the service.
        as_json: write one JSON object on `out` and what happens on `err`.
        out: where the figures go.
        err: where people are told of trouble.
        ending: whether somebody has asked for the end.
    """
    live = can_draw(out) and not as_json
    try:
        ending.pause(0)
        with (
            set_up(workers, instances) as stage,
            picture(out) if live else lines(err if as_json else out) as scene,
            Load(stage.ports, stage.mark) as load,
        ):
            figures = Play(stage, load, scene, ending, workers=workers, instances=instances).run()
    except Ended as exc:
        err.write(f"{exc}: ended, and nothing is left running.\n")
        return exc.status
    except ServiceDied as exc:
        err.write(f"{exc}\n")
        return 1
    if as_json:
        out.write(json.dumps(figures.as_json()) + "\n")
    else:
        # Below a picture there is no line to spare on a terminal of 24.
        out.write(("" if live else "\n") + "\n".join(summary(figures)) + "\n")
    out.flush()
    return 1 if figures.shortcomings() else 0
