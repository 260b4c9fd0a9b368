"""A rotation on a workbench: a real vault on the local cloud, a clock that is moved, rotators that can be watched."""

import random

from notifier.rotation.google_vault import GoogleVault
from notifier.rotation.machine import Machine
from notifier.rotation.plan import Plan
from notifier.rotation.retirement import Holding, Retirement
from notifier.rotation.rotator import RotatorError
from receiver import SecretName


class Crash(BaseException):
    """The process ends here."""


class Tripwire:
    """Passes every call on, and ends the process after one of them that changes something.

    To die before such a call, or after one that only reads, is to die after the one before it.

    Args:
        at: how many such calls pass before the last one; None for all.
    """

    EFFECTS = frozenset({"annotate", "create", "add", "disable", "enable", "destroy", "apply", "test", "revoke"})

    def __init__(self, at=None):
        self.at, self.calls = at, 0

    def around(self, thing):
        return _Wired(thing, self)

    def call(self, name, method, args, kwargs):
        if name not in self.EFFECTS:
            return method(*args, **kwargs)
        self.calls += 1
        fatal = self.at is not None and self.calls == self.at + 1
        try:
            result = method(*args, **kwargs)
        finally:
            if fatal:
                raise Crash(name)
        return result


class _Wired:
    def __init__(self, thing, wire):
        self._thing, self._wire = thing, wire

    def __getattr__(self, name):
        found = getattr(self._thing, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self._wire.call(name, found, args, kwargs)


class Provider:
    """Somewhere outside that knows which values are valid, and a rotator for it."""

    def __init__(self, *, overlap="until revoked", one_at_a_time=False):
        self.overlap, self.one_at_a_time = overlap, one_at_a_time
        self.valid = set()
        self.made = 0
        self.refuse = False
        self.down = False
        self.applied = []

    def create(self, _job):
        self.made += 1
        return f"canary-value-{self.made}".encode()

    def apply(self, _job, candidate):
        if self.down:
            raise RotatorError("the provider is down")
        if self.overlap == "none":
            self.valid.clear()
        self.valid.add(candidate)
        self.applied.append(candidate)

    def test(self, _job, candidate):
        if self.refuse or candidate not in self.valid:
            raise RotatorError("the provider refused the candidate", refused=True)

    def revoke(self, _job, old):
        self.valid.discard(old)


class Logs:
    """Says who serves what, as it is told."""

    def __init__(self):
        self.holding = Holding(nobody=True, why="all serve it")
        self.asked = []

    def of(self, plan, version):
        self.asked.append((plan.secret.secret, version))
        return self.holding


class Bench:
    """One secret, its companion, and rotators that start anew at will."""

    def __init__(self, cloud, name, *, plan=None, rotator=None):
        self.cloud, self.name = cloud, name
        self.provider = rotator or Provider()
        cloud.create_secret(name, b"canary-value-0", topic="secret-events")
        client = cloud.secret_manager_client()
        self.vault = GoogleVault(lambda _: client, timeout=5.0)
        self.plan = plan or Plan(SecretName(cloud.project, name), rotator="provider", grace=60.0)
        self.vault.create(self.plan.companion, labels={})
        if isinstance(self.provider, Provider):
            self.provider.valid.add(b"canary-value-0")
        self.logs = Logs()
        self.now = 1_800_000_000.0
        self._owners = 0

    def machine(self, wire=None, *, plan=None):
        """A process that begins: it knows nothing but what is kept."""
        wire = wire or Tripwire()
        vault = wire.around(self.vault)
        self._owners += 1
        return Machine(
            plan or self.plan,
            wire.around(self.provider),
            vault,
            retirement=Retirement(vault, self.logs),
            read=lambda name: self.vault.access(SecretName(self.cloud.project, name), "latest")[1],
            wall=lambda: self.now,
            owner=f"process-{self._owners}",
            rng=random.Random(1).random,
        )

    def asks(self, seconds=0):
        """The stamp of an event."""
        return int((self.now + seconds) * 1e9)

    def served(self):
        return self.vault.access(self.plan.secret, "latest")

    def enabled(self):
        return sorted(version.number for version in self.vault.versions(self.plan.secret) if version.enabled)

    def candidates(self):
        return [version for version in self.vault.versions(self.plan.companion) if not version.destroyed]
