"""The methods of Subscriber: a request in, an answer out."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import empty_pb2
from google.pubsub_v1.types import pubsub

from . import pubsub_checks as checks
from . import pubsub_pull, pubsub_seek
from .broker import Broker
from .pages import page
from .ports import Report
from .rpc import Caller, Method


SUBSCRIBER = "google.pubsub.v1.Subscriber"

# The rest is for ever, or ours to say [documented].
_CHANGEABLE = frozenset(
    {
        "ack_deadline_seconds",
        "dead_letter_policy",
        "expiration_policy",
        "labels",
        "message_retention_duration",
        "push_config",
        "retain_acked_messages",
        "retry_policy",
    }
)
_CHANGEABLE_OF_SNAPSHOTS = frozenset({"expire_time", "labels"})


class SubscriberService:
    """google.pubsub.v1.Subscriber over a broker, but for its streams.

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
            "UpdateSubscription": Method(pubsub.UpdateSubscriptionRequest.pb(), self.update),
            "ListSubscriptions": Method(pubsub.ListSubscriptionsRequest.pb(), self.list_all),
            "DeleteSubscription": Method(pubsub.DeleteSubscriptionRequest.pb(), self.delete),
            "ModifyPushConfig": Method(pubsub.ModifyPushConfigRequest.pb(), self.modify_push_config),
            "Pull": Method(pubsub.PullRequest.pb(), self.pull),
            "Acknowledge": Method(pubsub.AcknowledgeRequest.pb(), self.acknowledge),
            "ModifyAckDeadline": Method(pubsub.ModifyAckDeadlineRequest.pb(), self.modify_ack_deadline),
            "Seek": Method(pubsub.SeekRequest.pb(), self.seek),
            "CreateSnapshot": Method(pubsub.CreateSnapshotRequest.pb(), self.create_snapshot),
            "GetSnapshot": Method(pubsub.GetSnapshotRequest.pb(), self.get_snapshot),
            "ListSnapshots": Method(pubsub.ListSnapshotsRequest.pb(), self.list_snapshots),
            "UpdateSnapshot": Method(pubsub.UpdateSnapshotRequest.pb(), self.update_snapshot),
            "DeleteSnapshot": Method(pubsub.DeleteSnapshotRequest.pb(), self.delete_snapshot),
        }

    def create(self, request: Any, _caller: Caller, *, strip_signature: bool = False) -> Any:
        """Create a subscription; who calls from inside the process may ask for tokens as Cloud Run hands them on."""
        checks.subscription(request)
        request.detached = False
        created = self._broker.create_subscription(request, strip_signature=strip_signature)
        self._report(f"created {created.name}")
        return created.message

    def get(self, request: Any, _caller: Caller) -> Any:
        """Describe a subscription."""
        return self._broker.subscription(request.subscription).message

    def update(self, request: Any, _caller: Caller) -> Any:
        """Change what may be changed of a subscription."""
        with self._broker.lock:
            subscription = self._broker.subscription(request.subscription.name)
            changed = checks.changed(subscription.message, request.subscription, request.update_mask, _CHANGEABLE)
            checks.subscription(changed)
            self._broker.change_subscription(subscription, changed)
        self._report(f"updated {changed.name}")
        return changed

    def list_all(self, request: Any, _caller: Caller) -> Any:
        """List the subscriptions of a project."""
        checks.project_name(request.project)
        there = [subscription.message for subscription in self._broker.subscriptions(request.project)]
        shown, token = page(there, request.page_size, request.page_token)
        return pubsub.ListSubscriptionsResponse.pb()(subscriptions=shown, next_page_token=token)

    def delete(self, request: Any, _caller: Caller) -> Any:
        """Delete a subscription and its messages."""
        self._broker.delete_subscription(request.subscription)
        self._report(f"deleted {request.subscription}")
        return empty_pb2.Empty()

    def modify_push_config(self, request: Any, _caller: Caller) -> Any:
        """Push elsewhere; an empty configuration pauses."""
        checks.push_config(request.push_config)
        with self._broker.lock:
            subscription = self._broker.subscription(request.subscription)
            changed = subscription.copy()
            changed.push_config.CopyFrom(request.push_config)
            self._broker.change_subscription(subscription, changed)
        where = request.push_config.push_endpoint or "nowhere"
        self._report(f"updated {request.subscription}: it pushes to {where}")
        return empty_pb2.Empty()

    def pull(self, request: Any, caller: Caller) -> Any:
        """Lease messages to the caller."""
        return pubsub_pull.pull(self._broker, request, caller)

    def acknowledge(self, request: Any, _caller: Caller) -> Any:
        """Forget messages; ids that are not known are passed over [documented]."""
        backlog = self._broker.subscription(request.subscription).backlog
        for lease in request.ack_ids:
            backlog.acknowledge(lease)
        return empty_pb2.Empty()

    def modify_ack_deadline(self, request: Any, _caller: Caller) -> Any:
        """Lengthen leases, or end them with 0."""
        checks.modified_deadline(request.ack_deadline_seconds)
        subscription = self._broker.subscription(request.subscription)
        for lease in request.ack_ids:
            subscription.modify_deadline(lease, request.ack_deadline_seconds)
        return empty_pb2.Empty()

    def seek(self, request: Any, _caller: Caller) -> Any:
        """Take a subscription to a time or a snapshot."""
        pubsub_seek.seek(self._broker, request)
        self._report(f"sought {request.subscription}")
        return pubsub.SeekResponse.pb()()

    def create_snapshot(self, request: Any, _caller: Caller) -> Any:
        """Keep what a subscription has not acknowledged."""
        checks.snapshot_name(request.name)
        checks.labels(request.labels)
        created = pubsub_seek.create_snapshot(self._broker, request)
        self._report(f"created {created.name}")
        return created

    def get_snapshot(self, request: Any, _caller: Caller) -> Any:
        """Describe a snapshot."""
        with self._broker.lock:
            return self._broker.history.snapshot(request.snapshot).message

    def list_snapshots(self, request: Any, _caller: Caller) -> Any:
        """List the snapshots of a project."""
        checks.project_name(request.project)
        with self._broker.lock:
            there = [one for one in self._broker.history.snapshots() if one.name.startswith(f"{request.project}/")]
        shown, token = page(there, request.page_size, request.page_token)
        return pubsub.ListSnapshotsResponse.pb()(snapshots=shown, next_page_token=token)

    def update_snapshot(self, request: Any, _caller: Caller) -> Any:
        """Change a snapshot's labels, or when it ends."""
        with self._broker.lock:
            current = self._broker.history.snapshot(request.snapshot.name).message
            changed = checks.changed(current, request.snapshot, request.update_mask, _CHANGEABLE_OF_SNAPSHOTS)
            checks.labels(changed.labels)
            self._broker.history.save(changed)
        self._report(f"updated {changed.name}")
        return changed

    def delete_snapshot(self, request: Any, _caller: Caller) -> Any:
        """Delete a snapshot."""
        with self._broker.lock:
            self._broker.history.snapshot(request.snapshot)
            self._broker.history.delete(request.snapshot)
        self._report(f"deleted {request.snapshot}")
        return empty_pb2.Empty()
