"""What kind of world a schedule plays in, drawn by chance."""

import random
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Settings:
    """What kind of world it is; times in seconds."""

    instances: int = 1
    workers: int = 1
    platform: str = "always"  # or "requests": CPU only while a request runs
    preload: bool = False  # a master loads, and forks the workers
    gunicorn: bool = False  # whether its workers can tell that others come after them
    eager: bool = True
    entries: dict[str, dict[str, Any]] = field(default_factory=lambda: {"latest": {}})
    backstop: float = 3600.0
    tick: float = 1.0
    delay: float = 0.05  # of a delivery, typically; a few take a hundred times as long
    doubled: float = 0.0  # the chance that a message comes again
    dropped: float = 0.0  # the chance that one way loses it
    latency: float = 0.02
    slow: float = 0.0  # the chance that an access takes seconds, or never ends
    failing: float = 0.0  # the chance that an access fails
    lag: float = 0.0  # how far behind reads may be
    skew: float = 0.0  # how wrong wall clocks are
    monotonic_stops: bool = False
    callbacks: float = 0.0  # how long callbacks take
    callbacks_fail: float = 0.0
    lead: int = 1  # versions that are there at the beginning
    jumpy: float = 0.1
    events: str = "push"  # or "pull", or "both"
    retained: bool = True  # whether the topic keeps what was published, so that a subscription can be sought back
    spread: float = 0.0
    pubsub_latency: float = 0.05
    pubsub_failing: float = 0.0  # the chance that one of its calls fails
    denied: bool = False  # whether the fleet lacks its role, until things go quiet

    @property
    def pushes(self) -> bool:
        return self.events != "pull"

    @property
    def pulls(self) -> bool:
        return self.events != "push"


def settings_by(rng: random.Random, *, small: bool) -> Settings:
    """Draw the kind of world."""
    chance, pick = rng.random, rng.choice
    found = Settings(
        instances=pick([1] * 13 + [2] * 6 + [3]),
        workers=pick([1] * 7 + [2] * 8 + [3] * 4 + [4]),
        platform="requests" if chance() < 0.3 else "always",
        preload=chance() < 0.15,
        gunicorn=chance() < 0.5,
        eager=chance() < 0.8,
        delay=pick([0.02, 0.1, 1.0, 3.0]),
        doubled=pick([0.0, 0.0, 0.3]),
        latency=pick([0.005, 0.05, 0.3]),
        lag=pick([0.0, 0.0, 5.0, 120.0, 3600.0]),
        skew=pick([0.0, 0.0, 5.0, 25.0]),
        callbacks=pick([0.0, 0.0, 0.1, 0.9]),
        lead=pick([1, 1, 2, 4]),
        jumpy=pick([0.0, 0.02, 0.1, 0.4]),
        events=pick(["push"] * 15 + ["pull"] * 3 + ["both"] * 2),
    )
    if small:
        found.instances, found.workers, found.lead = 1, pick([1, 1, 2]), 1
    if found.platform == "requests":
        found.monotonic_stops = chance() < 0.5
    _trouble(found, rng)
    if chance() < 0.3:
        found.entries["alias"] = {"pin": "live", "type": "text"}
    if chance() < 0.15:
        found.entries["latest"]["on_revoked"] = "raise"
    others = found.instances > 1 or found.failing or found.slow or found.lag or found.dropped
    if others or chance() < 0.3:
        found.backstop, found.tick = pick([60.0, 120.0]), 5.0
    elif chance() < 0.7:
        found.tick = 5.0
    if found.pulls:
        _pull(found, rng)
    return found


def _trouble(found: Settings, rng: random.Random) -> None:
    trouble = rng.random()
    if trouble < 0.08:
        found.slow = 0.1
    elif trouble < 0.2:
        found.failing = rng.choice([0.05, 0.3])
    if rng.random() < 0.1:
        found.callbacks_fail = 0.3
    if rng.random() < 0.1:
        found.dropped = 0.3


def _pull(found: Settings, rng: random.Random) -> None:
    chance, pick = rng.random, rng.choice
    found.retained = chance() < 0.7
    found.spread = pick([0.0, 0.0, 0.0, 2.0])
    found.pubsub_latency = pick([0.01, 0.05, 0.3, 1.5])
    found.pubsub_failing = pick([0.0, 0.0, 0.0, 0.2])
    found.denied = chance() < 0.04
    if chance() < 0.7:
        found.tick = 1.0  # at which the others hear of a wake check
