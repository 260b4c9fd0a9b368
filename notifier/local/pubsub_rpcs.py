"""How Pub/Sub's RPCs are spelt by HTTP, in one table [documented]: what the REST server of the local Pub/Sub serves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .rpc import Method


_PROJECT = r"projects/[^/:]+"

#: What a letter in a path stands for.
PATTERNS = {
    "P": _PROJECT,
    "T": f"{_PROJECT}/topics/[^/:]+",
    "S": f"{_PROJECT}/subscriptions/[^/:]+",
    "N": f"{_PROJECT}/snapshots/[^/:]+",
}

# method -> verb and path after `/v1/`; whatever has a body has the whole request in it.
_SPELLINGS = (
    ("CreateTopic", "PUT {name=T}"),
    ("UpdateTopic", "PATCH {topic.name=T}"),
    ("GetTopic", "GET {topic=T}"),
    ("ListTopics", "GET {project=P}/topics"),
    ("ListTopicSubscriptions", "GET {topic=T}/subscriptions"),
    ("ListTopicSnapshots", "GET {topic=T}/snapshots"),
    ("DeleteTopic", "DELETE {topic=T}"),
    ("Publish", "POST {topic=T}:publish"),
    ("CreateSubscription", "PUT {name=S}"),
    ("UpdateSubscription", "PATCH {subscription.name=S}"),
    ("GetSubscription", "GET {subscription=S}"),
    ("ListSubscriptions", "GET {project=P}/subscriptions"),
    ("DeleteSubscription", "DELETE {subscription=S}"),
    ("DetachSubscription", "POST {subscription=S}:detach"),
    ("ModifyPushConfig", "POST {subscription=S}:modifyPushConfig"),
    ("Pull", "POST {subscription=S}:pull"),
    ("Acknowledge", "POST {subscription=S}:acknowledge"),
    ("ModifyAckDeadline", "POST {subscription=S}:modifyAckDeadline"),
    ("Seek", "POST {subscription=S}:seek"),
    ("CreateSnapshot", "PUT {name=N}"),
    ("UpdateSnapshot", "PATCH {snapshot.name=N}"),
    ("GetSnapshot", "GET {snapshot=N}"),
    ("ListSnapshots", "GET {project=P}/snapshots"),
    ("DeleteSnapshot", "DELETE {snapshot=N}"),
    *(("GetIamPolicy", f"GET {{resource={letter}}}:getIamPolicy") for letter in "TSN"),
    *(("SetIamPolicy", f"POST {{resource={letter}}}:setIamPolicy") for letter in "TSN"),
    *(("TestIamPermissions", f"POST {{resource={letter}}}:testIamPermissions") for letter in "TSN"),
)


@dataclass(frozen=True, slots=True)
class Spelling:
    """A method by HTTP.

    Args:
        name: of the method.
        request: protobuf class of its request.
        verb: of HTTP.
        path: the URL after `/v1/`; `{field=T}` binds a field of the request to what `PATTERNS` says of `T`.
        body: "*" where the body is the request, "" where there is none.
    """

    name: str
    request: Any
    verb: str
    path: str
    body: str

    @property
    def field(self) -> str:
        """The field of the request that names the resource."""
        return self.path[1 : self.path.index("=")]


def spellings(methods: Mapping[str, Method]) -> list[Spelling]:
    """The table, for these methods by their names."""
    rows = []
    for name, spelt in _SPELLINGS:
        verb, _, path = spelt.partition(" ")
        body = "" if verb in {"GET", "DELETE"} else "*"
        rows.append(Spelling(name, methods[name].request, verb, path, body))
    return rows
