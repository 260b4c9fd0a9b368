"""Who may do what: the policies of secrets and projects, enforced for callers that say who they are."""

import hashlib
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.iam.v1 import iam_policy_pb2, policy_pb2  # type: ignore[import-untyped]

from .names import Parent, secret_path
from .rpc import Caller, Method, Refusal
from .secret_callers import SecretCaller
from .secret_refusals import invalid, missing, not_here
from .secret_roles import ROLES
from .secret_store import SecretStore


# The etag of a policy that nobody has set yet: `ACAB` in JSON [seen in production by a third party].
_UNTOUCHED = b"\x00\x20\x01"

_ANYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})


class Policies:
    """The IAM calls of SecretManagerService, and what follows from them. Thread-safe.

    A secret inherits what its project grants [documented]. Groups have no members here [assumed]: a caller may say
    that it is `group:...` itself. Bindings with a condition are refused, since conditions are not evaluated here.

    Args:
        store: whose secrets.
    """

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._projects: dict[str, Any] = {}

    def methods(self) -> Mapping[str, Method]:
        """The methods by their name on the wire."""
        return {
            "SetIamPolicy": Method(iam_policy_pb2.SetIamPolicyRequest, self.set),
            "GetIamPolicy": Method(iam_policy_pb2.GetIamPolicyRequest, self.get),
            "TestIamPermissions": Method(iam_policy_pb2.TestIamPermissionsRequest, self.test),
        }

    def grant(self, resource: str, role: str, member: str) -> None:
        """Add a member to a role, of a secret or of a whole project.

        Raises:
            Refusal: NOT_FOUND, there is no such secret; INVALID_ARGUMENT, it is the name of neither.
        """
        with self._lock:
            if "/secrets/" in resource:
                path = secret_path(resource)
                policy = self._of_secret(path)
                policy.bindings.add(role=role, members=[member])
                self._store.set_policy(path, _sealed(policy))
            else:
                project = Parent.parse(resource).project
                self._projects.setdefault(project, policy_pb2.Policy()).bindings.add(role=role, members=[member])

    def check(self, caller: Caller, permission: str, resource: str) -> None:
        """Let a caller through that is granted the permission, or that does not say who it is.

        Args:
            caller: who calls.
            permission: what is needed; "" is granted to all.
            resource: as the caller spelt it.

        Raises:
            Refusal: PERMISSION_DENIED, also where there is no such secret [seen in production by a third party].
        """
        identity = caller.identity if isinstance(caller, SecretCaller) else ""
        if identity and permission and permission not in self._granted(identity, resource):
            raise Refusal(
                grpc.StatusCode.PERMISSION_DENIED,
                f"Permission '{permission}' denied for resource '{resource}' (or it may not exist).",
            )

    def set(self, request: Any, _caller: Caller) -> Any:
        """Replace the policy of a secret; one that was read before another changed it is ABORTED [documented]."""
        path = secret_path(request.resource)
        for binding in request.policy.bindings:
            if binding.HasField("condition"):
                raise not_here("condition")
        with self._lock:
            held = self._of_secret(path)
            if request.policy.etag and request.policy.etag != held.etag:
                raise Refusal(
                    grpc.StatusCode.ABORTED,
                    "There were concurrent policy changes. Please retry the whole read-modify-write with exponential "
                    "backoff.",
                )
            policy = policy_pb2.Policy(version=1, bindings=request.policy.bindings)
            self._store.set_policy(path, _sealed(policy, held.etag))
            return policy

    def get(self, request: Any, _caller: Caller) -> Any:
        """The policy of a secret."""
        return self._of_secret(secret_path(request.resource))

    def test(self, request: Any, caller: Caller) -> Any:
        """Which of the permissions the caller has: none where there is no such secret [documented]."""
        if any("*" in permission for permission in request.permissions):
            raise invalid("Permissions with wildcards are not allowed.")
        path = secret_path(request.resource)
        had = list(request.permissions) if self._store.has(path) else []
        identity = caller.identity if isinstance(caller, SecretCaller) else ""
        if identity:
            granted = self._granted(identity, request.resource)
            had = [permission for permission in had if permission in granted]
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=had)

    def _of_secret(self, path: str) -> Any:
        if not self._store.has(path):
            raise missing(path)
        policy = policy_pb2.Policy(etag=_UNTOUCHED)
        if (held := self._store.policy(path)) is not None:
            policy.CopyFrom(held)
        return policy

    def _granted(self, identity: str, resource: str) -> frozenset[str]:
        project = Parent.parse("/".join(resource.split("/")[:2])).project
        policies = [self._projects.get(project)]
        if "/secrets/" in resource:
            policies.append(self._store.policy(secret_path(resource.partition("/versions/")[0])))
        roles = (
            ROLES.get(binding.role, frozenset())
            for policy in policies
            if policy is not None
            for binding in policy.bindings
            if _means(binding.members, identity)
        )
        return frozenset().union(*roles)


def _means(members: Iterable[str], identity: str) -> bool:
    domain = f"domain:{identity.rpartition('@')[2]}"
    return any(member in _ANYBODY or member in (identity, domain) for member in members)


def _sealed(policy: Any, before: bytes = b"") -> Any:
    """The policy with an etag of its own, another one than before."""
    policy.ClearField("etag")
    policy.etag = hashlib.sha256(before + policy.SerializeToString(deterministic=True)).digest()[:8]
    return policy
