"""Every instance hears for itself: instances and workers of one process, against the local cloud."""

import contextlib
import logging
import os
import socket
import threading
import time
from concurrent import futures

import grpc
import pytest

from receiver import SecretCache
from receiver.errors import ConfigurationError, HearingFailed
from receiver.fleet import inbox, member, rules
from receiver.fleet.inbox import Inbox
from receiver.fleet.subscriptions import Subscriptions
from receiver.fleet.term import Term
from receiver.instance import Instance
from receiver.intake import Intake
from receiver.knowledge import SECOND
from receiver.telemetry import Voice
from receiver.testing import InMemorySource
from tests.waiting import until

from .conftest import TOPIC


pytestmark = pytest.mark.promise("nobody left behind")


def served(keys):
    return {key.value for key in keys}


def test_every_worker_of_every_instance_follows(make, secrets, subscriptions, cloud):
    """One rotation reaches all workers of all instances, by one subscription each, with no route and no push."""
    name = secrets.create("KEY")
    caches = [make(instance) for instance in "aabbcc"]
    keys = [cache.secret(name) for cache in caches]
    for cache in caches:
        cache.load()
    made = subscriptions()
    before = len(cloud.secret_manager.log.calls())
    secrets.add("KEY", "2")
    until(lambda: {"2"} == served(keys), "all serve the new version")
    until(lambda: not any(cloud.pubsub.undelivered(one.name) for one in made.values()), "all are acknowledged")

    assert 3 == len(made)
    assert ["2"] * 6 == [call.asked for call in cloud.secret_manager.log.calls()[before:]]
    assert 3 == sum(cache.status()["events"]["leads"] for cache in caches)


def test_what_the_subscription_is(make, secrets, subscriptions):
    """It is named and labelled by service and instance, expires after a day, and backs off."""
    cache = make(service="Pay_Service")
    cache.secret(secrets.create("KEY"))
    cache.load()
    ((name, made),) = subscriptions().items()
    instance = cache.status()["instance"]

    assert name.startswith(f"keyturn-pay-service-{instance}-")
    assert ("pay-service", instance) == (made.labels[rules.SERVICE], made.labels[rules.INSTANCE])
    assert 86_400 == made.expiration_policy.ttl.total_seconds()
    assert (1, 60) == tuple(
        bound.total_seconds() for bound in (made.retry_policy.minimum_backoff, made.retry_policy.maximum_backoff)
    )


def test_an_instance_hears_before_it_reads(make, secrets, subscriptions):
    """The subscription is there before the first value is read, so nothing can come between."""
    seen = []

    class Source(InMemorySource):
        def access(self, *args, **kwargs):
            seen.append(len(subscriptions()))
            return super().access(*args, **kwargs)

    cache = make(source=Source({"KEY": "1"}))
    cache.secret("KEY")
    cache.load()

    assert {1} == set(seen)


def test_the_replay_corrects_a_stale_read(make, cloud):
    """What was announced before the start outranks what a lagging read says of it."""
    source = InMemorySource({"KEY": "one"})
    source.add("KEY", "two")
    client, topic = cloud.publisher(), cloud.topic("retained")
    client.create_topic(request={"name": topic, "message_retention_duration": {"seconds": 86_400}})
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    secret = f"projects/{cloud.project}/secrets/KEY"
    client.publish(
        topic,
        b"{}",
        eventType="SECRET_VERSION_DISABLE",
        secretId=secret,
        versionId=f"{secret}/versions/2",
        timestamp=stamp,
    ).result(5)
    cache = make(source=source, topic="retained")
    key = cache.secret("KEY")
    cache.load()
    until(lambda: key.version == 1, "the replayed event has been applied")

    assert "one" == key.value


def test_what_fails_is_sent_again(make, secrets, cloud, subscriptions):
    """While Secret Manager is out, nothing is acknowledged and the last good value stays; then all follow."""
    name = secrets.create("KEY")
    cache = make()
    key = cache.secret(name)
    cache.load()
    cloud.secret_manager.fail_accesses(cloud.secret(name), times=1000)
    secrets.add("KEY", "2")
    (made,) = subscriptions().values()
    until(lambda: cache.status()["entries"][0]["state"] == "behind", "the refresh has failed")
    waiting, value = cloud.pubsub.undelivered(made.name), key.value
    cloud.secret_manager.heal()
    until(lambda: key.value == "2", "it follows")
    until(lambda: cloud.pubsub.undelivered(made.name) == 0, "it is acknowledged")

    assert (1, "1") == (waiting, value)


def test_the_leader_s_end_is_made_up_for(make, secrets, subscriptions):
    """When the leader leaves, another worker hears within a second, by the same subscription; the last deletes it."""
    name = secrets.create("KEY")
    first, second = make(), make()
    keys = [first.secret(name), second.secret(name)]
    first.load()
    second.load()
    before = subscriptions().keys()
    leader, other = sorted((first, second), key=lambda cache: not cache.status()["events"]["leads"])
    leader.close()
    began = time.monotonic()
    until(lambda: other.status()["events"]["leads"], "the other one leads")
    took = time.monotonic() - began
    secrets.add("KEY", "2")
    until(lambda: keys[0 if other is first else 1].value == "2", "it follows")
    after = subscriptions().keys()
    other.close()
    until(lambda: not subscriptions(), "it is deleted")

    assert took < 2.0
    assert (1, before) == (len(before), after)


def test_a_subscription_that_is_deleted_is_made_anew(make, secrets, cloud, subscriptions, caplog):
    """Whoever deletes it under a running instance costs nothing: it is made anew, and what was missed is found."""
    name = secrets.create("KEY")
    cache = make()
    key = cache.secret(name)
    cache.load()
    (made,) = subscriptions().values()
    cloud.pubsub.delay(cloud.topic(TOPIC), 3600)  # the event is missed
    cloud.subscriber().delete_subscription(subscription=made.name)
    secrets.add("KEY", "2")
    until(lambda: key.value == "2", "it follows")

    assert 1 == len(subscriptions())
    assert "does not exist" in caplog.text


def test_two_services_share_a_topic(make, secrets, cloud):
    """An event of the other service's secret costs no call and is acknowledged."""
    ours, theirs = secrets.create("OURS"), secrets.create("THEIRS")
    first, second = make("a", service="one"), make("b", service="two")
    keys = [first.secret(ours), second.secret(theirs)]
    first.load()
    second.load()
    before = len(cloud.secret_manager.log.calls())
    secrets.add("OURS", "2")
    until(lambda: keys[0].value == "2", "the first follows")
    secrets.add("THEIRS", "2")
    until(lambda: keys[1].value == "2", "the second follows")

    assert 2 == len(cloud.secret_manager.log.calls()) - before


class TestTrouble:
    """What is said when it cannot work."""

    def test_a_missing_topic_is_said_at_the_start(self, make, secrets):
        """Where nothing but pulling brings news, a service that cannot pull does not start."""
        cache = make(topic="nowhere")
        cache.secret(secrets.create("KEY"))
        with pytest.raises(ConfigurationError, match="projects/local-project/topics/nowhere exists"):
            cache.load()

    def test_push_alone_goes_on(self, make, secrets, caplog):
        """With `both`, a service that cannot pull is pushed to, and says so in its log."""
        cache = make(topic="nowhere", events="both")
        key = cache.secret(secrets.create("KEY"))
        cache.load()

        assert "1" == key.value
        assert "topics/nowhere exists" in caplog.text

    def test_missing_rights_are_named(self, make, secrets, refusing):
        """The error says which permissions and role are missing, and which line of the manifest grants them."""
        cache = make()
        cache.secret(secrets.create("KEY"))
        with pytest.raises(ConfigurationError) as said:
            cache.load()

        for part in (
            "pubsub.subscriptions.create",
            "pubsub.topics.attachSubscription",
            "projects/local-project/topics/secret-events",
            "services: {pay: {events: pull}}",
        ):
            assert part in str(said.value)

    def test_an_outage_of_pubsub_does_not_hold_up_a_start(self, make, secrets, monkeypatch, caplog, cloud):
        """While Pub/Sub is down values are loaded and served; when it is there again, what was missed is found."""
        address = os.environ["PUBSUB_EMULATOR_HOST"]
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{closed.getsockname()[1]}")
            cache = make(jitter=lambda: 0.1)
            key = cache.secret(secrets.create("KEY"))
            cache.load()
            until(lambda: "fleet_trouble" in caplog.text, "it is said")
        secrets.add("KEY", "2")
        cache._presence._fleet._subscriptions.close()
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        until(lambda: key.value == "2", "it follows")

    @pytest.mark.parametrize(
        "settings", [{"events": "poll"}, {"topic": None}, {"spread": -1}, {"spread": 301}, {"spread": float("nan")}]
    )
    def test_settings_that_cannot_be_are_refused(self, make, settings):
        """A wrong choice is said at the declaration."""
        with pytest.raises(ValueError, match=r"events|topic|spread"):
            make(**settings)

    def test_pulling_needs_an_extra(self, make, monkeypatch):
        """Where the client is not installed, the error says what to install."""
        monkeypatch.setattr("receiver.hearing._is_installed", lambda: False)
        cache = make(source=InMemorySource({"KEY": "1"}))
        cache.secret("KEY")
        with pytest.raises(ConfigurationError, match=r"keyturn\[pull\]"):
            cache.load()


@pytest.fixture
def refusing(monkeypatch):
    """A Pub/Sub that refuses everything, as it does who has no rights."""

    class Refusing(grpc.GenericRpcHandler):
        def service(self, _):
            def refuse(_, context):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, "User not authorized to perform this action.")

            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Refusing(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
    yield server
    server.stop(0).wait(5)


class Clock:
    """Time that a test moves."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead

    def wall(self):
        return time.time_ns() + int(self.ahead * SECOND)


def test_the_janitor_removes_what_the_dead_left(cloud, tmp_path, subscriptions, caplog):
    """What this service left and gave no sign for three hours goes; another service's and a living one stay."""
    clock = Clock()
    client = cloud.subscriber()

    def left(name, service, age):
        labels = rules.labels(service, name, now=clock.wall() - int(age * SECOND))
        client.create_subscription(
            request={"name": cloud.subscription(name), "topic": cloud.topic(TOPIC), "labels": labels}
        )

    left("dead", "pay", 2.5 * rules.RENEWED)
    left("other-s", "other", 10 * rules.RENEWED)
    whose = Instance(service="pay", environ={})
    whose.find(tmp_path)
    taking = Inbox(
        Intake(None, path="pull", wall=clock.wall),
        voice=Voice(),
        concerns=lambda _: False,
        tell=lambda _, news: None,
        spread=0,
        clock=clock,
        jitter=lambda: 0,
    )
    terms = Term(
        Subscriptions(cloud.topic(TOPIC), project=cloud.project, spread=0.0, clock=time.monotonic, jitter=lambda: 0.0),
        taking,
        whose=whose,
        voice=Voice(),
        seat=0,
        newborn=True,
        outrun=lambda: False,
        call=lambda _: None,
        clock=clock,
        wall=clock.wall,
        jitter=lambda: 0.0,
    )
    terms.begin()
    until(lambda: terms.hearing, "it hears")
    clock.ahead += rules.RENEWED
    with caplog.at_level(logging.INFO, "keyturn"):
        until(lambda: "dead" not in subscriptions(), "the janitor has been")
    left_over = set(subscriptions())
    terms.end(5)
    terms._subscriptions.close()

    assert {"other-s", terms.subscription} == left_over
    assert "orphan_removed" in caplog.text
    seen = int(subscriptions()[terms.subscription].labels[rules.SEEN])
    assert abs(seen - clock.wall() // SECOND) < 60


def ours():
    """The threads of caches, and gRPC's for their streams; the local cloud has others in this process."""
    return {t for t in threading.enumerate() if t.name.startswith("keyturn") or t.name.endswith("(_run)")}


def test_threads_end_with_the_cache(make, secrets):
    """A cache that is closed leaves no thread of its own and none of the client's behind."""
    before = ours()
    cache = make()
    cache.secret(secrets.create("KEY"))
    cache.load()
    during = {thread.name for thread in ours() - before if thread.name.startswith("keyturn")}
    cache.close()
    until(lambda: not ours() - before, "all threads have ended")

    assert {"keyturn-siblings", "keyturn-fleet", "keyturn-stream"} == during


def test_a_search_for_credentials_holds_up_nobody(monkeypatch):
    """While one thread searches for credentials, others fail and leave in a bounded time."""
    go, searching = threading.Event(), threading.Event()

    def search():
        searching.set()
        assert go.wait(10)
        raise OSError("none")

    monkeypatch.setattr("receiver.fleet.subscriptions._connect", search)
    monkeypatch.setattr("receiver.fleet.subscriptions._CALL", 0.1)
    monkeypatch.setattr("receiver.fleet.subscriptions._FAREWELL", 0.1)
    subscriptions = Subscriptions(
        "projects/p/topics/t", project="p", spread=0.0, clock=time.monotonic, jitter=lambda: 0.0
    )

    def use():
        with contextlib.suppress(HearingFailed):
            subscriptions.delete("a")

    searcher = threading.Thread(target=use)
    searcher.start()
    assert searching.wait(5)
    began = time.monotonic()
    with pytest.raises(HearingFailed, match="not ready in time"):
        subscriptions.delete("b")
    subscriptions.close()
    took = time.monotonic() - began
    go.set()
    searcher.join(5)

    assert took < 3


def test_a_manifest_says_how_a_service_hears(tmp_path, cloud):
    """`events` and `topic` of the manifest are the cache's, unless the caller says otherwise."""
    path = tmp_path / "secrets.yaml"
    path.write_text(
        "project: local-project\nlocation: global\ntopic: secret-events\nservices:\n  pay:\n"
        "    service_account: pay@local-project.iam.gserviceaccount.com\n    events: pull\n"
        "secrets:\n  KEY:\n    used_by: [pay]\n"
    )
    pulls = SecretCache.from_manifest(path, service="pay", environ={}, run_dir=str(tmp_path / "a"))
    pushed = SecretCache.from_manifest(path, service="pay", environ={}, run_dir=str(tmp_path / "b"), events="push")

    assert ("pull", "push") == tuple(cache.status()["events"]["by"] for cache in (pulls, pushed))


def test_the_bounds_fit_together():
    """A start waits for its subscription for less than a load may take, and a lease outlasts a run."""

    assert member.READY < 10
    assert rules.ACK_DEADLINE > 2 * inbox.DEADLINE
