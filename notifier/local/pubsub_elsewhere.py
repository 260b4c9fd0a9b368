"""A Pub/Sub that runs elsewhere, Google's emulator say, as the place where Secret Manager's notifications go."""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

import grpc
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient as Publisher
from google.pubsub_v1.types import PubsubMessage

from .ports import Report
from .rpc import Refusal, Unreachable


if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient


# Seconds: it is on this machine, or near.
_PATIENCE = 5.0


class PubSubElsewhere:
    """The port `TopicPort` over an official client. Thread-safe.

    Args:
        host: `address:port`.
        client: connected to it; not closed here.
        report: told of messages that could not be sent.

    Raises:
        Unreachable: nothing listens there.
    """

    def __init__(self, host: str, client: "PublisherClient", *, report: Report) -> None:
        address, _, port = host.rpartition(":")
        try:
            socket.create_connection((address, int(port)), timeout=_PATIENCE).close()
        except (OSError, ValueError, OverflowError) as exc:
            raise Unreachable(
                f"PUBSUB_EMULATOR_HOST says {host}, and nothing answers there: start that Pub/Sub, or unset it"
            ) from exc
        self.host = host
        self._client = client
        self._report = report

    def has_topic(self, topic: str) -> bool:
        """Whether the topic exists.

        Raises:
            Refusal: UNAVAILABLE, it does not answer.
        """
        try:
            Publisher.get_topic(self._client, topic=topic, retry=None, timeout=_PATIENCE)
        except exceptions.NotFound:
            return False
        except exceptions.GoogleAPICallError as exc:
            raise Refusal(grpc.StatusCode.UNAVAILABLE, f"Pub/Sub at {self.host} does not answer.") from exc
        return True

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str | None:
        """Send one message and return its id; None where that fails, which is reported."""
        message = PubsubMessage(data=data, attributes=dict(attributes))
        try:
            sent = Publisher.publish(self._client, topic=topic, messages=[message], retry=None, timeout=_PATIENCE)
        except exceptions.GoogleAPICallError as exc:
            self._report(f"lost a message to {topic}: {exc.message}")
            return None
        return str(sent.message_ids[0])
