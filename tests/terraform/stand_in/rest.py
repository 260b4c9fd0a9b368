"""Google's REST API on a local endpoint: resources as Terraform plans them, and as they are found there."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request

from facts import NOT_IN_BODY
from values import attributes, children, settable


class Refused(Exception):
    """The server did not do what was asked."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def create(endpoint, collection, block, state):
    """Make a resource."""
    url, body = endpoint + state["id"], to_json(block, state, NOT_IN_BODY)
    if collection.creates:
        send("POST", f"{url.rpartition('/')[0]}?{collection.creates.format(**state)}", body)
    else:
        send("PUT", url, body)


def update(endpoint, collection, block, prior, state):
    """Change what differs."""
    before, after = (to_json(block, value, NOT_IN_BODY) for value in (prior, state))
    mask = ",".join(key for key in before | after if before.get(key) != after.get(key))
    if not mask:
        return
    url = endpoint + state["id"]
    if collection.wrapped:
        send("PATCH", url, {collection.wrapped: after | {"name": state["id"]}, "updateMask": mask})
    else:
        send("PATCH", f"{url}?updateMask={urllib.parse.quote(mask)}", after)


def read(endpoint, block, state):
    """Return the resource as it is found there; None where it is not."""
    try:
        found = send("GET", endpoint + state["id"])
    except Refused as problem:
        if problem.status == 404:
            return None
        raise
    return from_json(block, found, state)


def delete(endpoint, state):
    """Delete a resource; one that is gone already is no trouble."""
    try:
        send("DELETE", endpoint + state["id"])
    except Refused as problem:
        if problem.status != 404:
            raise


def to_json(block, value, skip=()):
    """Return `value` as the JSON of Google's REST API."""
    body = {
        name: value[name]
        for name, entry in attributes(block)
        if settable(entry) and name not in skip and value[name] not in (None, "", [], {})
    }
    for name in ("labels", "annotations"):
        if value.get(f"effective_{name}"):
            body[name] = value[f"effective_{name}"]
    for name, nested, item in children(block, value):
        if name == "timeouts":
            continue
        single = block["block_types"][name].get("max_items") == 1
        shown = "automatic" if name == "auto" else name
        body[shown] = to_json(nested, item) if single else [*body.get(shown, []), to_json(nested, item)]
    return {camel(name): item for name, item in body.items()}


def from_json(block, body, prior):
    """Return the value that the JSON of Google's REST API is; what it does not hold stays as it was, or is unset."""
    prior = prior or {}
    value = {name: _attribute(name, entry, body, prior.get(name)) for name, entry in attributes(block)}
    for name in ("labels", "annotations"):
        if f"effective_{name}" in value:
            _own(value, prior, name, body.get(name, {}))
    for name, nested in block.get("block_types", {}).items():
        before = prior.get(name)
        if name == "timeouts":
            value[name] = before
            continue
        found = body.get("automatic" if name == "auto" else camel(name))
        items = found if isinstance(found, list) else [] if found is None else [found]
        olds = [*(before or []), *[None] * len(items)]
        value[name] = [from_json(nested["block"], item, old) for item, old in zip(items, olds, strict=False)]
    return value


def _attribute(name, entry, body, before):
    if not settable(entry) or name in NOT_IN_BODY:
        return before
    if camel(name) not in body:
        return None if before else before
    found = body[camel(name)]
    return float(found) if entry["type"] == "number" else found


def _own(value, prior, name, found):
    """Of labels and annotations the provider minds its own; it shows all."""
    value[f"effective_{name}"] = found
    for own in (name, f"terraform_{name}"):
        if own in value:
            value[own] = {key: found[key] for key in prior.get(own) or {} if key in found} or (prior.get(own) and {})


def camel(name):
    """A name as JSON has it."""
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)


def send(method, url, body=None):
    """Send a request and return the answer's JSON.

    Raises:
        Refused: it was answered with an error, or not at all.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as problem:
        raise Refused(problem.code, f"{method} {url}: {problem.code} {problem.read().decode()}") from problem
    except OSError as problem:
        raise Refused(0, f"{method} {url}: {problem}") from problem
