"""What has been published: the messages that topics retain, and snapshots."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from google.pubsub_v1.types import pubsub

from .clocks import length, seconds, utc
from .messages import Message
from .ports import Wall
from .pubsub_journal import PubSubJournal, Saved
from .pubsub_refusals import exists, missing, unready


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
        journal: where all of it is kept.
        saved: what there was before a restart.
        forgotten: told of each snapshot that has gone.
    """

    def __init__(self, *, wall: Wall, journal: PubSubJournal, saved: Saved, forgotten: Callable[[str], None]) -> None:
        self._wall = wall
        self._journal = journal
        self._forgotten = forgotten
        self._retained: defaultdict[str, deque[Message]] = defaultdict(deque)
        for topic in saved.topics:
            self._retained[topic].extend(saved.of("retained", topic).values())
        self._snapshots = {
            name: Snapshot(message, {kept.id: kept for kept in saved.of("held", name).values()})
            for name, message in saved.snapshots.items()
        }

    def note(self, topic: Any, message: Message) -> None:
        """Keep what was published, as long as the topic or a snapshot asks for it."""
        if topic.HasField("message_retention_duration"):
            self._retained[topic.name].append(message)
            self._journal.message("retained", topic.name, message.id, message)
            self.drop_old(topic)
        self._expire()
        for snapshot in self._snapshots.values():
            if snapshot.message.topic == topic.name:
                snapshot.waiting[message.id] = message
                self._journal.message("held", snapshot.message.name, message.id, message)

    def forget(self, topic: str, *, renamed: str) -> None:
        """The topic is deleted; its snapshots stay."""
        for message in self._retained.pop(topic, ()):
            self._journal.message("retained", topic, message.id, None)
        for snapshot in self._snapshots.values():
            if snapshot.message.topic == topic:
                snapshot.message.topic = renamed
                self.save(snapshot.message)

    def retained(self, topic: Any) -> list[Message]:
        """What the topic retains, oldest first."""
        self.drop_old(topic)
        return list(self._retained[topic.name])

    def drop_old(self, topic: Any) -> None:
        """Forget what the topic retains no longer."""
        kept = self._retained[topic.name]
        oldest = self._wall() - length(topic.message_retention_duration)
        while kept and (not topic.HasField("message_retention_duration") or kept[0].at < oldest):
            self._journal.message("retained", topic.name, kept.popleft().id, None)

    def create(self, request: Any, *, topic: str, waiting: Iterable[Message]) -> Any:
        """Keep a snapshot, and describe it.

        Raises:
            Refusal: ALREADY_EXISTS; FAILED_PRECONDITION, it would expire within the hour.
        """
        self._expire()
        if request.name in self._snapshots:
            raise exists(request.name)
        there = {message.id: message for message in waiting}
        now = self._wall()
        expires = min([now, *(message.at for message in there.values())]) + _LIFE
        if expires < now + _SHORTEST_LIFE:
            raise unready("The snapshot would expire in less than an hour.")
        message = pubsub.Snapshot.pb()(name=request.name, topic=topic, labels=request.labels)
        message.expire_time.FromDatetime(utc(expires))
        self._snapshots[request.name] = Snapshot(message, there)
        self.save(message)
        for held in there.values():
            self._journal.message("held", request.name, held.id, held)
        return message

    def snapshot(self, name: str) -> Snapshot:
        """The snapshot.

        Raises:
            Refusal: NOT_FOUND, also where it has expired.
        """
        self._expire()
        if name not in self._snapshots:
            raise missing(name)
        return self._snapshots[name]

    def has(self, name: str) -> bool:
        """Whether there is such a snapshot."""
        self._expire()
        return name in self._snapshots

    def snapshots(self) -> list[Any]:
        """All descriptions, by name."""
        self._expire()
        return [self._snapshots[name].message for name in sorted(self._snapshots)]

    def save(self, message: Any) -> None:
        """Keep a snapshot's description as it is now."""
        self._snapshots[message.name].message = message
        self._journal.resource("snapshot", message.name, message)

    def delete(self, name: str) -> None:
        """Forget a snapshot that is there."""
        for held in self._snapshots.pop(name).waiting:
            self._journal.message("held", name, held, None)
        self._journal.resource("snapshot", name, None)
        self._forgotten(name)

    def _expire(self) -> None:
        now = self._wall()
        for name in [one.message.name for one in self._snapshots.values() if seconds(one.message.expire_time) <= now]:
            self.delete(name)
