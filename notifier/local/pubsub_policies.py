"""IAM of topics, subscriptions and snapshots: policies are kept and told, and nobody is refused by them."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import grpc
from google.iam.v1 import iam_policy_pb2, policy_pb2  # type: ignore[import-untyped]

from .pubsub_journal import PubSubJournal
from .pubsub_refusals import invalid, missing
from .rpc import Caller, Method, Refusal


IAM = "google.iam.v1.IAMPolicy"

# The etag of a policy that nobody has set yet: `ACAB` in JSON [seen in production by a third party].
_UNTOUCHED = b"\x00\x20\x01"


class PubSubPolicies:
    """google.iam.v1.IAMPolicy, as the official clients call it beside Publisher and Subscriber. Thread-safe.

    Policies are not enforced: callers of the local Pub/Sub have no identity.

    Args:
        has: whether a resource exists, by its full name.
        lock: guards what exists.
        journal: where policies are kept.
        kept: those of before a restart.
    """

    def __init__(
        self,
        *,
        has: Callable[[str], bool],
        lock: AbstractContextManager[Any],
        journal: PubSubJournal,
        kept: Mapping[str, Any],
    ) -> None:
        self._has = has
        self._lock = lock
        self._journal = journal
        self._policies = dict(kept)

    def methods(self) -> Mapping[str, Method]:
        """The methods by their name on the wire."""
        return {
            "SetIamPolicy": Method(iam_policy_pb2.SetIamPolicyRequest, self.set),
            "GetIamPolicy": Method(iam_policy_pb2.GetIamPolicyRequest, self.get),
            "TestIamPermissions": Method(iam_policy_pb2.TestIamPermissionsRequest, self.test),
        }

    def set(self, request: Any, _caller: Caller) -> Any:
        """Replace a policy; one that was read before another changed it is ABORTED [documented]."""
        with self._lock:
            held = self._of(request.resource)
            if request.policy.etag and request.policy.etag != held.etag:
                raise Refusal(
                    grpc.StatusCode.ABORTED,
                    "There were concurrent policy changes. Please retry the whole read-modify-write with exponential "
                    "backoff.",
                )
            policy = policy_pb2.Policy(version=max(1, request.policy.version), bindings=request.policy.bindings)
            content = held.etag + policy.SerializeToString(deterministic=True)
            policy.etag = hashlib.sha256(content).digest()[:8]
            self._policies[request.resource] = policy
            self._journal.resource("policy", request.resource, policy)
            return policy

    def get(self, request: Any, _caller: Caller) -> Any:
        """The policy of a resource."""
        with self._lock:
            return self._of(request.resource)

    def test(self, request: Any, _caller: Caller) -> Any:
        """Which of the permissions the caller has: all, or none where there is no such resource [documented]."""
        if any("*" in permission for permission in request.permissions):
            raise invalid("Permissions with wildcards are not allowed.")
        had = request.permissions if self._has(request.resource) else ()
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=had)

    def forget(self, resource: str) -> None:
        """The resource has been deleted, and its policy with it."""
        with self._lock:
            if self._policies.pop(resource, None) is not None:
                self._journal.resource("policy", resource, None)

    def _of(self, resource: str) -> Any:
        if not self._has(resource):
            raise missing(resource)
        return self._policies.get(resource) or policy_pb2.Policy(etag=_UNTOUCHED)
