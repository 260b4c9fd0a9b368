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
from .scene import Row, Scene, Traffic
from .stage import AUDIENCE, NAMES, ROTATED, STATIC, ServiceDied, Stage


#: Seconds: for gunicorn's start, and for the workers to follow a change.
_START: Final = 30.0
_FOLLOW: Final = 5.0

#: Seconds between two acts, so that a person can follow, and between two drawings while something is waited for.
_REST: Final = 0.4
_DRAWN: Final = 0.02

#: Seconds without an access after which nobody is looking any more: workers look at their next tick, in a second.
_QUIET: Final = 1.3

_OK: Final = range(200, 300)
_REFUSED: Final = (401, 403)


class Play:
    """Play the acts in order, and take down what is seen.

    Args:
        stage: what is played on.
        load: the requests, under way.
        scene: what is shown.
        ending: whether somebody has asked for the end.
        workers: how many each instance has.
        instances: how many there are.
    """

    def __init__(self, stage: Stage, load: Load, scene: Scene, ending: Ending, *, workers: int, instances: int) -> None:
        self._stage = stage
        self._load = load
        self._scene = scene
        self._ending = ending
        self._workers: set[int] = set()
        self._messages = 0
        self._counted: tuple[dict[str, int], float] = ({}, 0.0)
        self.figures = Figures(workers, instances)

    def run(self) -> Figures:
        """Play.

        Raises:
            Ended: somebody asked for the end.
            ServiceDied: the service did not start, or ended by itself.
        """
        self._start()
        version = self._rotate()
        self.figures.trace = self._stage.trace(ROTATED, version, instances=self.figures.instances)
        self._step_back(version)
        self._leave_static()
        self._refuse(version)
        seen, figures = self._load.seen, self.figures
        figures.other_fetches = self._other_fetches()
        figures.requests, figures.failed = seen.requests, seen.failed
        figures.mixed, figures.stale = seen.mixed, seen.stale
        return figures

    def _start(self) -> None:
        count, instances = self.figures.expected, self.figures.instances
        of = f"{instances} instances of {_several(self.figures.workers)}" if instances > 1 else _several(count)
        self._scene.begin(f"Start a service with {of} and six secrets, under steady load")
        if not self._wait(lambda: len(self._load.workers()) >= count, _START):
            raise ServiceDied(f"Not every worker has answered within {_START:.0f} s.", self._stage.printed())
        self._workers = self._load.workers()
        self._stage.wire()
        if instances > 1 and not self._wait(self._is_fleet_complete, _START):
            raise ServiceDied(f"Not every instance hears within {_START:.0f} s.", self._stage.printed())
        # Requests that met a service which was not there yet are nobody's failure.
        self._load.forget_failures()
        self._stage.forget_accesses()
        of_instance = self._load.instances()
        self._scene.workers = {
            pid: Row(1, instance=of_instance[pid] + 1 if instances > 1 else 0)
            for pid in sorted(self._workers, key=lambda pid: (of_instance[pid], pid))
        }
        serving = self._load.serving(self._workers, ROTATED, 1, since=0.0)
        self._scene.end(f"{serving} of {_several(count)} serve version 1", held=serving == count)
        self._rest()

    def _rotate(self) -> int:
        stage, load, figures = self._stage, self._load, self.figures
        self._scene.begin(f"Add a version of {ROTATED}")
        began = time.monotonic()
        version = stage.add(ROTATED)
        shown: set[int] = set()

        def show_turned() -> bool:
            for pid, at in load.turned(ROTATED, version).items():
                if pid in self._workers and pid not in shown:
                    shown.add(pid)
                    self._scene.turned(pid, version, (at - began) * 1000)
            return shown == self._workers

        self._acknowledged(ROTATED, version)
        self._wait(show_turned, _FOLLOW)
        self._rest()
        figures.fetches = stage.accesses()[ROTATED]
        figures.milliseconds = [
            row.milliseconds for row in self._scene.workers.values() if row.milliseconds is not None
        ]
        others, seen = self._other_fetches(), load.seen
        self._scene.end(
            f"{figures.converged} of {figures.expected} turned; {others} fetches of other secrets; "
            f"{seen.failed} requests failed, {seen.mixed} mixed",
            held=figures.converged == figures.expected and not (others or seen.failed or seen.mixed),
        )
        self._rest()
        return version

    def _step_back(self, version: int) -> None:
        self._scene.begin(f"Disable that version of {ROTATED}")
        self._load.expect(ROTATED, None)
        self._stage.disable(ROTATED, version)
        serving = self._all_serve(ROTATED, version - 1)
        # Who never turned has nothing to step back from.
        self.figures.stepped_back = self.figures.converged == serving == self.figures.expected
        self._scene.end(
            f"{serving} of {_several(self.figures.expected)} serve version {version - 1} again",
            held=self.figures.stepped_back,
        )
        self._rest()

    def _leave_static(self) -> None:
        self._scene.begin(f"Add a version of {STATIC}, which is static")
        version = self._stage.add(STATIC)
        serving = self._all_serve(STATIC, version - 1)
        self._rest()
        taken, fetched = self._load.turned(STATIC, version), self._stage.accesses()[STATIC]
        self.figures.static_unchanged = serving == self.figures.expected and not taken and not fetched
        self._scene.end(
            f"{serving} of {_several(self.figures.expected)} keep version {version - 1}; the new one: "
            f"{fetched} fetches",
            held=self.figures.static_unchanged,
        )
        self._rest()

    def _refuse(self, version: int) -> None:
        issuer, figures = self._stage.cloud.issuer, self.figures
        self._scene.begin("Push with forged tokens")
        ours = issuer.claims(audience=AUDIENCE, email=SENDER)
        forged = {
            "a stranger's signature": issuer.forge(ours),
            "another sender": issuer.sign({**ours, "email": "stranger@example.com"}),
            "no token": None,
        }
        before = self._stage.accesses()
        statuses = {what: self._push(token, version) for what, token in forged.items()}
        self._rest()  # one that was believed would have something fetched
        figures.forgeries = len(statuses)
        figures.refused = sum(status in _REFUSED for status in statuses.values())
        fetched = sum(self._stage.accesses().values()) - sum(before.values())
        figures.forged = max(sum(status in _OK for status in statuses.values()), fetched)
        said = ", ".join(f"{what}: {status}" for what, status in statuses.items())
        held = figures.refused == figures.forgeries and not figures.forged
        self._scene.end(f"refused ({said})" if held else f"{said}; {fetched} fetches", held=held)
        self._rest()

    def _push(self, token: str | None, version: int) -> int:
        """Send an event that whoever believes it acts upon; 0 where there is no answer."""
        name = self._stage.cloud.secret(ROTATED)
        attributes = {
            "eventType": "SECRET_VERSION_ENABLE",
            "secretId": name,
            "versionId": f"{name}/versions/{version}",
            "timestamp": "2100-01-01T00:00:00Z",
            "dataFormat": "JSON_API_V1",
        }
        message = {"attributes": attributes, "messageId": "1", "publishTime": "2100-01-01T00:00:00Z"}
        body = json.dumps({"message": message, "subscription": self._stage.subscription}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._stage.ports[0], timeout=_FOLLOW)
        try:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request("POST", "/secrets/events", body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def _acknowledged(self, secret: str, version: int) -> float:
        """Wait for the push of what was just done; after it, no request may be served anything but this version."""
        self._messages += 1
        if not self._wait(lambda: self._stage.wait_acknowledged(self._messages, _DRAWN), _FOLLOW):
            self.figures.unacknowledged += 1
        return self._load.expect(secret, version)

    def _all_serve(self, secret: str, version: int) -> int:
        """How many workers serve this version to a request that began after the push was acknowledged."""
        since = self._acknowledged(secret, version)

        def serving() -> int:
            return self._load.serving(self._workers, secret, version, since=since)

        self._wait(lambda: serving() == len(self._workers), _FOLLOW)
        return serving()

    def _is_fleet_complete(self) -> bool:
        """Whether every instance hears, and none is still looking for what it may have missed before it did."""
        now, counted = time.monotonic(), self._stage.accesses()
        if counted != self._counted[0]:
            self._counted = counted, now
        return len(self._stage.fleet()) == self.figures.instances and now - self._counted[1] > _QUIET

    def _other_fetches(self) -> int:
        return sum(count for name, count in self._stage.accesses().items() if name != ROTATED)

    def _rest(self) -> None:
        deadline = time.monotonic() + _REST
        self._wait(lambda: time.monotonic() >= deadline, _REST)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        def looked() -> bool:
            self._stage.check()
            self._draw()
            return condition()

        return self._ending.wait(looked, seconds)

    def _draw(self) -> None:
        load, scene = self._load, self._scene
        scene.traffic = Traffic(load.seen.requests, load.rate(), load.seen.failed, load.seen.mixed)
        scene.newest = dict(self._stage.newest)
        if not self._workers:
            return
        scene.accesses = self._stage.accesses()
        served = load.versions()
        scene.workers = {
            pid: Row(served[pid].get(ROTATED, 0), row.milliseconds, row.instance) for pid, row in scene.workers.items()
        }
        for name in NAMES:
            found = [versions.get(name, 0) for pid, versions in served.items() if pid in self._workers]
            scene.versions[name] = (min(found), max(found))


def _several(workers: int) -> str:
    return f"{workers} worker{'s' if workers > 1 else ''}"
