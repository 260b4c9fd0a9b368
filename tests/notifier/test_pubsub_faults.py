"""What goes wrong with messages and pushes, because somebody asked for it."""

import pytest

from notifier.local.cloud import LocalCloud
from notifier.local.fault_plan import REORDERED, FaultPlan, PushFault
from notifier.local.messages import Message
from notifier.local.publish_faults import PublishFaults


AT_ONCE = (0.0, 0.0)


@pytest.fixture
def news(cloud):
    return cloud.create_topic("news")


@pytest.mark.parametrize(
    ("fault", "arrivals"), [("down", 1), ("drop_before", 1), ("drop_after", 2), ("lose_answer", 2)]
)  # fmt: skip
def test_a_push_fails_as_asked(cloud, news, endpoint, fault, arrivals):
    """The endpoint hears of a push that broke before the request once, of one that broke after it twice."""
    subscription = cloud.push_to(endpoint.url, topic=news, backoff=AT_ONCE)
    cloud.pubsub.break_pushes(subscription, fault)
    sent = cloud.pubsub.publish(news, b"x", {})

    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 2)
    assert [None, 204] == [push.status for push in cloud.pubsub.pushes()]
    assert [sent] * arrivals == [request.message["messageId"] for request in endpoint.wait_for(arrivals)]
    assert arrivals == len(endpoint.received)
    assert 0 == cloud.pubsub.undelivered(subscription)


def test_down_until_healed(cloud, news, endpoint):
    """An endpoint that is down hears nothing until it is healed, and then everything."""
    subscription = cloud.push_to(endpoint.url, topic=news, backoff=(0.01, 0.01))
    cloud.pubsub.break_pushes(subscription, "down", times=None)
    for _ in range(3):
        cloud.pubsub.publish(news, b"x", {})
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) >= 6)
    assert [] == endpoint.received
    cloud.pubsub.heal()

    assert 3 == len(endpoint.wait_for(3))


def test_reordered():
    """A reordered message is late by a moment, so that those published within it overtake it."""
    faults = PublishFaults(next_id=lambda: "never")
    faults.reorder("news", times=1)
    first, second = (Message(name, 0.0, b"", {}) for name in "ab")

    assert [[(first, REORDERED)], [(second, 0.0)]] == [faults.apply("news", one) for one in (first, second)]


def test_unknown_faults_are_refused(cloud):
    """A fault that is not one of the four, or a likelihood above one, is refused."""
    with pytest.raises(ValueError, match="flood"):
        cloud.pubsub.break_pushes("projects/demo/subscriptions/push", "flood")
    for wrong in ({"down": 1.1}, {"delay": -0.1}, {"longest": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            FaultPlan(seed=1, **wrong)


def test_a_plan_is_its_seed():
    """The same seed decides the same, another one differently; likelihoods are what they say."""
    ids = [str(number) for number in range(2000)]

    def told(seed):
        plan = FaultPlan(seed=seed, duplicate=0.1, delay=0.2, longest=0.4, reorder=0.3, down=0.1, lose_answer=0.2)
        return [(plan.copies(one), plan.late(one), plan.push("s", one, 1), plan.push("s", one, 2)) for one in ids]

    assert told(1) == told(1)
    assert told(1) != told(2)
    copies, late, first, second = zip(*told(1), strict=True)
    assert 0.07 < sum(copies) / 2000 < 0.13
    assert 0.16 < sum(seconds not in (0.0, 0.05) for seconds in late) / 2000 < 0.24
    assert 0.2 < late.count(0.05) / 2000 < 0.28
    assert 0.4 >= max(late)
    assert {None, PushFault.DOWN, PushFault.LOSE_ANSWER} == set(first)
    assert 0.07 < first.count(PushFault.DOWN) / 2000 < 0.13
    assert 0.16 < second.count(PushFault.LOSE_ANSWER) / 2000 < 0.24
    assert first != second


def test_two_clouds_follow_one_plan(endpoint):
    """What happens to the same messages under the same plan is the same, and every message arrives in the end."""
    told = []
    for _ in range(2):
        endpoint.received.clear()
        with LocalCloud(project="demo", longest_pause=0.05) as cloud:
            cloud.pubsub.follow(FaultPlan(seed="x", duplicate=0.3, delay=0.2, longest=0.05, down=0.2, drop_after=0.2))
            subscription = cloud.push_to(endpoint.url, topic="news", backoff=(0.01, 0.01))
            sent = {cloud.pubsub.publish(cloud.topic("news"), b"x", {}) for _ in range(20)}
            all_gone = lambda _, cloud=cloud, name=subscription: cloud.pubsub.undelivered(name) == 0  # noqa: E731
            assert cloud.pubsub.wait_for_pushes(all_gone)
            told.append(sorted((push.message, push.attempt, push.status) for push in cloud.pubsub.pushes()))
            assert sent <= {push.message for push in cloud.pubsub.pushes()}

    assert told[0] == told[1]
    assert 20 < len({message for message, _, _ in told[0]})
    assert {None, 204} == {status for _, _, status in told[0]}
