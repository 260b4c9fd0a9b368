"""The methods of Publisher: a request in, an answer out."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import empty_pb2
from google.pubsub_v1.types import pubsub

from . import pubsub_checks as checks
from .broker import Broker
from .pages import page
from .ports import Report
from .pubsub_refusals import invalid, missing
from .rpc import Caller, Method


PUBLISHER = "google.pubsub.v1.Publisher"

_CHANGEABLE = frozenset({"kms_key_name", "labels", "message_retention_duration", "message_storage_policy"})


class PublisherService:
    """google.pubsub.v1.Publisher over a broker.

    Args:
        broker: what exists.
        report: told of each change.
    """

    def __init__(self, broker: Broker, *, report: Report) -> None:
        self._broker = broker
        self._report = report

    def methods(self) -> Mapping[str, Method]:
        """The methods by their name on the wire."""
        return {
            "CreateTopic": Method(pubsub.Topic.pb(), self.create_topic),
            "UpdateTopic": Method(pubsub.UpdateTopicRequest.pb(), self.update_topic),
            "GetTopic": Method(pubsub.GetTopicRequest.pb(), self.get_topic),
            "ListTopics": Method(pubsub.ListTopicsRequest.pb(), self.list_topics),
            "ListTopicSubscriptions": Method(pubsub.ListTopicSubscriptionsRequest.pb(), self.list_subscriptions),
            "ListTopicSnapshots": Method(pubsub.ListTopicSnapshotsRequest.pb(), self.list_snapshots),
            "DeleteTopic": Method(pubsub.DeleteTopicRequest.pb(), self.delete_topic),
            "DetachSubscription": Method(pubsub.DetachSubscriptionRequest.pb(), self.detach),
            "Publish": Method(pubsub.PublishRequest.pb(), self.publish),
        }

    def create_topic(self, request: Any, _caller: Caller) -> Any:
        """Create a topic."""
        checks.topic(request)
        request.state = type(request).State.Value("ACTIVE")
        self._broker.create_topic(request)
        self._report(f"created {request.name}")
        return request

    def update_topic(self, request: Any, _caller: Caller) -> Any:
        """Change a topic's labels, or how long it retains messages."""
        with self._broker.lock:
            current = self._broker.topic(request.topic.name)
            changed = checks.changed(current, request.topic, request.update_mask, _CHANGEABLE)
            checks.topic(changed)
            self._broker.change_topic(changed)
        self._report(f"updated {changed.name}")
        return changed

    def get_topic(self, request: Any, _caller: Caller) -> Any:
        """Describe a topic."""
        return self._broker.topic(request.topic)

    def list_topics(self, request: Any, _caller: Caller) -> Any:
        """List the topics of a project."""
        checks.project_name(request.project)
        shown, token = page(self._broker.topics(request.project), request.page_size, request.page_token)
        return pubsub.ListTopicsResponse.pb()(topics=shown, next_page_token=token)

    def list_subscriptions(self, request: Any, _caller: Caller) -> Any:
        """List the names of a topic's subscriptions; those that are detached are no longer among them [assumed]."""
        self._broker.topic(request.topic)
        names = sorted(subscription.name for subscription in self._broker.attached(request.topic))
        shown, token = page(names, request.page_size, request.page_token)
        return pubsub.ListTopicSubscriptionsResponse.pb()(subscriptions=shown, next_page_token=token)

    def list_snapshots(self, request: Any, _caller: Caller) -> Any:
        """List the names of a topic's snapshots."""
        with self._broker.lock:
            self._broker.topic(request.topic)
            names = [one.name for one in self._broker.history.snapshots() if one.topic == request.topic]
        shown, token = page(names, request.page_size, request.page_token)
        return pubsub.ListTopicSnapshotsResponse.pb()(snapshots=shown, next_page_token=token)

    def delete_topic(self, request: Any, _caller: Caller) -> Any:
        """Delete a topic; its subscriptions stay."""
        self._broker.delete_topic(request.topic)
        self._report(f"deleted {request.topic}")
        return empty_pb2.Empty()

    def detach(self, request: Any, _caller: Caller) -> Any:
        """Detach a subscription: it gets nothing more, and its messages are gone."""
        self._broker.detach(self._broker.subscription(request.subscription))
        self._report(f"detached {request.subscription}")
        return pubsub.DetachSubscriptionResponse.pb()()

    def publish(self, request: Any, _caller: Caller) -> Any:
        """Publish messages: all of them, or none where one is not valid."""
        if not request.messages:
            raise invalid("There is no message to publish.")
        for message in request.messages:
            checks.message(message.data, message.attributes, message.ordering_key)
        ids = []
        for message in request.messages:
            sent = self._broker.publish(request.topic, message.data, message.attributes, message.ordering_key)
            if sent is None:
                raise missing(request.topic)
            ids.append(sent)
        self._report(f"published {', '.join(ids)} to {request.topic}")
        return pubsub.PublishResponse.pb()(message_ids=ids)
