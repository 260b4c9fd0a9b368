"""What Pub/Sub writes into the journal, and what it reads back at its start.

    kind          key                     record
    topic         full name               google.pubsub.v1.Topic
    subscription  full name               one byte, `S` where signatures are stripped, and the Subscription
    snapshot      full name               google.pubsub.v1.Snapshot
    policy        full name of a resource google.iam.v1.Policy
    count         "ids" or "numbers"      a decimal number: no more than so many have been given out
    waiting       SUBSCRIPTION#NUMBER     PubsubMessage: not acknowledged
    acknowledged  SUBSCRIPTION#NUMBER     PubsubMessage: acknowledged, and kept for a seek
    retained      TOPIC#ID                PubsubMessage: kept by the topic
    held          SNAPSHOT#ID             PubsubMessage: not acknowledged at the snapshot's time, or published since

Attempts and leases are not written: after a restart every message that waits is handed out again, as at least once
allows. A number means the same message for ever, so that an acknowledgement of before the restart still counts.
"""

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from google.iam.v1 import policy_pb2  # type: ignore[import-untyped]
from google.pubsub_v1.types import pubsub

from .backlog import Keeping
from .clocks import seconds, stamp
from .journal import Change, Forgetful, Journal
from .messages import Message


# Numbers are handed out without writing each: a restart skips what is left of so many.
_BLOCK = 10_000

_KINDS = (
    "topic", "subscription", "snapshot", "policy", "count", "waiting", "acknowledged", "retained", "held",
)  # fmt: skip

_STRIPPED, _WHOLE = b"S", b"W"

Messages = dict[int, Message]


@dataclass(slots=True)
class Saved:
    """What there was before the restart.

    Args:
        topics: by their name, as the four that follow.
        subscriptions: each with whether signatures are stripped.
        snapshots: descriptions.
        policies: of any resource.
        messages: by kind and owner, each by its number or id.
    """

    topics: dict[str, Any] = field(default_factory=dict)
    subscriptions: dict[str, tuple[Any, bool]] = field(default_factory=dict)
    snapshots: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    messages: defaultdict[tuple[str, str], Messages] = field(default_factory=lambda: defaultdict(dict))

    def of(self, kind: str, owner: str) -> Messages:
        """Messages of one owner, in their order."""
        return dict(sorted(self.messages.get((kind, owner), {}).items()))


class Counter:
    """Gives out each number once, also over restarts. Thread-safe.

    Args:
        name: what is counted.
        journal: where it is written.
    """

    def __init__(self, name: str, journal: Journal) -> None:
        self._name = name
        self._journal = journal
        self._lock = threading.Lock()
        self._last = self._ceiling = 0

    def begin(self, after: int) -> None:
        """Begin after a number."""
        self._last = self._ceiling = after

    def next(self) -> int:
        """A number that is larger than all before."""
        with self._lock:
            self._last += 1
            if self._last > self._ceiling:
                self._ceiling = self._last + _BLOCK
                self._journal.write(Change("count", self._name, str(self._ceiling).encode()))
            return self._last


class PubSubJournal:
    """The broker's side of a journal. Thread-safe.

    Args:
        journal: where it writes.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # Nothing is made into records where they would be forgotten.
        self._keeps = not isinstance(journal, Forgetful)
        self.ids, self.numbers = Counter("ids", journal), Counter("numbers", journal)

    def flush(self) -> None:
        """Wait until all that was written is durable."""
        self._journal.flush()

    def resource(self, kind: str, name: str, message: Any, *, stripped: bool | None = None) -> None:
        """Keep a topic, subscription, snapshot or policy as it is now; None where it has gone."""
        record = None if message is None else message.SerializeToString()
        if record is not None and stripped is not None:
            record = (_STRIPPED if stripped else _WHOLE) + record
        self._journal.write(Change(kind, name, record))

    def message(self, kind: str, owner: str, number: int | str, message: Message | None) -> None:
        """Keep a message of an owner; None where it has gone."""
        if self._keeps:
            record = None if message is None else _record(message)
            self._journal.write(Change(kind, f"{owner}#{number}", record))

    def read(self) -> Saved:
        """All that was kept."""
        saved = Saved()
        readers = {"topic": pubsub.Topic.pb(), "snapshot": pubsub.Snapshot.pb(), "policy": policy_pb2.Policy}
        places = {"topic": saved.topics, "snapshot": saved.snapshots, "policy": saved.policies}
        for kind, key, value in self._journal.records(*_KINDS):
            if value is None:
                continue
            if kind in places:
                places[kind][key] = readers[kind].FromString(value)
            elif kind == "subscription":
                saved.subscriptions[key] = pubsub.Subscription.pb().FromString(value[1:]), value[:1] == _STRIPPED
            elif kind == "count":
                (self.ids if key == "ids" else self.numbers).begin(int(value))
            elif kind in {"waiting", "acknowledged", "retained", "held"}:
                owner, _, number = key.rpartition("#")
                saved.messages[kind, owner][int(number)] = _message(value)
        return saved


class Keeper(Keeping):
    """Tells the journal of one subscription's messages.

    Args:
        journal: where it writes.
        subscription: full name.
    """

    def __init__(self, journal: PubSubJournal, subscription: str) -> None:
        self._journal = journal
        self._subscription = subscription

    def waits(self, number: int, message: Message) -> None:
        """The message is there and not acknowledged."""
        self._journal.message("waiting", self._subscription, number, message)

    def acknowledged(self, number: int, message: Message) -> None:
        """The message is acknowledged, and kept."""
        self._journal.message("acknowledged", self._subscription, number, message)
        self._journal.message("waiting", self._subscription, number, None)

    def gone(self, number: int, *, acknowledged: bool = False) -> None:
        """The message, waiting or acknowledged, is there no more."""
        self._journal.message("acknowledged" if acknowledged else "waiting", self._subscription, number, None)


def _record(message: Message) -> bytes:
    record = pubsub.PubsubMessage.pb()(
        message_id=message.id, data=message.data, attributes=message.attributes, ordering_key=message.ordering_key
    )
    stamp(record.publish_time, message.at)
    return bytes(record.SerializeToString())


def _message(record: bytes) -> Message:
    read = pubsub.PubsubMessage.pb().FromString(record)
    return Message(read.message_id, seconds(read.publish_time), read.data, dict(read.attributes), read.ordering_key)
