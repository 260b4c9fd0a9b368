"""Secret Manager as Google describes it: what is so, what reads may say instead, and the events that it publishes.

Access by number after an add is exact. Whether a version is enabled, where an alias points and what `latest` is, reads
may tell as it was up to `lag` seconds ago; a destroyed version is gone at once.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any

from .scheduler import SCHEDULER
from .threads import EPOCH


PROJECT, NUMBER = "shop-test", "123456789"

ENABLED, DISABLED, DESTROYED = "enabled", "disabled", "destroyed"


@dataclass
class Version:
    """One version, and when it was in which state."""

    number: int
    life: int
    good: bool
    states: list[tuple[float, str]]

    @property
    def state(self) -> str:
        return self.states[-1][1]

    @property
    def since(self) -> float:
        """Since when it is in its present state."""
        return self.states[-1][0]

    def at(self, moment: float) -> str:
        """The state at a moment; the first one before its time."""
        if self.state == DESTROYED:
            return DESTROYED
        return next((state for when, state in reversed(self.states) if when <= moment), self.states[0][1])

    @property
    def payload(self) -> bytes:
        return (b"" if self.good else b"\xff") + f"{self.life}.{self.number}".encode()


@dataclass(eq=False)
class Event:
    """One notification, and what it is about; `stamp` is when the change was made."""

    kind: str
    life: int
    number: int | None
    stamp: float
    body: bytes = b""  # as it is pushed
    message: Any = None  # as it is pulled
    aliases: dict[str, int] | None = None
    label: str = ""
    #: The clock of the server that made it was wrong by so much.
    ahead: float = 0.0
    #: What it teaches, once somebody has decoded it.
    lesson: Any = None


@dataclass
class Life:
    """A secret between its creation and its deletion."""

    number: int
    born: float
    versions: list[Version] = field(default_factory=list)
    aliases: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    ended: float | None = None

    def aliased(self, alias: str, moment: float) -> int | None:
        if not self.aliases:
            return None
        found = next((a for when, a in reversed(self.aliases) if when <= moment), self.aliases[0][1])
        return found.get(alias)


class Truth:
    """One secret. `publish` is given each event."""

    def __init__(self, secret: str, publish: Callable[[Event], None]) -> None:
        self.secret = secret
        self.path = f"projects/{NUMBER}/secrets/{secret}"
        self.lives: list[Life] = []
        self.lag = 0.0
        self._publish = publish
        self._ids = count(1)
        self._last = 0.0

    @property
    def life(self) -> Life:
        return self.lives[-1]

    @property
    def deleted(self) -> bool:
        return self.life.ended is not None

    def enabled(self) -> list[Version]:
        return [] if self.deleted else [v for v in self.life.versions if v.state == ENABLED]

    def version(self, life: int, number: int) -> Version | None:
        versions = self.lives[life - 1].versions if 0 < life <= len(self.lives) else []
        return versions[number - 1] if 0 < number <= len(versions) else None

    def _moment(self) -> float:
        """Now, but never twice."""
        self._last = max(SCHEDULER.now, self._last + 1e-6)
        return self._last

    def create(self, *, said: bool = True) -> None:
        self.lives.append(Life(len(self.lives) + 1, born=self._moment()))
        if said:
            self._tell("SECRET_CREATE")

    def add(self, *, good: bool = True) -> Version:
        number = len(self.life.versions) + 1
        version = Version(number, self.life.number, good, [(self._moment(), ENABLED)])
        self.life.versions.append(version)
        self._tell("SECRET_VERSION_ADD", number)
        return version

    def move(self, version: Version, state: str, *, ahead: float = 0.0) -> None:
        version.states.append((self._moment(), state))
        kind = {ENABLED: "ENABLE", DISABLED: "DISABLE", DESTROYED: "DESTROY"}[state]
        self._tell(f"SECRET_VERSION_{kind}", version.number, ahead=ahead)

    def alias(self, aliases: dict[str, int]) -> None:
        self.life.aliases.append((self._moment(), aliases))
        self._tell("SECRET_UPDATE", aliases=aliases)

    def delete(self) -> None:
        self.life.ended = self._moment()
        self._tell("SECRET_DELETE")

    def read(self, asked: str, lag: float) -> Version | str | None:
        """The version that an access gets, the state that it is refused for, or None for NOT_FOUND."""
        if self.deleted or not self.life.versions:
            return None
        versions, moment = self.life.versions, SCHEDULER.now - lag
        if asked.isdecimal():
            number = int(asked)
        elif asked == "latest":
            number = max((v.number for v in versions if v.states[0][0] <= moment), default=1)
        else:
            number = self.life.aliased(asked, moment) or 0
        if not 0 < number <= len(versions):
            return None
        version = versions[number - 1]
        state = version.at(moment)
        return version if state == ENABLED else state

    def _tell(
        self, kind: str, number: int | None = None, *, aliases: dict[str, int] | None = None, ahead: float = 0.0
    ) -> None:
        stamp = EPOCH + int(self._last * 1e9)
        attributes = {
            "eventType": kind,
            "dataFormat": "JSON_API_V1",
            "secretId": self.path,
            "timestamp": _rfc3339(stamp + int(ahead * 1e9)),
        }
        resource: dict[str, Any] = {"name": self.path}
        if number is not None:
            attributes["versionId"] = resource["name"] = f"{self.path}/versions/{number}"
        if aliases is not None:
            resource["versionAliases"] = {alias: str(target) for alias, target in aliases.items()}
        data, identity = json.dumps(resource).encode(), str(next(self._ids))
        pulled = SimpleNamespace(
            attributes=attributes,
            data=data,
            message_id=identity,
            publish_time=SimpleNamespace(seconds=stamp // 10**9, nanos=stamp % 10**9),
        )
        message = {
            "attributes": attributes,
            "data": b64encode(data).decode(),
            "messageId": identity,
            "publishTime": _rfc3339(stamp),
        }
        body = json.dumps({"message": message, "subscription": f"projects/{PROJECT}/subscriptions/push"}).encode()
        what = f"{kind.removeprefix('SECRET_').removeprefix('VERSION_')}{f' {number}' if number else ''}"
        label = f"{what}{f' {aliases}' if aliases is not None else ''} of life {self.life.number}"
        self._publish(Event(kind, self.life.number, number, self._last, body, pulled, aliases, label, ahead))


def _rfc3339(stamp: int) -> str:
    whole = datetime.fromtimestamp(stamp // 10**9, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{stamp % 10**9:09}Z"
