"""Run the demo of a rotation from start to end, and say how it ended."""

import json
from dataclasses import dataclass
from typing import Any, Final, TextIO

from ..display import lines
from ..ending import Ended, Ending
from ..scene import Scene
from ..stage import ServiceDied
from .cluster import NoDatabase
from .load import Load
from .stage import USERS, WORKERS, Stage, set_up


_START: Final = 30.0
_FOLLOW: Final = 30.0
_REST: Final = 0.7


@dataclass(slots=True)
class Figures:
    """What was seen, each from outside.

    Args:
        rotations: how many versions the schedule has brought.
        queries: how many were asked of the service.
        queries_failed: how many of them were not answered.
        workers_on_new_role: how many workers were seen to log in as the other role.
        old_version_state: of the version before, as Secret Manager says at the end.
        old_credential_refused: whether the database refuses the password before at the end.
    """

    rotations: int = 0
    queries: int = 0
    queries_failed: int = 0
    workers_on_new_role: int = 0
    old_version_state: str = ""
    old_credential_refused: bool = False

    @property
    def held(self) -> bool:
        """Whether all of it is as promised."""
        return (
            (self.rotations, self.queries_failed, self.workers_on_new_role) == (1, 0, WORKERS)
            and self.queries > 0
            and self.old_version_state == "DISABLED"
            and self.old_credential_refused
        )

    def as_json(self) -> dict[str, Any]:
        """The figures under the names that `--json` promises."""
        return {
            "rotations": self.rotations,
            "queries": self.queries,
            "queries_failed": self.queries_failed,
            "workers": WORKERS,
            "workers_on_new_role": self.workers_on_new_role,
            "old_version_state": self.old_version_state,
            "old_credential_refused": self.old_credential_refused,
        }


def run(*, as_json: bool, out: TextIO, err: TextIO, ending: Ending) -> int:
    """Run the demo and return the exit status: 0 only where all of it held.

    Args:
        as_json: write one JSON object on `out` and what happens on `err`.
        out: where the figures go.
        err: where people are told of trouble.
        ending: whether somebody has asked for the end.
    """
    try:
        ending.pause(0)
        with lines(err if as_json else out) as scene, set_up() as stage, Load(stage.port) as load:
            figures = _play(stage, load, scene, ending)
    except Ended as exc:
        err.write(f"{exc}: ended, and nothing is left running.\n")
        return exc.status
    except NoDatabase as exc:
        err.write(f"{exc}\n")
        return 2
    except ServiceDied as exc:
        err.write(f"{exc}\n")
        return 1
    if as_json:
        out.write(json.dumps(figures.as_json()) + "\n")
    else:
        out.write(f"\n{figures.queries} queries, {figures.queries_failed} failed. ")
        out.write("All of it held.\n" if figures.held else "NOT AS PROMISED.\n")
    out.flush()
    return 0 if figures.held else 1


def _play(stage: Stage, load: Load, scene: Scene, ending: Ending) -> Figures:
    figures = Figures()

    def wait(condition: Any, seconds: float = _FOLLOW) -> bool:
        def either() -> bool:
            stage.check()
            return bool(condition())

        return ending.wait(either, seconds)

    def on(user: str, version: int) -> int:
        return sum(one == (user, version) for one in load.seen.users.values())

    scene.begin(f"Start a service with {WORKERS} workers, each with a pool of connections as {USERS[0]}, under load")
    if not wait(lambda: on(USERS[0], 1) >= WORKERS, _START):
        raise ServiceDied("Not every worker has answered in time.", stage.printed("service"))
    load.forget()
    scene.end(f"{WORKERS} of {WORKERS} workers are logged in as {USERS[0]}, with version 1", held=True)
    ending.pause(_REST)

    scene.begin("Let the schedule's time come: Secret Manager says SECRET_ROTATE, the rotator makes a password")
    stage.schedule()
    figures.rotations = int(wait(lambda: stage.newest() == _SECOND))
    scene.end(
        f"{USERS[1]} got a new password, it was tried, and it is version {stage.newest()}", held=bool(figures.rotations)
    )

    scene.begin("Every pool follows: new connections log in with it, old ones end their transaction first")
    wait(lambda: on(USERS[1], _SECOND) >= WORKERS)
    figures.workers_on_new_role = on(USERS[1], _SECOND)
    failed = load.seen.failed
    scene.end(
        f"{figures.workers_on_new_role} of {WORKERS} workers are logged in as {USERS[1]}; {failed} queries failed",
        held=figures.workers_on_new_role == WORKERS and not failed,
    )

    scene.begin("Retire version 1, when the log says that nobody holds it any more")
    wait(lambda: stage.state(1) != "ENABLED")
    wait(lambda: not stage.database.accepts(stage.first))
    figures.old_version_state = stage.state(1)
    figures.old_credential_refused = not stage.database.accepts(stage.first)
    ending.pause(_REST)
    seen = load.seen
    figures.queries, figures.queries_failed = seen.queries, seen.failed
    scene.end(
        f"version 1 is {figures.old_version_state}; the database refuses its password: "
        f"{'yes' if figures.old_credential_refused else 'no'}; {seen.failed} of {seen.queries} queries failed",
        held=figures.held,
    )
    return figures


_SECOND: Final = 2
