"""What has been published: the messages that topics retain, and snapshots."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.pubsub_v1.types import pubsub

from .backlog import Message
from .clocks import utc
from .ports import Wall
from .rpc import Refusal


# A snapshot lives for a week, less the age of the oldest message in it; with less than an hour to live it is refused.
# Both [documented].
_LIFE = 7 * 24 * 3600.0
_SHORTEST_LIFE = 3600.0


@dataclass(slots=True)
class Snapshot:
    """What a subscription had not acknowledged at a moment, and all that was published to its topic since.

    Args:
        message: what describes it.
        waiting: the messages, by their id.
    """

    message: Any
    waiting: dict[str, Message] = field(default_factory=dict)


class History:
    """Topics' retained messages, and snapshots. Not thread-safe: the broker calls it under its lock.

    Args:
        wall: wall time.
    """

    def __init__(self, *, wall: Wall) -> None:
        self._wall = wall
        self._retained: dict[str, deque[Message]] = {}
        self._snapshots: dict[str, Snapshot] = {}

    def note(self, topic: Any, message: Message) -> None:
        """Keep what was published, as long as the topic or a snapshot asks for it."""
        self._retained.setdefault(topic.name, deque()).append(message)
        self._drop_old(topic)
        for snapshot in self._snapshots.values():
            if snapshot.message.topic == topic.name:
                snapshot.waiting[message.id] = message

    def forget(self, topic: str, *, renamed: str) -> None:
        """The topic is deleted; its snapshots stay."""
        self._retained.pop(topic, None)
        for snapshot in self._snapshots.values():
            if snapshot.message.topic == topic:
                snapshot.message.topic = renamed

    def retained(self, topic: Any) -> list[Message]:
        """What the topic retains, oldest first."""
        self._drop_old(topic)
        return list(self._retained.get(topic.name, ()))

    def create(self, request: Any, *, topic: str, waiting: Iterable[Message]) -> Any:
        """Keep a snapshot, and describe it.

        Raises:
            Refusal: FAILED_PRECONDITION, it would expire within the hour.
        """
        there = {message.id: message for message in waiting}
        now = self._wall()
        expires = min([now, *(message.at for message in there.values())]) + _LIFE
        if expires < now + _SHORTEST_LIFE:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "The snapshot would expire in less than an hour.")
        message = pubsub.Snapshot.pb()(name=request.name, topic=topic, labels=request.labels)
        message.expire_time.FromDatetime(utc(expires))
        self._snapshots[request.name] = Snapshot(message, there)
        return message

    def snapshot(self, name: str) -> Snapshot | None:
        """The snapshot, None where there is none or it has expired."""
        found = self._snapshots.get(name)
        if found is not None and found.message.expire_time.ToDatetime(tzinfo=utc(0).tzinfo) <= utc(self._wall()):
            del self._snapshots[name]
            return None
        return found

    def snapshots(self) -> list[Any]:
        """All descriptions, by name."""
        found = [self.snapshot(name) for name in sorted(self._snapshots)]
        return [snapshot.message for snapshot in found if snapshot is not None]

    def delete(self, name: str) -> None:
        """Forget a snapshot that is there."""
        del self._snapshots[name]

    def _drop_old(self, topic: Any) -> None:
        kept = self._retained.get(topic.name)
        oldest = self._wall() - topic.message_retention_duration.ToTimedelta().total_seconds()
        while kept and (not topic.HasField("message_retention_duration") or kept[0].at < oldest):
            kept.popleft()
