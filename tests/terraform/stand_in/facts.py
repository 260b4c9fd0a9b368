"""What Google and its Terraform providers do that no schema tells, for the resources of this project."""

from dataclasses import dataclass, field


PROJECT_NUMBER = "123456789012"
AGENT = f"service-{PROJECT_NUMBER}@gcp-sa-{{}}.iam.gserviceaccount.com"
AGENTS = {
    "secretmanager.googleapis.com": AGENT.format("secretmanager"),
    "pubsub.googleapis.com": AGENT.format("pubsub"),
}
ATTRIBUTION = {"goog-terraform-provisioned": "true"}
PROVIDER_META = {"block": {"attributes": {"module_name": {"type": "string", "optional": True}}}}


@dataclass(frozen=True)
class Collection:
    """Where a type of resource is in Google's REST API.

    Args:
        endpoint: the provider's argument with the endpoint, without its ending.
        path: of a resource, from its attributes; also what `import` takes.
        creates: the query with the id of a new resource, which is then POSTed to the collection; else it is PUT.
        wrapped: the field that holds the resource in the body of a PATCH; else it is the body.
        immutable: arguments whose change makes a new resource.
    """

    endpoint: str
    path: str
    creates: str = ""
    wrapped: str = ""
    immutable: frozenset = field(default_factory=frozenset)


REST = {
    "google_pubsub_topic": Collection(
        "pubsub", "projects/{project}/topics/{name}", wrapped="topic", immutable=frozenset({"name", "project"})
    ),
    "google_pubsub_subscription": Collection(
        "pubsub",
        "projects/{project}/subscriptions/{name}",
        wrapped="subscription",
        immutable=frozenset({"name", "project", "topic", "filter", "enable_message_ordering"}),
    ),
    "google_secret_manager_secret": Collection(
        "secret_manager",
        "projects/{project}/secrets/{secret_id}",
        creates="secretId={secret_id}",
        immutable=frozenset({"secret_id", "project", "replication"}),
    ),
    "google_secret_manager_regional_secret": Collection(
        "secret_manager_regional",
        "projects/{project}/locations/{location}/secrets/{secret_id}",
        creates="secretId={secret_id}",
        immutable=frozenset({"secret_id", "project", "location", "customer_managed_encryption"}),
    ),
}
# Members of a policy -> the endpoint, and the resource whose policy it is.
POLICIES = {
    "google_pubsub_topic_iam_member": ("pubsub", "projects/{project}/topics/{topic}"),
    "google_pubsub_subscription_iam_member": ("pubsub", "projects/{project}/subscriptions/{subscription}"),
    "google_secret_manager_secret_iam_member": ("secret_manager", "projects/{project}/secrets/{secret_id}"),
    "google_secret_manager_regional_secret_iam_member": (
        "secret_manager_regional",
        "projects/{project}/locations/{location}/secrets/{secret_id}",
    ),
}
# Of types that are in the state only.
IMMUTABLE = {
    "google_project_iam_custom_role": {"project", "role_id"},
    "google_project_service_identity": {"project", "service"},
    "google_service_account": {"account_id", "project"},
}
# Arguments that are no part of a resource's JSON, or are part of its URL.
NOT_IN_BODY = {"id", "name", "project", "secret_id", "location", "deletion_policy", "deletion_protection", "tags"}

# Known when planning: the real provider's undocumented defaults, and what it works out itself.
PLANNED = {
    "google_logging_project_sink": {"unique_writer_identity": True},
    "google_monitoring_alert_policy": {"enabled": True},
    "google_pubsub_subscription": {"message_retention_duration": "604800s"},
    "google_project_iam_custom_role": {"stage": "GA"},
    "google_secret_manager_regional_secret": {"deletion_protection": False},
    "google_secret_manager_secret": {"deletion_protection": False},
    "google_service_account": {
        "disabled": False,
        "email": "{account_id}@{project}.iam.gserviceaccount.com",
        "member": "serviceAccount:{account_id}@{project}.iam.gserviceaccount.com",
    },
}
# Known after apply.  Any other computed value is a zero value or named after its attribute.
APPLIED = {
    "google_cloud_run_v2_service": {
        "id": "projects/{project}/locations/{location}/services/{name}",
        "uri": f"https://{{name}}-{PROJECT_NUMBER}.{{location}}.run.app",
    },
    "google_logging_project_sink": {"writer_identity": f"serviceAccount:{AGENT.format('logging')}"},
    "google_project": {"number": PROJECT_NUMBER},
    "google_project_iam_custom_role": {
        "id": "projects/{project}/roles/{role_id}",
        "name": "projects/{project}/roles/{role_id}",
    },
    "google_pubsub_subscription": {"id": "projects/{project}/subscriptions/{name}"},
    "google_pubsub_topic": {"id": "projects/{project}/topics/{name}"},
    "google_secret_manager_regional_secret": {
        "id": "projects/{project}/locations/{location}/secrets/{secret_id}",
        "name": f"projects/{PROJECT_NUMBER}/locations/{{location}}/secrets/{{secret_id}}",
    },
    "google_secret_manager_secret": {
        "id": "projects/{project}/secrets/{secret_id}",
        "name": f"projects/{PROJECT_NUMBER}/secrets/{{secret_id}}",
    },
    "google_service_account": {
        "id": "projects/{project}/serviceAccounts/{email}",
        "name": "projects/{project}/serviceAccounts/{email}",
    },
}
# What the real provider or Google's API refuses though the schema allows it.
PATTERNS = {
    "account_id": r"[a-z][-a-z0-9]{4,28}[a-z0-9]",
    "member": r".+:.+|allUsers|allAuthenticatedUsers",
    "message_retention_duration": r"[0-9]+(\.[0-9]+)?s",
    "role_id": r"[a-zA-Z0-9_.]{3,64}",
    "rotation_period": r"[0-9]+(\.[0-9]+)?s",
}
RULES = {
    "google_pubsub_subscription": [("at most one", ["push_config", "bigquery_config", "cloud_storage_config"])],
    "google_secret_manager_secret": [
        ("exactly one", ["replication.auto", "replication.user_managed"]),
        ("at most one", ["ttl", "expire_time"]),
        ("requires", ["rotation", "topics"]),
        ("requires", ["rotation.rotation_period", "rotation.next_rotation_time"]),
        ("requires", ["rotation.next_rotation_time", "rotation.rotation_period"]),
    ],
    "google_secret_manager_regional_secret": [
        ("at most one", ["ttl", "expire_time"]),
        ("requires", ["rotation", "topics"]),
        ("requires", ["rotation.rotation_period", "rotation.next_rotation_time"]),
        ("requires", ["rotation.next_rotation_time", "rotation.rotation_period"]),
    ],
}


def immutable(type_name, names):
    """The arguments of a type whose change makes a new resource; `names` are all of them."""
    if type_name in REST:
        return REST[type_name].immutable
    return set(names) if type_name.endswith("_iam_member") else IMMUTABLE.get(type_name, set())
