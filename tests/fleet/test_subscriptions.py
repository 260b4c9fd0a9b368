"""An instance's subscription as it is made, or found: against the local cloud."""

import random
import time

import pytest

from receiver.fleet import rules
from receiver.fleet.subscriptions import Subscriptions
from receiver.knowledge import SECOND
from tests.waiting import until


pytestmark = pytest.mark.promise("nobody left behind")


@pytest.fixture
def retained(cloud):
    """A topic that keeps what was published; one message was."""
    client, topic = cloud.publisher(), cloud.topic("kept")
    client.create_topic(request={"name": topic, "message_retention_duration": {"seconds": 86_400}})
    client.publish(topic, b"{}").result(5)
    yield topic
    client.delete_topic(topic=topic)


@pytest.fixture
def ours(cloud, retained):
    found = Subscriptions(retained, project=cloud.project, spread=0.0, clock=time.monotonic, jitter=random.random)
    yield found
    found.close()


@pytest.mark.parametrize(("age", "replayed"), [(None, 1), (1, 1), (3600, 0)])
def test_what_nobody_may_have_sought_back_is_sought_back(cloud, retained, ours, age, replayed):
    """A leader makes it and dies, or never hears that it was made: who takes over seeks. An old one was sought."""
    now = time.time_ns()
    if age is not None:
        labels = rules.labels("pay", "i", now=now - age * SECOND)
        name = f"projects/{cloud.project}/subscriptions/mine"
        cloud.subscriber().create_subscription(request={"name": name, "topic": retained, "labels": labels})
    ours.open("mine", labels=rules.labels("pay", "i", now=now), now=now)
    came = []
    stream = ours.pull("mine", came.append)
    until(lambda: len(came) >= replayed, "what was published before is here")
    cloud.publisher().publish(retained, b"{}").result(5)
    until(lambda: len(came) > replayed, "and so is what comes now")
    stream.close()

    assert replayed + 1 == len(came)
