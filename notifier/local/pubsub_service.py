"""The methods of Publisher and Subscriber: a request in, an answer out."""

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1.types import pubsub

from . import pubsub_checks as checks
from . import pubsub_pull
from .broker import Broker, missing
from .pages import page
from .ports import Report
from .rpc import Caller, Method, Refusal


PUBLISHER = "google.pubsub.v1.Publisher"
SUBSCRIBER = "google.pubsub.v1.Subscriber"

_Answer = Any


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
            "GetTopic": Method(pubsub.GetTopicRequest.pb(), self.get_topic),
            "ListTopics": Method(pubsub.ListTopicsRequest.pb(), self.list_topics),
            "DeleteTopic": Method(pubsub.DeleteTopicRequest.pb(), self.delete_topic),
            "Publish": Method(pubsub.PublishRequest.pb(), self.publish),
        }

    def create_topic(self, request: Any, _caller: Caller) -> _Answer:
        """Create a topic."""
        checks.topic_name(request.name)
        self._broker.create_topic(request)
        self._report(f"created {request.name}")
        return request

    def get_topic(self, request: Any, _caller: Caller) -> _Answer:
        """Describe a topic."""
        return self._broker.topic(request.topic)

    def list_topics(self, request: Any, _caller: Caller) -> _Answer:
        """List the topics of a project."""
        checks.project_name(request.project)
        shown, token = page(self._broker.topics(request.project), request.page_size, request.page_token)
        return pubsub.ListTopicsResponse.pb()(topics=shown, next_page_token=token)

    def delete_topic(self, request: Any, _caller: Caller) -> _Answer:
        """Delete a topic; its subscriptions stay."""
        self._broker.delete_topic(request.topic)
        self._report(f"deleted {request.topic}")
        return empty_pb2.Empty()

    def publish(self, request: Any, _caller: Caller) -> _Answer:
        """Publish messages: all of them, or none where one is not valid."""
        if not request.messages:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "There is no message to publish.")
        for message in request.messages:
            checks.message(message.data, dict(message.attributes), message.ordering_key)
        ids = []
        for message in request.messages:
            sent = self._broker.publish(request.topic, message.data, message.attributes, message.ordering_key)
            if sent is None:
                raise missing(request.topic)
            ids.append(sent)
        self._report(f"published {', '.join(ids)} to {request.topic}")
        return pubsub.PublishResponse.pb()(message_ids=ids)


class SubscriberService:
    """google.pubsub.v1.Subscriber over a broker.

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
            "CreateSubscription": Method(pubsub.Subscription.pb(), self.create),
            "GetSubscription": Method(pubsub.GetSubscriptionRequest.pb(), self.get),
            "ListSubscriptions": Method(pubsub.ListSubscriptionsRequest.pb(), self.list_all),
            "DeleteSubscription": Method(pubsub.DeleteSubscriptionRequest.pb(), self.delete),
            "ModifyPushConfig": Method(pubsub.ModifyPushConfigRequest.pb(), self.modify_push_config),
            "Pull": Method(pubsub.PullRequest.pb(), self.pull),
            "Acknowledge": Method(pubsub.AcknowledgeRequest.pb(), self.acknowledge),
            "ModifyAckDeadline": Method(pubsub.ModifyAckDeadlineRequest.pb(), self.modify_ack_deadline),
        }

    def create(self, request: Any, _caller: Caller, *, strip_signature: bool = False) -> _Answer:
        """Create a subscription; who calls from inside the process may ask for tokens as Cloud Run hands them on."""
        checks.subscription(request)
        created = self._broker.create_subscription(request, strip_signature=strip_signature)
        self._report(f"created {created.name}")
        return created.message

    def get(self, request: Any, _caller: Caller) -> _Answer:
        """Describe a subscription."""
        return self._broker.subscription(request.subscription).message

    def list_all(self, request: Any, _caller: Caller) -> _Answer:
        """List the subscriptions of a project."""
        checks.project_name(request.project)
        there = [subscription.message for subscription in self._broker.subscriptions(request.project)]
        shown, token = page(there, request.page_size, request.page_token)
        return pubsub.ListSubscriptionsResponse.pb()(subscriptions=shown, next_page_token=token)

    def delete(self, request: Any, _caller: Caller) -> _Answer:
        """Delete a subscription and its messages."""
        self._broker.delete_subscription(request.subscription)
        self._report(f"deleted {request.subscription}")
        return empty_pb2.Empty()

    def modify_push_config(self, request: Any, _caller: Caller) -> _Answer:
        """Push elsewhere; an empty configuration pauses."""
        checks.push_config(request.push_config)
        self._broker.subscription(request.subscription).push_to(request.push_config)
        where = request.push_config.push_endpoint or "nowhere"
        self._report(f"updated {request.subscription}: it pushes to {where}")
        return empty_pb2.Empty()

    def pull(self, request: Any, caller: Caller) -> _Answer:
        """Lease messages to the caller."""
        return pubsub_pull.pull(self._broker, request, caller)

    def acknowledge(self, request: Any, _caller: Caller) -> _Answer:
        """Forget messages; ids that are not known are passed over [documented]."""
        backlog = self._broker.subscription(request.subscription).backlog
        for lease in request.ack_ids:
            backlog.acknowledge(lease)
        return empty_pb2.Empty()

    def modify_ack_deadline(self, request: Any, _caller: Caller) -> _Answer:
        """Lengthen leases, or end them with 0."""
        checks.modified_deadline(request.ack_deadline_seconds)
        subscription = self._broker.subscription(request.subscription)
        for lease in request.ack_ids:
            subscription.modify_deadline(lease, request.ack_deadline_seconds)
        return empty_pb2.Empty()
