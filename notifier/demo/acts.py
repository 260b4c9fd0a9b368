"""The demo's script: what is done to the secrets, and what must then be seen in the answers."""

import http.client
import json
import time
from collections.abc import Callable
from typing import Final

from ..local.cloud import SENDER
from .ending import Ending
from .figures import Figures
from .load import Load
from .scene import Row, Scene
from .stage import AUDIENCE, NAMES, ROTATED, STATIC, Stage


#: Seconds: for gunicorn's start, and for the workers to follow a change.
_START: Final = 30.0
_FOLLOW: Final = 5.0

#: Seconds between two acts, so that a person can follow.
_REST: Final = 0.4

_OK: Final = range(200, 300)


class Play:
    """Play the acts in order, and take down what is seen.

    Args:
        stage: what is played on.
        load: the requests, under way.
        scene: what is shown.
        ending: whether somebody has asked for the end.
        workers: how many there are.
    """

    def __init__(self, stage: Stage, load: Load, scene: Scene, ending: Ending, workers: int) -> None:
        self._stage = stage
        self._load = load
        self._scene = scene
        self._ending = ending
        self._workers: set[int] = set()
        self.figures = Figures(workers)

    def run(self) -> Figures:
        """Play.

        Raises:
            Ended: somebody asked for the end.
            ServiceDied: the service ended by itself.
        """
        self._start()
        self._rotate()
        self._step_back()
        self._leave_static()
        self._refuse()
        seen, figures = self._load.seen, self.figures
        figures.requests, figures.failed = seen.requests, seen.failed
        figures.mixed, figures.stale = seen.mixed, seen.stale
        return figures

    def _start(self) -> None:
        count = self.figures.workers
        self._scene.begin(f"A service with {count} worker{'s' if count > 1 else ''} and six secrets, under steady load")
        began = self._wait(lambda: len(self._load.workers()) >= count, _START)
        self._stage.wire()
        self._workers = self._load.workers()
        self._scene.workers = {pid: Row(1) for pid in sorted(self._workers)}
        # Requests that met a service which was not there yet are nobody's failure.
        self._load.forget_failures()
        self._scene.end(f"{len(self._workers)} workers answer, all at version 1", held=began)
        self._rest()

    def _rotate(self) -> None:
        stage, load, scene = self._stage, self._load, self._scene
        scene.begin(f"Add a version of {ROTATED}")
        stage.forget_accesses()
        began = time.monotonic()
        version = stage.add(ROTATED)
        self._follow_push(ROTATED, version)
        shown: set[int] = set()

        def all_turned() -> bool:
            for pid, at in load.turned(ROTATED, version).items():
                if pid in self._workers and pid not in shown:
                    shown.add(pid)
                    scene.turned(pid, version, (at - began) * 1000)
            return shown == self._workers

        self._wait(all_turned, _FOLLOW)
        self._rest()
        accesses = stage.accesses()
        self.figures.fetches = accesses.pop(ROTATED)
        self.figures.other_fetches = sum(accesses.values())
        self.figures.milliseconds = [row.milliseconds for row in scene.workers.values() if row.milliseconds is not None]
        scene.end(
            f"{self.figures.converged} of {self.figures.workers} workers follow; other secrets: "
            f"{self.figures.other_fetches} fetches; {load.seen.failed} requests failed",
            held=self.figures.converged == self.figures.workers and not self.figures.other_fetches,
        )
        self._rest()

    def _step_back(self) -> None:
        stage, load = self._stage, self._load
        self._scene.begin(f"Disable that version of {ROTATED}")
        load.expect(ROTATED, None)
        stage.cloud.secret_manager.disable_version(stage.cloud.secret(ROTATED), 2)
        self._follow_push(ROTATED, 1)
        self.figures.stepped_back = self._wait(lambda: load.all_serve(self._workers, ROTATED, 1), _FOLLOW)
        for row in self._scene.workers.values():
            row.version = 1
        self._scene.end("every worker serves version 1 again", held=self.figures.stepped_back)
        self._rest()

    def _leave_static(self) -> None:
        stage, load = self._stage, self._load
        self._scene.begin(f"Add a version of {STATIC}, which is static")
        stage.forget_accesses()
        stage.add(STATIC)
        self._follow_push(STATIC, 1)
        before = load.seen.requests
        self._wait(lambda: load.seen.requests > before + 20 * len(self._workers), 1.0)
        taken = load.turned(STATIC, 2)
        fetched = stage.accesses()[STATIC]
        self.figures.static_unchanged = not taken and not fetched and load.all_serve(self._workers, STATIC, 1)
        self._scene.end("every worker keeps version 1; it was not even fetched", held=self.figures.static_unchanged)
        self._rest()

    def _refuse(self) -> None:
        stage = self._stage
        self._scene.begin("Push with forged tokens")
        issuer = stage.cloud.issuer
        ours = issuer.claims(audience=AUDIENCE, email=SENDER)
        forged = {
            "a stranger's signature": issuer.forge(ours),
            "another sender": issuer.sign({**ours, "email": "stranger@example.com"}),
            "no token": None,
        }
        stage.forget_accesses()
        statuses = {what: self._push(token) for what, token in forged.items()}
        self.figures.forged = sum(status in _OK for status in statuses.values()) + sum(stage.accesses().values())
        said = ", ".join(f"{what}: {status}" for what, status in statuses.items())
        self._scene.end(f"refused ({said})", held=not self.figures.forged)
        self._rest()

    def _push(self, token: str | None) -> int:
        name = self._stage.cloud.secret(ROTATED)
        attributes = {
            "eventType": "SECRET_VERSION_ENABLE",
            "secretId": name,
            "versionId": f"{name}/versions/2",
            "timestamp": "2100-01-01T00:00:00Z",
            "dataFormat": "JSON_API_V1",
        }
        message = {"attributes": attributes, "messageId": "1", "publishTime": "2100-01-01T00:00:00Z"}
        body = json.dumps({"message": message, "subscription": self._stage.subscription}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._stage.port, timeout=_FOLLOW)
        try:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request("POST", "/secrets/events", body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def _follow_push(self, secret: str, version: int) -> None:
        # From the acknowledgement on, no request may be served anything else.
        if self._wait(lambda: self._stage.undelivered() == 0, _FOLLOW):
            self._load.expect(secret, version)

    def _rest(self) -> None:
        self._draw()
        self._ending.pause(_REST)
        self._draw()

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        def looked() -> bool:
            self._stage.check()
            self._draw()
            return condition()

        return self._ending.wait(looked, seconds)

    def _draw(self) -> None:
        seen, scene = self._load.seen, self._scene
        scene.requests = (seen.requests, seen.failed)
        scene.accesses = self._stage.accesses()
        last = next(iter(seen.served.values()), {})
        scene.versions = {name: last.get(name, 1) for name in NAMES}
