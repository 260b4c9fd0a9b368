"""The observability module, by the real Terraform: a metric and an alert of each line of its table."""

import json

import pytest
import yaml

from .harness import ROOT, VERSIONS, resources


# The first test of a machine installs what all need.
pytestmark = pytest.mark.timeout(600)

TOLD = yaml.safe_load((ROOT / "terraform/modules/observability/alerts.yaml").read_text())
#: Both are gauges of the resource `pubsub_subscription`, whose labels are project_id and subscription_id [documented].
PUBSUB_METRICS = {
    "pubsub.googleapis.com/subscription/num_undelivered_messages",
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age",
}
MODULE = """
module "observability" {{
  source                   = "{source}"
  project                  = "pgp-live"
  push_subscriptions       = {{ payments = "projects/pgp-live/subscriptions/events.payments" }}
  dead_letter_subscription = "projects/pgp-live/subscriptions/events.dead_letters"
  notification_channels    = ["projects/pgp-live/notificationChannels/1"]
  runbook                  = "https://runbook.example/runbook.md"
  data_access              = {data_access}
}}
"""


def planned(root, module, *, data_access=False, version=VERSIONS[-1]):
    """What the module would make, by type and key."""
    source = module / "modules/observability"
    terraform = root(MODULE.format(source=source, data_access=str(data_access).lower()), version=version)
    return {(kind, name, key): after for kind, name, key, after in resources(terraform.plan())}


@pytest.mark.parametrize("version", VERSIONS)
def test_each_line_of_the_table_is_an_alert(root, module, version):
    """Those with a filter have a metric that counts by it; each text says what it means and where to read on."""
    found = planned(root, module, version=version)
    alerts = {key: after for (kind, _, key), after in found.items() if kind == "google_monitoring_alert_policy"}
    metrics = {key: after for (kind, _, key), after in found.items() if kind == "google_logging_metric"}

    assert TOLD["alerts"].keys() == alerts.keys()
    for key, alert in TOLD["alerts"].items():
        (condition,) = alerts[key]["conditions"]
        (threshold,) = condition["condition_threshold"]
        (text,) = alerts[key]["documentation"]
        assert (alert["title"], alert["more_than"]) == (alerts[key]["display_name"], threshold["threshold_value"])
        assert alert["means"] in text["content"]
        assert "https://runbook.example/runbook.md#" in text["content"]
        if "filter" in alert:
            assert alert["filter"] == metrics[key]["filter"]
            assert f'"logging.googleapis.com/user/{metrics[key]["name"]}"' in threshold["filter"]
        else:
            assert alert["metric"] in PUBSUB_METRICS
            named = {"push": "events.payments", "dead_letters": "events.dead_letters"}[alert["of"]]
            assert threshold["filter"] == (
                f'metric.type = "{alert["metric"]}" AND resource.type = "pubsub_subscription" AND '
                f'(resource.labels.subscription_id = "{named}")'
            )


def test_the_dashboard_shows_every_figure(root, module):
    """It is one JSON document, and each metric that is made for it is on it."""
    found = planned(root, module)
    (board,) = [after for (kind, _, _), after in found.items() if kind == "google_monitoring_dashboard"]
    shown = board["dashboard_json"]

    assert json.loads(shown)["gridLayout"]["widgets"]
    for key in TOLD["figures"]:
        assert f"logging.googleapis.com/user/keyturn/{key}" in shown


def test_data_access_is_a_choice(root, module):
    """Off unless it is asked for, since every access is then an entry to be paid."""
    kind = "google_project_iam_audit_config"
    with_it = planned(root, module, data_access=True)
    (config,) = [after for (found, _, _), after in with_it.items() if found == kind]

    assert {"DATA_READ", "ADMIN_READ"} == {one["log_type"] for one in config["audit_log_config"]}
    assert kind not in {found for found, _, _ in planned(root, module)}
