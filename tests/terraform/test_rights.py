"""Who may do what after an apply: every right and every subscription that the manifest asks for, and nothing more."""

import pytest

from receiver import Manifest

from .harness import ROOT, Terraform


# The first test of a machine installs what all need.
pytestmark = pytest.mark.timeout(600)

MANIFEST = """\
project: demo-project
project_number: 123456789012
location: europe-west1
topic: secret-events
services:
  shop:
    service_account: shop-service@demo-project.iam.gserviceaccount.com
    platform: cloud-run
    location: europe-west4
  api:
    service_account: shared-service@demo-project.iam.gserviceaccount.com
    platform: gke
    events: both
    push_endpoint: https://api.example.com/secrets/events
    audience: https://api.example.com
  worker:
    service_account: shared-service@demo-project.iam.gserviceaccount.com
    events: pull
rotator:
  service_account: rotator-service@demo-project.iam.gserviceaccount.com
  platform: cloud-run
  location: europe-west4
secrets:
  API_KEY: {used_by: [shop, worker], location: global}
  REGIONAL_KEY: {used_by: all}
  DB_LOGIN: {used_by: [api], rotation: {period: 30d, rotator: postgres-alternating, uses: [DB_ADMIN]}}
  OLD_LOGIN: {used_by: [shop], existing: true, rotation: {rotator: random}}
  DB_ADMIN: {used_by: []}
"""
ROOT_MODULE = f"""\
provider "google" {{}}
provider "google-beta" {{}}

module "keyturn" {{
  source   = "{ROOT}/terraform"
  manifest = "${{path.module}}/secrets.yaml"
}}
"""
AGENT = "serviceAccount:service-123456789012@gcp-sa-{}.iam.gserviceaccount.com"
PUSHER = "serviceAccount:keyturn-push@demo-project.iam.gserviceaccount.com"
ROLES = "projects/demo-project/roles/keyturn."


@pytest.fixture(scope="module")
def terraform(attached, tmp_path_factory):
    """The module, applied into the state; nothing is called."""
    folder = tmp_path_factory.mktemp("rights")
    (folder / "main.tf").write_text(ROOT_MODULE)
    (folder / "secrets.yaml").write_text(MANIFEST)
    terraform = Terraform(folder, **attached())
    terraform("init")
    terraform("apply", "-auto-approve")
    return terraform


@pytest.fixture(scope="module")
def applied(terraform):
    """What stands in the state, by type."""
    found = {}
    for resource in terraform.json("show", "-json")["values"]["root_module"]["child_modules"][0]["resources"]:
        found.setdefault(resource["type"].removeprefix("google_"), []).append(resource["values"])
    return found


def of(applied, kind, *names):
    """The rights that are given by one type of resource."""
    return {(*(one[name] for name in names), _role(one["role"]), one["member"]) for one in applied.get(kind, [])}


def _role(role):
    # Ids of custom roles end with what tells the topic.
    return role.removeprefix(ROLES).rpartition(".")[0] if role.startswith(ROLES) else role


def account(name):
    return f"serviceAccount:{name}@demo-project.iam.gserviceaccount.com"


def test_only_the_agents_may_publish_and_only_listeners_attach(applied):
    """Secret Manager's agent is the topic's only publisher, Pub/Sub's that of the dead letters."""
    assert {
        ("secret-events", "roles/pubsub.publisher", AGENT.format("secretmanager")),
        ("secret-events", "fleetTopic", account("shared-service")),
        ("secret-events.dead_letters", "roles/pubsub.publisher", AGENT.format("pubsub")),
    } == of(applied, "pubsub_topic_iam_member", "topic")


def test_each_secret_is_read_by_those_that_the_manifest_names(applied):
    """An account that runs two services has a right once; the rotator reads what it rotates and what it needs."""
    manifest = Manifest.parse(MANIFEST)
    readers = {
        (secret.name, "roles/secretmanager.secretAccessor", f"serviceAccount:{manifest.services[user].service_account}")
        for secret in manifest.secrets.values()
        for user in secret.used_by
    }
    rotator = account("rotator-service")
    given = {
        *of(applied, "secret_manager_secret_iam_member", "secret_id"),
        *of(applied, "secret_manager_regional_secret_iam_member", "secret_id"),
    }

    assert 6 == len(readers)
    assert given == readers | {
        ("DB_LOGIN", "rotator", rotator),
        ("DB_LOGIN-candidate", "candidates", rotator),
        ("OLD_LOGIN", "rotator", rotator),
        ("OLD_LOGIN-candidate", "candidates", rotator),
        ("DB_ADMIN", "roles/secretmanager.secretAccessor", rotator),
    }


def test_the_only_rights_in_the_whole_project(applied):
    """To have a subscription and to read log entries; no public member anywhere, of custom roles only what is used."""
    made = applied["project_iam_custom_role"]
    roles = {one["role_id"].rpartition(".")[0]: sorted(one["permissions"]) for one in made}
    own_subscription = ("consume", "create", "delete", "get", "list", "update")

    assert {("fleet", account("shared-service")), ("logs", account("rotator-service"))} == of(
        applied, "project_iam_member"
    )
    assert ["logging.logEntries.list"] == roles["keyturn.logs"]
    assert [f"pubsub.subscriptions.{verb}" for verb in own_subscription] == roles["keyturn.fleet"]
    assert ["pubsub.topics.attachSubscription"] == roles["keyturn.fleetTopic"]
    assert [
        "secretmanager.secrets.get",
        *(f"secretmanager.versions.{verb}" for verb in ("access", "add", "destroy", "disable", "enable", "list")),
    ] == roles["keyturn.rotator"]
    assert [
        "secretmanager.secrets.get",
        "secretmanager.secrets.update",
        *(f"secretmanager.versions.{verb}" for verb in ("access", "add", "destroy", "list")),
    ] == roles["keyturn.candidates"]
    assert 5 == len(roles)
    members = [one["member"] for many in applied.values() for one in many if "member" in one and "role" in one]
    assert all(member.startswith("serviceAccount:") for member in members)


def test_pushes_are_signed_let_in_and_dead_lettered(applied):
    """Pub/Sub signs as one account, which may invoke the Cloud Run services, and moves what nobody takes."""
    assert {
        ("projects/demo-project/serviceAccounts/keyturn-push@demo-project.iam.gserviceaccount.com", *signs)
        for signs in [("roles/iam.serviceAccountTokenCreator", AGENT.format("pubsub"))]
    } == of(applied, "service_account_iam_member", "service_account_id")
    assert {
        ("europe-west4", "shop", "roles/run.invoker", PUSHER),
        ("europe-west4", "keyturn-rotator", "roles/run.invoker", PUSHER),
    } == of(applied, "cloud_run_v2_service_iam_member", "location", "name")
    assert {
        (f"secret-events.{name}", "roles/pubsub.subscriber", AGENT.format("pubsub"))
        for name in ("shop", "api", "rotate_events")
    } == of(applied, "pubsub_subscription_iam_member", "subscription")


def test_every_subscription_and_how_it_delivers(applied):
    """Who hears by push has one, the rotator has its own, dead letters wait in one that never expires."""
    found = {one["name"].removeprefix("secret-events."): one for one in applied["pubsub_subscription"]}
    assert {"shop", "api", "rotate_events", "dead_letters"} == found.keys()
    for name, one in found.items():
        assert [{"ttl": ""}] == one["expiration_policy"], name
        if name == "dead_letters":
            continue
        assert [{"maximum_backoff": "600s", "minimum_backoff": "1s"}] == one["retry_policy"]
        dead = "projects/demo-project/topics/secret-events.dead_letters"
        assert [{"dead_letter_topic": dead, "max_delivery_attempts": 100}] == one["dead_letter_policy"]

    pushes = {
        name: (push["push_endpoint"], push["oidc_token"][0]["audience"], one["filter"])
        for name, one in found.items()
        for push in one["push_config"]
    }
    manifest, run = Manifest.parse(MANIFEST), "https://shop-123456789012.europe-west4.run.app"
    others, rotate = 'attributes.eventType != "SECRET_ROTATE"', 'attributes.eventType = "SECRET_ROTATE"'
    assert pushes == {
        "shop": (f"{run}/secrets/events", run, others),
        "api": ("https://api.example.com/secrets/events", "https://api.example.com", others),
        "rotate_events": (manifest.rotator.push_endpoint, manifest.rotator.audience, rotate),
    }
    assert {60, 600} == {one["ack_deadline_seconds"] for one in found.values()}
    assert 600 == found["rotate_events"]["ack_deadline_seconds"]


def test_nothing_else_is_made(applied):
    """Types and their numbers: whatever is added to the module is added here."""
    assert {
        "cloud_run_v2_service_iam_member": 2,
        "project_iam_custom_role": 5,
        "project_iam_member": 2,
        "project_service_identity": 2,
        "pubsub_subscription": 4,
        "pubsub_subscription_iam_member": 3,
        "pubsub_topic": 2,
        "pubsub_topic_iam_member": 3,
        "secret_manager_regional_secret": 4,
        "secret_manager_regional_secret_iam_member": 6,
        "secret_manager_secret": 3,
        "secret_manager_secret_iam_member": 5,
        "service_account": 1,
        "service_account_iam_member": 1,
    } == {kind: len(many) for kind, many in applied.items()}


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("[shop, worker]", "[shop]", {("accessor", "API_KEY/shared-service", "delete")}),
        (
            "OLD_LOGIN: {used_by: [shop],",
            "OLD_LOGIN: {used_by: [shop], labels: {team: pay},",
            {("this", "OLD_LOGIN", "update"), ("candidate", "OLD_LOGIN", "update")},
        ),
        ("period: 30d", "period: 31d", {("this", "DB_LOGIN", "update")}),
        ("rotator: random", "retire: false, rotator: random", set()),
        ("rotation: {", "rotation: {retire: false, ", {("logs", "this", "delete")}),
        (
            "  DB_ADMIN: {",
            "  NEW_KEY: {used_by: [shop]}\n  DB_ADMIN: {",
            {("this", "NEW_KEY", "create"), ("accessor", "NEW_KEY/shop-service", "create")},
        ),
    ],
    ids=["user", "label", "period", "retire-one", "retire-none", "secret"],
)
def test_a_change_changes_what_it_is_about(terraform, old, new, changes):
    """One line of the manifest is one secret's, or one right; a secret is changed in place, never replaced."""
    manifest = terraform.folder / "secrets.yaml"
    assert old in MANIFEST
    manifest.write_text(MANIFEST.replace(old, new))
    try:
        plan = terraform.plan()
    finally:
        manifest.write_text(MANIFEST)

    assert changes == {
        (change["name"], str(change.get("index")).partition("@")[0], *change["change"]["actions"])
        for change in plan["resource_changes"]
        if change["change"]["actions"] != ["no-op"]
    }
