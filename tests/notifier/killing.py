"""Local clouds that are killed: each in a process of its own, forked from one that has imported all that it needs.

Run as a program it is that process: for each directory that is written to it, it forks a cloud that keeps its state
there, and tells its pid, its environment when it is ready, and its end.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.types import ReceivedMessage

from notifier.local.clients import Clients
from notifier.local.cloud import LocalCloud


PROJECT = "projects/demo"
SECRETS = [f"{PROJECT}/secrets/s{number}" for number in range(3)]
NEWS, READER = f"{PROJECT}/topics/news", f"{PROJECT}/subscriptions/reader"
CHANGES, HEARD = f"{PROJECT}/topics/changes", f"{PROJECT}/subscriptions/heard"

ENDED = (exceptions.GoogleAPICallError, exceptions.RetryError)


class Forks:
    """Runs clouds over one directory after the other, each until it is killed."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.notifier.killing"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._running = None

    def start(self, place):
        """Begin, and return the pid at once."""
        self._process.stdin.write(f"{place}\n")
        self._process.stdin.flush()
        self._running = int(self._line("pid"))
        return self._running

    def ready(self):
        """The environment, once it is up."""
        return json.loads(self._line("ready"))

    def kill(self, pid):
        """Kill it, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        while not self._process.stdout.readline().startswith("ended"):
            pass
        self._running = None

    def close(self):
        if self._running is not None:
            self.kill(self._running)
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def _line(self, kind):
        line = self._process.stdout.readline()
        assert line.startswith(kind), line
        return line.removeprefix(kind)


class Witness:
    """Changes a cloud as fast as it can, and remembers what was acknowledged."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.versions = {}
        self.published = set()
        self.pulled = set()
        self.acknowledged = set()
        self.again = set()
        self.heard = set()
        self._texts = itertools.count()

    @property
    def complete(self):
        """Whether there was something of every kind to lose."""
        return all((self.versions, self.published, self.acknowledged, self.heard))

    def prepare(self, environment):
        """Make what the rest needs."""
        clients = Clients()
        publisher = clients.publisher(environment["PUBSUB_EMULATOR_HOST"])
        subscriber = clients.subscriber(environment["PUBSUB_EMULATOR_HOST"])
        secrets = clients.secret_manager(environment["SECRET_MANAGER_EMULATOR_HOST"])
        for topic, subscription in ((NEWS, READER), (CHANGES, HEARD)):
            publisher.create_topic(name=topic)
            subscriber.create_subscription(name=subscription, topic=topic, ack_deadline_seconds=600)
        for secret in SECRETS:
            asked = {"replication": {"automatic": {}}, "topics": [{"name": CHANGES}]}
            secrets.create_secret(parent=PROJECT, secret_id=secret.rpartition("/")[2], secret=asked)
        clients.close()

    def work(self, environment, kill):
        """Write, publish and pull until `kill` has been called, which it is at a random moment."""
        clients = Clients()
        secrets = clients.secret_manager(environment["SECRET_MANAGER_EMULATOR_HOST"])
        publisher = clients.publisher(environment["PUBSUB_EMULATOR_HOST"])
        subscriber = clients.subscriber(environment["PUBSUB_EMULATOR_HOST"])
        jobs = [
            lambda: self._add(secrets),
            lambda: self._publish(publisher),
            lambda: self._pull(subscriber),
        ]
        threads = [threading.Thread(target=_until_it_ends, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        time.sleep(self.random.uniform(0, 0.15))
        kill()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        clients.close()

    def check(self, environment):
        """See to it that nothing which was acknowledged is missing."""
        clients = Clients()
        secrets = clients.secret_manager(environment["SECRET_MANAGER_EMULATOR_HOST"])
        for name, text in self.versions.items():
            assert text == secrets.access_secret_version(name=name, retry=None).payload.data
        subscriber = clients.subscriber(environment["PUBSUB_EMULATOR_HOST"])
        for got in _all(subscriber, READER):
            self._got(got)
        self.heard |= {got.message.attributes["versionId"].partition("/secrets/")[2] for got in _all(subscriber, HEARD)}
        clients.close()

        assert set() == self.published - self.pulled
        assert set() == {name.partition("/secrets/")[2] for name in self.versions} - self.heard
        assert set() == self.again

    def _text(self):
        return f"text {next(self._texts)}".encode()

    def _add(self, secrets):
        text = self._text()
        secret = self.random.choice(SECRETS)
        added = secrets.add_secret_version(parent=secret, payload={"data": text}, timeout=5)
        self.versions[added.name] = text

    def _publish(self, publisher):
        text = self._text()
        PublisherClient.publish(publisher, topic=NEWS, messages=[{"data": text}], retry=None, timeout=5)
        self.published.add(text)

    def _pull(self, subscriber):
        pulled = subscriber.pull(subscription=READER, max_messages=5, return_immediately=True, retry=None, timeout=5)
        for got in pulled.received_messages:
            self._got(got)
        if ids := [got.ack_id for got in pulled.received_messages][::2]:
            subscriber.acknowledge(subscription=READER, ack_ids=ids, retry=None, timeout=5)
            self.acknowledged |= {got.message.data for got in pulled.received_messages if got.ack_id in ids}

    def _got(self, got: ReceivedMessage):
        if got.message.data in self.acknowledged:
            self.again.add(got.message.data)
        self.pulled.add(got.message.data)


def _until_it_ends(job):
    while True:
        try:
            job()
        except ENDED:
            return


def _all(subscriber, subscription):
    while pulled := subscriber.pull(
        subscription=subscription, max_messages=1000, return_immediately=True, retry=None, timeout=10
    ).received_messages:
        yield from pulled


def survive(forks, place, witness, *, kills):
    """Kill a cloud over one directory so many times, some of them while it starts; each time see what is left.

    More often where the machine was so busy that there was nothing of some kind to lose.
    """
    pid = forks.start(place)
    witness.prepare(forks.ready())
    forks.kill(pid)
    for number in range(10 * kills):
        if number >= kills and witness.complete:
            break
        if witness.random.random() < 0.2:
            pid = forks.start(place)
            time.sleep(witness.random.uniform(0, 0.06))
            forks.kill(pid)
        pid = forks.start(place)
        environment = forks.ready()
        witness.check(environment)
        witness.work(environment, lambda killed=pid: forks.kill(killed))
    pid = forks.start(place)
    witness.check(forks.ready())
    forks.kill(pid)


def _serve(place):
    with LocalCloud(project="demo", data=Path(place)) as cloud:
        _say("ready", json.dumps(cloud.environment()))
        threading.Event().wait()


def _say(*words):
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def _main():
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _say("pid", str(os.getpid()))
            _serve(line.rstrip("\n"))
        os.waitpid(pid, 0)
        _say("ended")


if __name__ == "__main__":
    _main()
