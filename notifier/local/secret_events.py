"""The notifications that Secret Manager publishes: what stands in each, and who gets it."""

import json
from collections.abc import Callable, Iterable, Mapping

from google.protobuf import json_format

from .audit import Entry, nowhere
from .clocks import pacific
from .ports import Report, TopicPort
from .secret_platform_log import TOPIC_NOT_FOUND, TOPIC_PERMISSION_DENIED, unpublished
from .secret_records import Change


class Notifications:
    """Publishes what happened to a secret to the secret's topics.

    Not ordered, and without an ordering key [documented].

    Args:
        topics: where messages go.
        report: told of each message.
        logged: given an entry for each message of a secret that could not be published; Cloud Logging, say.
        project: id of the project that such entries show in place of its number.
    """

    def __init__(
        self, topics: TopicPort, *, report: Report, logged: Callable[[Entry], None] = nowhere, project: str = ""
    ) -> None:
        self._topics = topics
        self._report = report
        self._logged = logged
        self._project = project
        self._forbidden: frozenset[str] = frozenset()

    def forbid(self, topic: str, *, forbidden: bool) -> None:
        """Let a topic be one that the service agent may not publish to, or may."""
        self._forbidden = self._forbidden | {topic} if forbidden else self._forbidden - {topic}

    def forbidden(self, topics: Iterable[str]) -> list[str]:
        """Those of `topics` that may not be published to."""
        return [topic for topic in topics if topic in self._forbidden]

    def missing(self, topics: Iterable[str]) -> list[str]:
        """Those of `topics` that do not exist."""
        return [topic for topic in topics if not self._topics.has_topic(topic)]

    def topic_configured(self, topics: Iterable[str]) -> None:
        """Send the test message: no body, and no attribute but the event's type [documented]."""
        for topic in topics:
            self._publish(topic, b"", {"eventType": "TOPIC_CONFIGURED"}, what="TOPIC_CONFIGURED")

    def announce(self, event: str, change: Change, **more: str) -> None:
        """Tell the secret's topics of a change of it or of one of its versions; `more` are further attributes.

        `timestamp` is the moment of the change itself: it equals `createTime` to the microsecond where a version
        was added [seen in production by a third party].
        """
        secret, version = change.secret, change.version
        if not secret.topics:
            return
        attributes = {
            "dataFormat": "JSON_API_V1",
            "eventType": event,
            "secretId": secret.name,
            "timestamp": pacific(change.at),
            **({} if version is None else {"versionId": version.name}),
            **more,
        }
        fields = json_format.MessageToDict(secret if version is None else version)
        # Keys in order and no spaces, as captured [seen in production by a third party].
        data = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        for topic in secret.topics:
            # Where it may no longer publish, or the topic has gone, it loses the message, logs that and goes on
            # [documented].
            if not self._publish(topic.name, data, attributes, what=f"{event} of {(version or secret).name}"):
                why = TOPIC_PERMISSION_DENIED if topic.name in self._forbidden else TOPIC_NOT_FOUND
                self._logged(unpublished(secret.name, topic.name, why, project=self._project))

    def _publish(self, topic: str, data: bytes, attributes: Mapping[str, str], *, what: str) -> bool:
        sent = None if topic in self._forbidden else self._topics.publish(topic, data, attributes)
        self._report(f"lost {what} to {topic}" if sent is None else f"published {what} to {topic} as {sent}")
        return sent is not None
