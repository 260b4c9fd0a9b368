"""The official clients, connected to local servers without any variable of the environment.

They are imported when they are asked for: that takes longer than all the servers, and who only serves needs none.
"""

from typing import TYPE_CHECKING

import grpc


if TYPE_CHECKING:
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
    from google.cloud.secretmanager import SecretManagerServiceClient


class Clients:
    """Make official clients, and close their channels together."""

    def __init__(self) -> None:
        self._channels: list[grpc.Channel] = []

    def secret_manager(self, host: str) -> "SecretManagerServiceClient":
        """A client of the Secret Manager at `host`."""
        from google.cloud.secretmanager import SecretManagerServiceClient
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
            SecretManagerServiceGrpcTransport,
        )

        return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=self._channel(host)))

    def logging(self, host: str) -> "LoggingServiceV2Client":
        """A client of the Logging at `host`."""
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
        from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport

        return LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=self._channel(host)))

    def publisher(self, host: str) -> "PublisherClient":
        """A client of the Publisher at `host`; it sends each message at once."""
        from google.cloud.pubsub_v1 import PublisherClient
        from google.cloud.pubsub_v1.types import BatchSettings
        from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

        transport = PublisherGrpcTransport(channel=self._channel(host))
        at_once = BatchSettings(max_messages=1)
        return PublisherClient(batch_settings=at_once, transport=transport)

    def subscriber(self, host: str) -> "SubscriberClient":
        """A client of the Subscriber at `host`."""
        from google.cloud.pubsub_v1 import SubscriberClient
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

        transport = SubscriberGrpcTransport(channel=self._channel(host))
        return SubscriberClient(transport=transport)

    def close(self) -> None:
        """Close the channels of all clients made here."""
        while self._channels:
            self._channels.pop().close()

    def _channel(self, host: str) -> grpc.Channel:
        # A pool of its own: clients of two clouds on one port in turn must not share a broken connection.
        # Nor does a proxy that the environment names lead to this machine.
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
        channel = grpc.insecure_channel(host, options=options)
        self._channels.append(channel)
        return channel
