"""A stand-in for the Terraform google and google-beta providers.

It serves a schema in the layout of `terraform providers schema -json` over Terraform's plugin protocol, version 6.
Terraform itself then checks names, types and nesting.  This adds the checks in facts.py, plans with what Google
computes left unknown, and applies into the state.  Where the provider block (or GOOGLE_PUBSUB_CUSTOM_ENDPOINT,
GOOGLE_SECRET_MANAGER_CUSTOM_ENDPOINT, GOOGLE_SECRET_MANAGER_REGIONAL_CUSTOM_ENDPOINT) names a local endpoint, what
facts.py has in REST and POLICIES is created, read, changed, imported and deleted there, as the real one does.
"""

import json
import os
import re
import sys

import policies
import rest
from facts import (
    AGENTS,
    APPLIED,
    ATTRIBUTION,
    PLANNED,
    POLICIES,
    PROVIDER_META,
    REST,
    RULES,
    immutable,
)
from plugin import decode, encode, error, serve, serve_all, to_path, to_schema
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc
from values import Unknown, attributes, broken, complete, empty, fill, problems, resolve, settable


class Provider(rpc.ProviderServicer):
    def __init__(self, schema):
        self.schema = schema
        self.config = {}

    def GetProviderSchema(self, request, context):
        return pb.GetProviderSchema.Response(
            provider=to_schema(self.schema["provider"]),
            provider_meta=to_schema(PROVIDER_META),
            resource_schemas={k: to_schema(v) for k, v in self.schema["resource_schemas"].items()},
            data_source_schemas={k: to_schema(v) for k, v in self.schema.get("data_source_schemas", {}).items()},
        )

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return pb.ValidateResourceConfig.Response(diagnostics=self._check("resource", request))

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response(diagnostics=self._check("data_source", request))

    def ConfigureProvider(self, request, context):
        self.config = decode(request.config)
        return pb.ConfigureProvider.Response()

    def UpgradeResourceState(self, request, context):
        state = json.loads(request.raw_state.json)
        return pb.UpgradeResourceState.Response(upgraded_state=encode(state))

    def PlanResourceChange(self, request, context):
        name, prior, planned = request.type_name, decode(request.prior_state), decode(request.proposed_new_state)
        if planned is None:
            return pb.PlanResourceChange.Response(planned_state=request.proposed_new_state, legacy_type_system=True)
        self._set_project(planned)
        complete(self._block(name), planned)
        fill(PLANNED.get(name, {}), planned)
        if planned.get("deletion_policy") is Unknown:
            planned["deletion_policy"] = "DELETE"
        self._set_effective(prior or {}, planned)
        names = [key for key, entry in attributes(self._block(name)) if settable(entry) and key != "id"]
        changed = {key for key in immutable(name, names) if prior and prior.get(key) != planned.get(key)}
        return pb.PlanResourceChange.Response(
            planned_state=encode(planned), requires_replace=map(to_path, sorted(changed)), legacy_type_system=True
        )

    def ApplyResourceChange(self, request, context):
        name, prior, state = request.type_name, decode(request.prior_state), decode(request.planned_state)
        if state is not None:
            fill(APPLIED.get(name, {}), state)
            self._set_agent(name, state)
            resolve(self._block(name), state)
        try:
            self._apply(name, prior, state)
        except rest.Refused as problem:
            return pb.ApplyResourceChange.Response(
                new_state=encode(prior), diagnostics=[error(str(problem))], legacy_type_system=True
            )
        return pb.ApplyResourceChange.Response(new_state=encode(state), legacy_type_system=True)

    def ReadResource(self, request, context):
        name, state = request.type_name, decode(request.current_state)
        try:
            state = self._read(name, state)
        except rest.Refused as problem:
            return pb.ReadResource.Response(new_state=request.current_state, diagnostics=[error(str(problem))])
        return pb.ReadResource.Response(new_state=encode(state))

    def ImportResourceState(self, request, context):
        name = request.type_name
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", REST[name].path) if name in REST else "(?!)"
        found = re.fullmatch(pattern, request.id)
        if found is None:
            known = REST[name].path if name in REST else "nothing: this provider cannot import it"
            return pb.ImportResourceState.Response(diagnostics=[error(f"an id of {name} is {known}")])
        state = empty(self._block(name)) | found.groupdict() | {"id": request.id}
        imported = pb.ImportResourceState.ImportedResource(type_name=name, state=encode(state))
        return pb.ImportResourceState.Response(imported_resources=[imported])

    def ReadDataSource(self, request, context):
        block, state = self._block(request.type_name, "data_source"), decode(request.config)
        self._set_project(state)
        complete(block, state)
        fill(APPLIED.get(request.type_name, {}), state)
        resolve(block, state)
        return pb.ReadDataSource.Response(state=encode(state))

    def StopProvider(self, request, context):
        return pb.StopProvider.Response()

    def _check(self, kind, request):
        config = decode(request.config)
        found = list(problems(self._block(request.type_name, kind), config))
        found += [((), message) for message in broken(RULES.get(request.type_name, []), config)]
        return [error(": ".join((*path[-1:], message)), path) for path, message in found]

    def _block(self, type_name, kind="resource"):
        return self.schema[f"{kind}_schemas"][type_name]["block"]

    def _setting(self, name):
        return self.config.get(name) or os.environ.get(f"GOOGLE_{name.upper()}")

    def _endpoint(self, service):
        return self._setting(f"{service}_custom_endpoint")

    def _set_project(self, value):
        for name in ("project", "project_id"):
            if value.get(name, "") is None:
                value[name] = self._setting("project")

    def _set_agent(self, name, state):
        if name == "google_project_service_identity":
            email = AGENTS[state["service"]]
            state |= {"email": email, "member": f"serviceAccount:{email}"}

    def _set_effective(self, prior, planned):
        if planned.keys() >= {"labels", "terraform_labels"}:
            own = self._labels(prior, planned["labels"] or {})
            planned["terraform_labels"] = own
            planned["effective_labels"] = _effective(prior, "labels", "terraform_labels", own)
        if planned.keys() >= {"annotations", "effective_annotations"}:
            own = planned["annotations"] or {}
            planned["effective_annotations"] = _effective(prior, "annotations", "annotations", own)

    def _labels(self, prior, labels):
        if labels is Unknown or Unknown in labels.values():
            return Unknown
        attributed = not prior or ATTRIBUTION.items() <= (prior["terraform_labels"] or {}).items()
        attributed = attributed and self.config["add_terraform_attribution_label"] is not False
        return (ATTRIBUTION if attributed else {}) | (self.config["default_labels"] or {}) | labels

    def _apply(self, name, prior, state):
        if state is None and prior.get("deletion_protection"):
            raise rest.Refused(0, "cannot destroy it without setting deletion_protection=false and running apply")
        if name in POLICIES and (endpoint := self._endpoint(POLICIES[name][0])):
            url = endpoint + _of_policy(POLICIES[name][1], state or prior)
            if state is None:
                policies.remove(url, prior)
            else:
                policies.add(url, state)
        if name not in REST or not (endpoint := self._endpoint(REST[name].endpoint)):
            return
        if state is None:
            rest.delete(endpoint, prior)
        elif prior is None:
            rest.create(endpoint, REST[name], self._block(name), state)
        else:
            rest.update(endpoint, REST[name], self._block(name), prior, state)

    def _read(self, name, state):
        if name in POLICIES and (endpoint := self._endpoint(POLICIES[name][0])):
            try:
                there = policies.has(endpoint + _of_policy(POLICIES[name][1], state), state)
            except rest.Refused as problem:
                if problem.status != 404:
                    raise
                there = False
            return state if there else None
        if name in REST and (endpoint := self._endpoint(REST[name].endpoint)):
            return rest.read(endpoint, self._block(name), state)
        return state


def _effective(prior, name, own_name, own):
    """All labels or annotations there will be: the configured ones, and those of others that are there already."""
    if own is Unknown or Unknown in own.values():
        return Unknown
    before = prior.get(f"effective_{name}") or {}
    return {key: value for key, value in before.items() if key not in (prior.get(own_name) or {})} | own


def _of_policy(path, member):
    short = {key: value.rpartition("/")[2] for key, value in member.items() if isinstance(value, str)}
    return path.format(**short)


def _of_schema(path):
    with open(path) as file:
        return Provider(json.load(file))


if __name__ == "__main__":
    if sys.argv[1] == "--all":
        serve_all({path.split("/")[-4]: _of_schema(path) for path in sys.argv[2:]})
    else:
        serve(_of_schema(sys.argv[1]))
