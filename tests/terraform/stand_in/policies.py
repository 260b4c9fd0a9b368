"""Members of IAM policies on a local endpoint: read, changed and written back as a whole, as the real provider does."""

import threading

from rest import Refused, send


# Terraform changes several members at once, and a policy is written as a whole.
_LOCK = threading.Lock()


def has(url, member):
    """Whether the policy of the resource at `url` has the member in the role."""
    return any(member["member"] in binding["members"] for binding in _bindings(_get(url), member["role"]))


def add(url, member):
    """Put a member into a role."""
    with _LOCK:
        policy = _get(url)
        policy.setdefault("bindings", []).append({"role": member["role"], "members": [member["member"]]})
        send("POST", f"{url}:setIamPolicy", {"policy": policy})


def remove(url, member):
    """Take a member out of a role; where the resource is gone, its policy is too."""
    with _LOCK:
        try:
            policy = _get(url)
        except Refused as problem:
            if problem.status == 404:
                return
            raise
        for binding in _bindings(policy, member["role"]):
            binding["members"] = [one for one in binding["members"] if one != member["member"]]
        policy["bindings"] = [binding for binding in policy.get("bindings", []) if binding["members"]]
        send("POST", f"{url}:setIamPolicy", {"policy": policy})


def _get(url):
    return send("GET", f"{url}:getIamPolicy?options.requestedPolicyVersion=3")


def _bindings(policy, role):
    return [binding for binding in policy.get("bindings", []) if binding["role"] == role]
