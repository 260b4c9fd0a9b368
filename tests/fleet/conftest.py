"""Caches that pull, against the local cloud and by the official clients."""

import pytest

from notifier.local.cloud import LocalCloud
from receiver import SecretCache


TOPIC = "secret-events"


@pytest.fixture(scope="module")
def _cloud():
    with LocalCloud() as running:
        yield running


@pytest.fixture
def cloud(_cloud, monkeypatch):
    """A cloud in which nothing but a topic is left over from the test before."""
    for name, value in _cloud.environment().items():
        monkeypatch.setenv(name, value)
    _cloud.create_topic(TOPIC)
    yield _cloud
    client = _cloud.subscriber()
    for subscription in client.list_subscriptions(project=f"projects/{_cloud.project}"):
        client.delete_subscription(subscription=subscription.name)


class Clock:
    """Seconds that stand until a test moves them."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


class Secrets:
    """Secrets of one test, with names that no other has."""

    def __init__(self, cloud, prefix):
        self.cloud, self.prefix = cloud, prefix

    def create(self, name):
        self.cloud.create_secret(self.named(name), b"1", topic=TOPIC)
        return self.named(name)

    def named(self, name):
        return f"{self.prefix}_{name}"

    def add(self, name, value):
        return self.cloud.add_version(self.named(name), value.encode())


@pytest.fixture
def secrets(cloud, request):
    return Secrets(cloud, request.node.name.replace("[", "_").replace("]", "_").replace("-", "_")[:100])


@pytest.fixture
def make(cloud, tmp_path):
    """Make caches that pull; those that meet in one place are workers of one container."""
    made = []

    def cache(instance="a", **settings):
        settings = {"events": "pull", "topic": TOPIC, "service": "pay", "backstop": None} | settings
        made.append(SecretCache(cloud.project, run_dir=str(tmp_path / instance), environ={}, **settings))
        return made[-1]

    yield cache
    for one in made:
        one.close()


@pytest.fixture
def subscriptions(cloud):
    """The subscriptions that there are, by their ids."""

    def listed():
        found = cloud.subscriber().list_subscriptions(project=f"projects/{cloud.project}")
        return {one.name.rpartition("/")[2]: one for one in found}

    return listed
