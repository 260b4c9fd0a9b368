"""Three instances against Google's Pub/Sub emulator, where it is installed."""

import contextlib

import pytest

from benchmarks import emulator
from notifier.local.cloud import LocalCloud
from tests.service.harness import Service
from tests.waiting import until


TOPIC = "secret-events"
NAMES = ("API_KEY", "OTHER_KEY", "WALLET_PRIVATE_KEY")
PULL = {"TEST_EVENTS": "pull", "K_SERVICE": "", "KUBERNETES_SERVICE_HOST": ""}


@pytest.fixture(scope="module")
def cloud():
    jar = emulator.find()
    if jar is None:
        pytest.skip("Google's Pub/Sub emulator (google-cloud-cli-pubsub-emulator, and Java) is not installed")
    flags = ("-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    with emulator.running(jar, *flags) as (address, _), LocalCloud(pubsub_host=address) as running:
        running.publisher().create_topic(name=running.topic(TOPIC))
        for name in NAMES:
            path = running.secret_manager.create_secret(running.secret(name), topics=(running.topic(TOPIC),))
            running.secret_manager.add_version(path, f"{name}-1".encode())
        yield running


@pytest.mark.emulator
@pytest.mark.timeout(90)
@pytest.mark.promise("nobody left behind")
def test_three_instances_follow_by_google_s_emulator(cloud):
    """Every worker of three instances follows, each by its own subscription, and none is left behind at the end."""

    def subscriptions():
        return {one.name for one in cloud.subscriber().list_subscriptions(project=f"projects/{cloud.project}")}

    with contextlib.ExitStack() as running:
        services = [running.enter_context(Service(cloud, workers=2, env=PULL)) for _ in range(3)]
        until(lambda: 3 == len(subscriptions()), "every instance has subscribed")
        for version in (2, 3):
            assert version == cloud.add_version("API_KEY", f"API_KEY-{version}".encode())
            for service in services:
                until(lambda: all(_serves(service, version)), "every worker follows")  # noqa: B023  # within the round
        for service in services:
            service.process.terminate()
            service.process.wait(15)

    assert set() == subscriptions()


def _serves(service, version):
    answers = service.seen()
    yield len(answers) == service.workers
    for answer in answers.values():
        yield answer["API_KEY"] == [version, f"API_KEY-{version}"]
