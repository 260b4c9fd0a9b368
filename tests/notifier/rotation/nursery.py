"""A process that has imported everything and forks a rotator for each line that it is given.

A line is JSON: {"secret", "project", "settings", "now", "owner", "stamp"}. The rotator says each
effect before it goes on, and goes on when it is told to; so whoever reads may kill it right after any effect.
"""

import json
import os
import sys

from notifier.rotation.google_vault import GoogleVault, from_environment
from notifier.rotation.machine import Machine
from notifier.rotation.plan import Plan
from notifier.rotation.retirement import Holding, Retirement
from notifier.rotation.rotator import find
from receiver import SecretName
from tests.notifier.rotation.bench import Tripwire


ROTATOR = "postgres-alternating"


class Nobody:
    """Nobody holds anything."""

    def of(self, _plan, _version):
        return Holding(nobody=True, why="")


class Spoken(Tripwire):
    """Says each effect, and waits."""

    def call(self, name, method, args, kwargs):
        result = method(*args, **kwargs)
        if name in self.EFFECTS:
            say(name)
            sys.stdin.readline()
        return result


def say(word):
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def rotate(order):
    wire = Spoken()
    vault = wire.around(GoogleVault(from_environment()))
    plan = Plan(SecretName(order["project"], order["secret"]), rotator=ROTATOR, grace=0.0)
    machine = Machine(
        plan,
        wire.around(find(ROTATOR, order["settings"])),
        vault,
        retirement=Retirement(vault, Nobody()),
        read=lambda name: vault.access(SecretName(order["project"], name), "latest")[1],
        wall=lambda: order["now"],
        owner=order["owner"],
    )
    machine.ask(order["stamp"])
    say(f"end {machine.advance().outcome.value}")


if __name__ == "__main__":
    import google.cloud.secretmanager  # noqa: F401  # before the forks
    import psycopg  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            rotate(json.loads(line))
            os._exit(0)
        say(f"child {child}")
        os.waitpid(child, 0)
        say("gone")
