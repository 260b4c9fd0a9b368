"""All rotations of a manifest: one machine for each secret, and what is to be done with them."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from receiver import Manifest, SecretEvent, SecretName

from .machine import Advance, Machine, Outcome
from .plan import Plan, Plans
from .retirement import Retirement, Standing
from .rotator import BadSettings, UnknownRotator, find
from .vault import Vault, VaultError, current, highest
from .windows import Window


#: Seconds that an old version stays enabled where the manifest says nothing: receivers follow in seconds, and whoever
#: is slow is found by the logs.
GRACE: Final = 3600.0


def plans_of(manifest: Manifest) -> Plans:
    """What a manifest says of the rotation of its secrets.

    Raises:
        ValueError: a window is none.
    """
    found = {}
    for name, spec in manifest.secrets.items():
        said = spec.rotation
        if said is None or not said.served:
            continue
        found[name] = Plan(
            secret=SecretName(manifest.project, name, spec.location),
            rotator=said.rotator,
            settings=said.settings,
            uses=said.uses,
            locations={used: manifest.secrets[used].location for used in said.uses if used in manifest.secrets},
            windows=tuple(Window.parse(window) for window in said.windows),
            # Whoever accepts the value before for a time must find it valid for that long.
            grace=max(
                GRACE if said.grace is None else said.grace, spec.overlap if isinstance(spec.overlap, int) else 0
            ),
            destroy_after=said.destroy_after,
            retire=said.retire,
            period=said.period or 0,
            services=spec.used_by,
        )
    return Plans(found, number=manifest.project_number)


class Rotations:
    """Every secret that is rotated. Thread-safe.

    Args:
        plans: how each is rotated.
        vault: Secret Manager.
        standing: who serves what.
        at_once: how many rotations this process has under way.
        wall: seconds since the epoch.

    Raises:
        UnknownRotator: the manifest names one that is not installed.
        BadSettings: a rotator does not take its settings; the text names the secret.
    """

    def __init__(
        self,
        plans: Plans,
        vault: Vault,
        standing: Standing,
        *,
        at_once: int = 1,
        wall: Callable[[], float] = time.time,  # noqa: TID251  # the default of the argument
    ) -> None:
        self.plans = plans
        self._vault = vault
        self._wall = wall
        self._places = threading.BoundedSemaphore(at_once)
        owner = secrets.token_hex(8)
        retirement = Retirement(vault, standing)
        self._machines: dict[str, Machine] = {}
        for plan in plans:
            try:
                rotator = find(plan.rotator, plan.settings) if plan.rotator else None
            except (UnknownRotator, BadSettings) as exc:
                raise type(exc)(f"{plan.secret.secret}: {exc}") from None
            self._machines[plan.secret.secret] = Machine(
                plan,
                rotator,
                vault,
                retirement=retirement,
                read=self._reader(plan),
                wall=wall,
                owner=owner,
            )

    def __iter__(self) -> Iterator[Machine]:
        return iter(self._machines.values())

    def machine(self, secret: str) -> Machine | None:
        """The machine of a secret's id."""
        return self._machines.get(secret)

    def heard(self, event: SecretEvent) -> Machine | None:
        """Note that an event asks for a rotation, and return what does it; None where nothing here does.

        Raises:
            VaultError: it could not be noted.
        """
        plan = None if event.secret is None else self.plans.of(event.secret)
        if plan is None or plan.rotator is None:
            return None
        machine = self._machines[plan.secret.secret]
        machine.ask(event.stamp)
        return machine

    def asked(self, machine: Machine) -> None:
        """Note that a person asks for a rotation now.

        Raises:
            VaultError: it could not be noted.
        """
        machine.ask(int(self._wall() * 1e9), insist=True)

    def advance(self, machine: Machine, *, urgent: bool = False, wait: float = 0.0) -> Advance:
        """Do what can be done now for one secret.

        Args:
            machine: of the secret.
            urgent: whether a person asks.
            wait: seconds to wait for one of the places.
        """
        if not self._places.acquire(timeout=wait):
            return Advance(Outcome.WAITING, "as many rotations as may be at once are under way")
        try:
            return machine.advance(urgent=urgent)
        finally:
            self._places.release()

    def _reader(self, plan: Plan) -> Callable[[str], bytes]:
        def read(name: str) -> bytes:
            # Only what the manifest names, so that a rotator's settings do not reach beyond its rights.
            if name not in plan.uses:
                raise VaultError(f"{plan.secret.secret}: its rotation does not say that it uses {name}")
            secret = SecretName(plan.secret.project, name, plan.locations.get(name, plan.secret.location))
            found = current(self._vault, secret, at_most=highest(self._vault, secret))
            if found is None:
                raise VaultError(f"{secret} has no usable version")
            return found[1]

        return read
