"""`terraform apply` on the local cloud, and a service that starts from the same manifest."""

import socket

import pytest
import requests

from notifier.local.cloud import LocalCloud

from .harness import resources
from .scene import PROJECT, existing, laid_out, serving


# The first test of a machine installs what all need.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def cloud():
    with LocalCloud(project=PROJECT) as running:
        existing(running)
        yield running


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def shop(cloud, root, port, tmp_path):
    """A root module for a shop at a port of this machine, not applied yet."""
    text, variables = laid_out(cloud, port, tmp_path)
    return root(text, **variables)


def test_what_is_applied_works_stays_and_goes(cloud, shop, port, tmp_path):
    """From nothing to a value in every worker; then no change, drift that is seen, and nothing left behind."""
    shop("apply", "-auto-approve")
    stays(cloud)
    for name, location in (("API_KEY", ""), ("REGIONAL_KEY", "europe-west1")):
        cloud.add_version(name, f"{name}-1".encode(), location=location)

    with serving(cloud, port, tmp_path / "secrets.yaml") as service:
        service.all_serve("API_KEY", 1)
        for name, location in (("API_KEY", ""), ("REGIONAL_KEY", "europe-west1"), ("OLD_KEY", "")):
            cloud.add_version(name, f"{name}-2".encode(), location=location)
            service.wait_until(
                lambda: cloud.pubsub.undelivered(cloud.subscription("secret-events.shop")) == 0,
                "every push is answered",
            )
            service.all_serve(name, 2)

        assert "No changes" in shop("plan")

    drifts(cloud, shop)
    rotates(cloud, shop, tmp_path / "secrets.yaml")
    ends(cloud, shop)


def stays(cloud):
    """What was there before is taken in as it is: its versions, replication and labels; it only gets the topic."""
    client = cloud.secret_manager_client()
    old = client.get_secret(name=cloud.secret("OLD_KEY"))
    regional = client.get_secret(name=cloud.secret("OLD_REGIONAL_KEY", location="europe-west4"))

    assert ["us-central1"] == [replica.location for replica in old.replication.user_managed.replicas]
    assert {"theirs": "x"} == old.labels
    for secret in (old, regional):
        assert [cloud.topic("secret-events")] == [topic.name for topic in secret.topics]
        assert client.access_secret_version(name=f"{secret.name}/versions/1").payload.data


def drifts(cloud, shop):
    """What others change is seen, and mended by the next apply."""
    cloud.subscriber().delete_subscription(subscription=cloud.subscription("secret-events.shop"))
    cloud.secret_manager_client().update_secret(
        secret={
            "name": cloud.secret("API_KEY"),
            "topics": [],
            "labels": {"team": "pay", "theirs": "x"},
            "rotation": {},
        },
        update_mask={"paths": ["topics", "labels", "rotation"]},
    )
    url = f"{cloud.pubsub.rest_url}/v1/{cloud.topic('secret-events')}"
    assert 200 == requests.post(f"{url}:setIamPolicy", json={"policy": {}}, timeout=5).status_code
    changes = {(kind, name, key) for kind, name, key, _ in resources(shop.plan())}

    assert ("google_pubsub_subscription", "push", "shop") in changes
    assert ("google_secret_manager_secret", "this", "API_KEY") in changes
    assert ("google_pubsub_topic_iam_member", "secret_manager", None) in changes
    shop("apply", "-auto-approve")
    assert "No changes" in shop("plan")
    # Somebody else's label is none of Terraform's business.
    labels = cloud.secret_manager_client().get_secret(name=cloud.secret("API_KEY")).labels
    assert {"team": "pay", "theirs": "x"} == labels


def rotates(cloud, shop, manifest):
    """After a rotation there is nothing to change; another period changes that secret in place, and nothing else."""
    client, name = cloud.secret_manager_client(), cloud.secret("API_KEY")
    first = client.get_secret(name=name).rotation.next_rotation_time
    cloud.advance(86_400 + 60)
    assert first < client.get_secret(name=name).rotation.next_rotation_time
    assert "No changes" in shop("plan")

    manifest.write_text(manifest.read_text().replace("period: 1d", "period: 2d"))
    plan = shop.plan()
    changed = [change for change in plan["resource_changes"] if change["change"]["actions"] != ["no-op"]]
    assert [('module.keyturn.google_secret_manager_secret.this["API_KEY"]', ["update"])] == [
        (change["address"], change["change"]["actions"]) for change in changed
    ]
    shop("apply", "-auto-approve")
    assert 2 * 86_400 == client.get_secret(name=name).rotation.rotation_period.total_seconds()


def ends(cloud, shop):
    """A protected secret is not deleted; when that was taken back, `destroy` leaves nothing."""
    assert "without setting deletion_protection=false" in shop("destroy", "-auto-approve", ok=False)
    assert (
        b"API_KEY-2"
        == cloud.secret_manager_client()
        .access_secret_version(name=f"{cloud.secret('API_KEY')}/versions/latest")
        .payload.data
    )

    shop("apply", "-auto-approve", "-var", "protected=false")
    shop("destroy", "-auto-approve", "-var", "protected=false")

    project = f"projects/{PROJECT}"
    assert [] == list(cloud.publisher().list_topics(project=project))
    assert [] == list(cloud.subscriber().list_subscriptions(project=project))
    for parent in (project, f"{project}/locations/europe-west1", f"{project}/locations/europe-west4"):
        assert [] == list(cloud.secret_manager_client().list_secrets(parent=parent))
    assert "" == shop("state", "list")
