"""A worker process that does as it is told: one JSON command a line on standard input, one JSON answer a line."""

import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from receiver.board import Board
from receiver.errors import BoardError
from receiver.knowledge import Knowledge
from receiver.locks import RecordLock, SignOfLife
from receiver.names import SecretName
from receiver.rundir import open_run_dir
from receiver.siblings import Siblings


class Member:
    def __init__(self, parent: str) -> None:
        self.board = Board(open_run_dir("test", parent=parent))
        self.siblings = Siblings(self.board)
        self.changed = threading.Condition()
        self.applied: dict[str, Knowledge] = {}
        self.runs = 0
        self.blocked = ""
        self.released = threading.Event()
        self.seen = -1
        self.known: dict[str, Knowledge] = {}
        self.lives: list[SignOfLife] = []

    def apply(self, name, knowledge):
        with self.changed:
            self.runs += 1
            self.changed.notify_all()
        if name.secret == self.blocked:
            self.released.wait(30)
        if name.secret == "RAISES":
            raise RuntimeError("told to")
        with self.changed:
            self.applied[name.secret] = self.applied.get(name.secret, Knowledge()).merge(knowledge)
            self.changed.notify_all()
        return name.secret != "FAILS"

    def attend(self):
        self.siblings.attend(self.apply)

    def publish(self, secret, number):
        return sorted(self.board.publish(_name(secret), _version(number)).knowledge.words)

    def publish_all(self, secrets, numbers):
        for number in numbers:
            for secret in secrets:
                self.board.publish(_name(secret), _version(number))

    def publish_and_die_before_the_bump(self, secret, number):
        replace = os.replace

        def replace_and_die(*paths):
            replace(*paths)
            os.kill(os.getpid(), signal.SIGKILL)

        os.replace = replace_and_die
        self.publish(secret, number)

    def publish_on_a_full_disk(self, secret, number):
        was = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, was[1]))
        try:
            self.publish(secret, number)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, was)

    def timed_publish(self, secret, number):
        start = time.monotonic()
        try:
            self.publish(secret, number)
        except BoardError:
            return ["refused", time.monotonic() - start]
        return ["published", time.monotonic() - start]

    def request(self, secret):
        """What a request does first; answers the numbers that it then knows."""
        if self.board.generation() != self.seen:
            generation, changes = self.board.changes()
            for name, knowledge in changes:
                self.known[name.secret] = self.known.get(name.secret, Knowledge()).merge(knowledge)
            self.seen = generation
            self.siblings.caught_up()
        return sorted(self.known.get(secret, Knowledge()).words)

    def hold_lock(self):
        self.held = RecordLock(self.board.run_dir.path / "lock").held(1)
        self.held.__enter__()

    def release_lock(self):
        self.held.__exit__(None, None, None)

    def begin_life(self):
        self.lives.append(SignOfLife.begin(self.board.run_dir.path))
        return self.lives[-1].name

    def relay(self, secret, number, seconds):
        start = time.monotonic()
        told = self.siblings.relay(_name(secret), _version(number)).wait(start + seconds)
        return {
            "applied": len(told.applied),
            "failed": len(told.failed),
            "lagging": len(told.lagging),
            "seconds": time.monotonic() - start,
        }

    def begin_relay(self, secret, number):
        self.begun = self.siblings.relay(_name(secret), _version(number))

    def end_relay(self, seconds):
        told = self.begun.wait(time.monotonic() + seconds)
        return {"applied": len(told.applied), "failed": len(told.failed), "lagging": len(told.lagging)}

    def block(self, secret):
        self.blocked = secret
        self.released.clear()

    def release(self):
        self.released.set()

    def await_runs(self, runs):
        with self.changed:
            return self.changed.wait_for(lambda: self.runs >= runs, 10)

    def await_applied(self, secret, number):
        with self.changed:
            return self.changed.wait_for(lambda: number in self.applied.get(secret, Knowledge()).words, 10)

    def count_runs(self):
        return self.runs

    def stats(self):
        stats = self.siblings.stats()
        return [stats.attending, stats.members, stats.lagging]

    def fork(self):
        """Fork a child that does what keyturn's hook does, and then nothing until it is killed."""
        ready, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.siblings.after_fork()
            self.board.after_fork()
            attending = self.siblings.attending
            self.publish("FROM_CHILD", 1)
            os.write(tell, b"n" if not attending else b"y")
            while True:
                signal.pause()
        assert os.read(ready, 1) == b"n"
        return pid

    def leave(self):
        self.siblings.leave()
        self.board.close()


def _name(secret):
    return SecretName("p", secret)


def _version(number):
    return Knowledge.version(number, 1_000_000 + number, usable=True)


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main():
    member = Member(sys.argv[1])
    say("ready")
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(member, command["do"])(*command["with"])
        except OSError as exc:
            answer = {"error": type(exc).__name__}
        say(answer)


if __name__ == "__main__":
    assert Path(sys.argv[1]).is_dir()
    main()
