"""What a chaos run runs: a local cloud that can be restarted, instances that can be killed, and what is done."""

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc

from notifier.local.cloud import LocalCloud
from tests.service.harness import AUDIENCE, Service

from .load import Disturbance
from .schedule import SECRETS


TOPIC = "secret-events"
#: Seconds that an instance may take to start, on a machine that is busy with the run.
START = 15.0
# A worker may start while a secret is between two lives: it waits, since its end would be that of all workers.
ENVIRONMENT = {"TEST_EVENTS": "both", "TEST_PATIENCE": "60", "K_SERVICE": "", "KUBERNETES_SERVICE_HOST": ""}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class City:
    """A cloud, instances of one service on it, and the truth about its secrets. Acts run one at a time.

    Args:
        instances: how many containers.
        workers: of each.
        say: told of what is done.
    """

    names = SECRETS

    def __init__(self, instances, workers, say):
        self.say = say
        self._count, self._workers = instances, workers
        self._data = tempfile.TemporaryDirectory(prefix="keyturn-chaos-")
        self._ports = {f"{which}_port": free_port() for which in ("secret_manager", "pubsub", "logging", "keys")}
        self.created = {}
        self.lives = dict.fromkeys(SECRETS, 1)
        self.disturbances: list[Disturbance] = []
        self.skipped = set()
        self._later: list[threading.Timer] = []
        self._mounted = []
        # When an instance that was killed is to be started again.
        self._down = {}
        self._supervising, self._over = threading.Lock(), threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self):
        self.cloud = LocalCloud(data=Path(self._data.name), **self._ports).start()
        for name in (*SECRETS, "WALLET_PRIVATE_KEY"):
            self.cloud.create_secret(name, self._value(name, 1), topic=TOPIC)
        self.instances = []
        for _ in range(self._count):
            service = Service(self.cloud, "--timeout", "300", workers=self._workers, env=ENVIRONMENT)
            self._confine(service)
            self.instances.append(service)
        for service in self.instances:
            service.reach_all(self._workers)
        self.cloud.push_to(self.instances[0].push_url, topic=TOPIC, audience=AUDIENCE, backoff=(0.5, 5))
        self._supervisor.start()
        return self

    def end_supervision(self):
        """Let instances end."""
        self._over.set()
        if self._supervisor.is_alive():
            self._supervisor.join(10)

    def __exit__(self, *_):
        self.end_supervision()
        for service in self.instances:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(service.process.pid, signal.SIGKILL)
            service.process.wait(10)
        for place in self._mounted:
            subprocess.run(["umount", "-l", place], check=False)
        for service in self.instances:
            service.__exit__()
        self.cloud.stop()
        self._data.cleanup()

    def _confine(self, service):
        """Give the run directory an end, where this machine lets us: only then can it be full."""
        if sys.platform != "linux" or os.geteuid() != 0:
            return
        os.killpg(service.process.pid, signal.SIGKILL)
        service.process.wait(10)
        place = Path(service.run_dir.name) / "small"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "none", str(place)]
        if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
            self._mounted.append(str(place))
            service.env["KEYTURN_RUN_DIR"] = str(place)
        service.launch()

    def _value(self, name, number):
        value = f"{name}-{self.lives.get(name, 1)}-{number}"
        self.created.setdefault((name, number), set()).add(value)
        return value.encode()

    # What is done. Each takes the act, and undoes what lasts.

    def do(self, act):
        """Carry out an act; nothing where it cannot be done at this moment."""
        self.say(str(act))
        with contextlib.suppress(OSError):  # the process has just ended
            getattr(self, act.what)(act)

    def later(self, seconds, undo):
        timer = threading.Timer(seconds, undo)
        timer.daemon = True
        self._later.append(timer)
        timer.start()

    def settle(self):
        """Wait until all that lasts has been undone."""
        for timer in self._later:
            timer.join(30)
        self._later = []
        self.cloud.secret_manager.heal()
        self.cloud.pubsub.heal()

    def rotate(self, act):
        name = SECRETS[act.whom]
        number = self._highest(name) + 1
        value = self._value(name, number)
        assert number == self.cloud.secret_manager.add_version(self.cloud.secret(name), value)

    def disable(self, act):
        name = SECRETS[act.whom]
        usable = self.usable(name)
        if len(usable) > 1:
            path = f"{self.cloud.secret(name)}/versions/{usable[-1]}"
            self.cloud.secret_manager_client().disable_secret_version(name=path)

    def recreate(self, act):
        name = SECRETS[act.whom]
        self.cloud.secret_manager_client().delete_secret(name=self.cloud.secret(name))
        self.lives[name] += 1
        self.cloud.create_secret(name, self._value(name, 1), topic=TOPIC)

    def kill_worker(self, act, *, of=None):
        pid = of or self._pick(self.instances[act.whom].pids(), act.chance)
        if pid:
            disturbed = self._disturb(act, f"worker {pid} killed", "killed")
            _signal(pid, signal.SIGKILL)
            disturbed.ended = time.monotonic()

    def kill_leader(self, act):
        self.kill_worker(act, of=self._leader(act.whom))

    def stop_worker(self, act, *, of=None):
        pid = of or self._pick(self.instances[act.whom].pids(), act.chance)
        if pid:
            self._stop(act, [pid], f"worker {pid} stopped", "stopped")

    def stop_leader(self, act):
        self.stop_worker(act, of=self._leader(act.whom))

    def stop_instance(self, act):
        service = self.instances[act.whom]
        self._stop(act, [*service.pids(), service.process.pid], "instance stopped", "stopped")

    def _stop(self, act, pids, what, kind):
        disturbed = self._disturb(act, what, kind)
        for pid in pids:
            _signal(pid, signal.SIGSTOP)

        def go_on():
            for pid in pids:
                _signal(pid, signal.SIGCONT)
            disturbed.ended = time.monotonic()

        self.later(act.seconds, go_on)

    def kill_instance(self, act):
        service = self.instances[act.whom]
        with self._supervising:
            if service.process.poll() is None:
                self._down[act.whom] = time.monotonic() + min(act.seconds, 2.0)
                self._disturb(act, "instance killed", "instance")
                os.killpg(service.process.pid, signal.SIGKILL)
                service.process.wait(10)

    def _supervise(self):
        """Start instances that have ended, as platforms do: by our hand, or because a worker could not start."""
        while not self._over.wait(0.1):
            for index, service in enumerate(self.instances):
                with self._supervising:
                    if service.process.poll() is None or time.monotonic() < self._down.get(index, 0):
                        continue
                    disturbed = Disturbance(index, "instance started anew", "instance", time.monotonic())
                    self.disturbances.append(disturbed)
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(service.process.pid, signal.SIGKILL)  # its workers, if they outlived it
                    service.launch()
                for one in self.disturbances:
                    if (one.instance, one.kind, one.ended) == (index, "instance", math.inf):
                        one.ended = time.monotonic() + START

    def restart_cloud(self, act):
        self.cloud.stop()
        threading.Event().wait(min(act.seconds, 2.0))
        self.cloud.start()

    def duplicate(self, act):
        self.cloud.pubsub.duplicate(self.cloud.topic(TOPIC), times=3, copies=2, new_id=act.chance > 0.5)

    def delay(self, act):
        self.cloud.pubsub.delay(self.cloud.topic(TOPIC), act.seconds, times=3)

    def errors(self, act):
        name = SECRETS[int(act.chance * len(SECRETS))]
        code = grpc.StatusCode.RESOURCE_EXHAUSTED if act.chance > 0.5 else grpc.StatusCode.UNAVAILABLE
        self.cloud.secret_manager.fail_accesses(self.cloud.secret(name), times=20, code=code)

    def hang(self, act):
        name = SECRETS[int(act.chance * len(SECRETS))]
        self.cloud.secret_manager.slow_accesses(self.cloud.secret(name), seconds=act.seconds, times=8)

    def fill(self, act):
        place = self.instances[act.whom].env["KEYTURN_RUN_DIR"]
        if place not in self._mounted:
            self.skipped.add("fill: no tmpfs can be mounted here")
            return
        full = Path(place) / "full"
        with contextlib.suppress(OSError), full.open("wb") as file:
            while file.write(b"\0" * 4096):
                file.flush()
        self.later(act.seconds, lambda: full.unlink(missing_ok=True))

    def _disturb(self, act, what, kind):
        self.disturbances.append(Disturbance(act.whom, what, kind, time.monotonic()))
        return self.disturbances[-1]

    @staticmethod
    def _pick(pids, chance):
        return sorted(pids)[int(chance * len(pids))] if pids else None

    def _leader(self, index):
        for answer in self.instances[index].seen(hold=0.02, timeout=1.0).values():
            if answer["leads"]:
                return answer["pid"]
        return None

    # What is true.

    def versions(self, name):
        """The versions of a secret as (number, whether it is enabled)."""
        listed = self.cloud.secret_manager_client().list_secret_versions(parent=self.cloud.secret(name))
        return sorted((int(one.name.rpartition("/")[2]), one.state.name == "ENABLED") for one in listed)

    def _highest(self, name):
        return max((number for number, _ in self.versions(name)), default=0)

    def usable(self, name):
        """The numbers of its usable versions."""
        return [number for number, enabled in self.versions(name) if enabled]

    def wanted(self, name):
        """What every worker should serve."""
        number = self.usable(name)[-1]
        return [number, f"{name}-{self.lives[name]}-{number}"]

    def stale(self):
        """Which workers, of those that can be reached, do not serve what they should."""
        wanted = {name: self.wanted(name) for name in SECRETS}
        found = []
        for index, service in enumerate(self.instances):
            answers = service.seen(hold=0.05, timeout=5.0)
            if len(answers) < self._workers:
                answers |= service.seen(hold=0.1, timeout=5.0)
            if len(answers) < self._workers:
                found.append(f"instance {index}: {len(answers)} of {self._workers} workers answer")
            found += [
                f"instance {index}, worker {pid}: {name} is {answer[name]}, should be {wanted[name]}"
                for pid, answer in answers.items()
                for name in SECRETS
                if answer[name] != wanted[name]
            ]
        return found

    def processes(self):
        """Every process of the instances, with its threads and open files."""
        found = {}
        for service in self.instances:
            for pid in [service.process.pid, *service.pids()]:
                found[pid] = tuple(len(list(Path(f"/proc/{pid}/{kind}").iterdir())) for kind in ("task", "fd"))
        return found

    def subscriptions(self):
        """The ids of the subscriptions."""
        listed = self.cloud.subscriber().list_subscriptions(project=f"projects/{self.cloud.project}")
        return {one.name.rpartition("/")[2] for one in listed}


def _signal(pid, what):
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, what)
