"""A local cloud with the secrets of the test service, and services wired to it."""

import contextlib

import pytest

from notifier.local.cloud import SENDER, LocalCloud

from .harness import AUDIENCE, Service


TOPIC = "secret-events"


@contextlib.contextmanager
def furnished():
    """A local cloud with the secrets of the service."""
    with LocalCloud() as running:
        for name in ("API_KEY", "OTHER_KEY", "WALLET_PRIVATE_KEY"):
            running.create_secret(name, f"{name}-1".encode(), topic=TOPIC)
        yield running


@pytest.fixture
def cloud():
    with furnished() as running:
        yield running


class Wired:
    """A running service whose push subscription is in place."""

    def __init__(self, cloud, service):
        self.cloud, self.service = cloud, service
        self.path = cloud.secret("API_KEY")
        self.subscription = cloud.push_to(service.push_url, topic=TOPIC, audience=AUDIENCE, backoff=(0.1, 0.2))
        self.numbers = {}
        self.by_number = cloud.secret_manager.log.calls()[0].secret.rpartition("/")[0] + "/API_KEY"
        cloud.secret_manager.log.clear()

    def add(self, name="API_KEY"):
        """Add a version whose value tells its number, and return the number."""
        following = self.numbers.get(name, 1) + 1
        self.numbers[name] = self.cloud.add_version(name, f"{name}-{following}".encode())
        return self.numbers[name]

    def wait_acknowledged(self, patience=15.0):
        self.service.wait_until(
            lambda: self.cloud.pubsub.undelivered(self.subscription) == 0, "every push is acknowledged", patience
        )

    def accesses(self, name=None):
        calls = self.cloud.secret_manager.log.calls()
        return [(c.secret.rpartition("/")[2], c.asked) for c in calls if name is None or c.secret.endswith(name)]

    def token(self, **changed):
        return self.cloud.issuer.sign({**self.cloud.issuer.claims(audience=AUDIENCE, email=SENDER), **changed})


@pytest.fixture
def running(cloud):
    """Start services; all are stopped at the end."""
    started = []

    def start(*args, kind=Service, **kwargs):
        service = kind(cloud, *args, **kwargs).__enter__()
        started.append(service)
        return Wired(cloud, service)

    yield start
    for service in started:
        service.__exit__()


@pytest.fixture(scope="module")
def shared():
    """A service of two workers for the tests that leave it as they found it, but for newer versions."""
    with furnished() as cloud, Service(cloud, "--log-level", "debug", workers=2) as service:
        yield Wired(cloud, service)
