"""What wakes somebody: each filter matches what is logged when its fault happens, and nothing of a day without.

Every entry here is written by a run against the local cloud: by a receiver, or by Secret Manager itself.
"""

import io
import json
import logging
import re
from pathlib import Path

import grpc
import pytest
import yaml

from notifier.local.cloud import SENDER, LocalCloud
from notifier.local.log_filter import parse
from notifier.trace.times import nanoseconds
from receiver import OIDC, SecretCache, StructuredFormatter
from receiver.handler import PushHandler
from tests.receiver.test_cache import Clock, awake, tick


ROOT = Path(__file__).parents[2]
TOLD = yaml.safe_load((ROOT / "terraform/modules/observability/alerts.yaml").read_text())
METERED = {key: alert for key, alert in TOLD["alerts"].items() if "metric" in alert}
COUNTED = {key: alert for key, alert in TOLD["alerts"].items() if "filter" in alert}
AUDIENCE = "https://payments.example/secrets/events"


class Service:
    """A service with one secret, whose printed lines go to the local Logging, as Cloud Run's agent sends them."""

    def __init__(self, cloud, tmp_path):
        self.cloud = cloud
        self.clock = Clock()
        self._printed = io.StringIO()
        self._told = logging.StreamHandler(self._printed)
        self._told.setFormatter(StructuredFormatter(project=cloud.project))
        logging.getLogger("keyturn").addHandler(self._told)
        self.cache = SecretCache(
            cloud.project, service="payments", run_dir=str(tmp_path), clock=self.clock, jitter=lambda: 0.5
        )
        self.secret = self.cache.secret("API_KEY")
        self.cache.load()
        self._handler = PushHandler(self.cache, OIDC(audience=AUDIENCE, sender=SENDER), clock=self.clock)

    def push(self, *, sender=SENDER):
        """Hand over what was announced last, as Pub/Sub would."""
        pulled = self.cloud.subscriber().pull(subscription=self.cloud.subscription("all"), max_messages=10, timeout=5)
        for received in pulled.received_messages:
            message = received.message
            body = {
                "message": {
                    "attributes": dict(message.attributes),
                    "messageId": message.message_id,
                    "publishTime": message.publish_time.isoformat().replace("+00:00", "Z"),
                }
            }
            token = self.cloud.issuer.sign(self.cloud.issuer.claims(audience=AUDIENCE, email=sender))
            raw = json.dumps(body).encode()
            self._handler({"authorization": f"Bearer {token}"}, len(raw), lambda _, raw=raw: raw)
            self.cloud.subscriber().acknowledge(
                subscription=self.cloud.subscription("all"), ack_ids=[received.ack_id], timeout=5
            )

    def add(self, value=b"two"):
        self.cloud.add_version("API_KEY", value)

    def fail(self, times, code):
        self.cloud.secret_manager.fail_accesses(self.cloud.secret("API_KEY"), times=times, code=code)

    def refresh(self):
        self.cache.look(self.secret.name, deadline=self.clock() + 6)

    def read_in_safety(self):
        """Let an hour go by in which the process runs, so that nothing is due but the read."""
        awake(self.clock, 3610, self.cache)
        tick(self.cache)

    def logged(self):
        """The entries as the official client gives them back."""
        self.cloud.logging.take_lines(self._printed.getvalue().splitlines(), service="payments")
        return self.cloud.logging_client()

    def close(self):
        self.cache.close()
        logging.getLogger("keyturn").removeHandler(self._told)


@pytest.fixture
def service(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "keyturn")
    with LocalCloud() as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        cloud.create_secret("API_KEY", b"one", topic="events")
        cloud.subscriber().create_subscription(name=cloud.subscription("all"), topic=cloud.topic("events"), timeout=5)
        made = Service(cloud, tmp_path / "run")
        yield made
        made.close()


def matched(logs, text):
    return list(logs.list_log_entries(request={"resource_names": ["projects/local-project"], "filter": text}))


def slow(service):
    service.add()
    service.cloud.secret_manager.slow_accesses(service.cloud.secret("API_KEY"), seconds=0.6)
    service.push()


def failing(service):
    service.add()
    service.fail(times=99, code=grpc.StatusCode.PERMISSION_DENIED)  # which is not tried again at once
    for _ in range(3):
        service.refresh()


def behind(service):
    service.add()
    service.fail(times=99, code=grpc.StatusCode.PERMISSION_DENIED)
    service.push()
    service.clock.ahead += 301
    service.refresh()


def refused(service):
    service.add()
    service.push(sender="stranger@example.com")


def lost(service):
    service.add()
    service.read_in_safety()


def gone(service):
    service.cloud.publisher().delete_topic(topic=service.cloud.topic("events"))
    service.add()


def forbidden(service):
    service.cloud.secret_manager.forbid_topic(service.cloud.topic("events"))
    service.add()


def ending(service):
    client = service.cloud.secret_manager_client()
    name = service.cloud.secret("API_KEY")
    secret = {"name": name, "version_destroy_ttl": {"seconds": 86400}}
    client.update_secret(request={"secret": secret, "update_mask": {"paths": ["version_destroy_ttl"]}}, timeout=5)
    service.add()
    service.push()
    client.destroy_secret_version(name=f"{name}/versions/2", timeout=5)
    service.push()


PROVOKED = [
    ("slow_fetch", slow),
    ("failed_fetches", failing),
    ("entry_behind", behind),
    ("pushes_refused", refused),
    ("backstop_found", lost),
    ("publish_failed", gone),
    ("publish_failed", forbidden),
    ("ends_in_use", ending),
]


@pytest.mark.parametrize(("key", "provoke"), PROVOKED, ids=[provoke.__name__ for _, provoke in PROVOKED])
def test_each_fault_is_seen(service, key, provoke):
    """The filter of an alert matches what is logged when its fault is provoked, often enough to raise it."""
    provoke(service)
    found = matched(service.logged(), COUNTED[key]["filter"])

    assert len(found) > COUNTED[key]["more_than"]


def test_a_day_without_faults_wakes_nobody(service):
    """A rotation, a step back, a version that ends unused and a restart match no filter of an alert."""
    client, name = service.cloud.secret_manager_client(), service.cloud.secret("API_KEY")
    service.add()
    service.push()
    service.add(b"three")
    service.push()
    client.disable_secret_version(name=f"{name}/versions/3", timeout=5)
    service.push()
    client.destroy_secret_version(name=f"{name}/versions/1", timeout=5)
    service.push()
    service.read_in_safety()
    service.cache.close()
    logs = service.logged()

    assert {} == {key: found for key, alert in COUNTED.items() if (found := matched(logs, alert["filter"]))}
    for figure in TOLD["figures"].values():
        assert matched(logs, figure["filter"])


def test_a_message_that_nobody_takes_ends_in_the_dead_letter(service, endpoint):
    """What the alerts on Pub/Sub's own metrics measure, at a service that is down: first unacknowledged, then dead."""
    endpoint.answers = [503] * 5
    cloud, waits = service.cloud, METERED["unacked"]["more_than"]
    dead = cloud.subscription("events.dead_letters")
    cloud.subscriber().create_subscription(name=dead, topic=cloud.create_topic("dead_letters"), timeout=5)
    push = cloud.push_to(
        endpoint.url, topic="events", name="events.payments", backoff=(1, 1), dead_letter=("dead_letters", 5)
    )
    service.add()
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 1)
    cloud.clock.advance(waits + 1)

    age = cloud.clock() - nanoseconds(endpoint.received[0].message["publishTime"]) / 1e9
    assert waits < age
    assert (1, 0) == (cloud.pubsub.undelivered(push), cloud.pubsub.undelivered(dead))
    for tries in range(2, 6):
        cloud.advance(2)
        assert cloud.pubsub.wait_for_pushes(lambda pushes, tries=tries: len(pushes) >= tries)
    (given_up,) = cloud.subscriber().pull(subscription=dead, max_messages=9, timeout=5).received_messages
    assert (0, 1) == (cloud.pubsub.undelivered(push), cloud.pubsub.undelivered(dead))
    assert "events.payments" == given_up.message.attributes["CloudPubSubDeadLetterSourceSubscription"]
    assert METERED["dead_letters"]["more_than"] < cloud.pubsub.undelivered(dead)


def test_every_alert_is_a_section_of_the_runbook():
    """Its title is the heading of the section that says what to do."""
    headings = set(re.findall(r"^## (.+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE))

    assert set() == {alert["title"] for alert in TOLD["alerts"].values()} - headings


def test_every_counted_alert_is_provoked():
    """No filter stands there that no fault was tried on, and each is one that Logging reads."""
    assert COUNTED.keys() == {key for key, _ in PROVOKED}
    for one in (*COUNTED.values(), *TOLD["figures"].values()):
        parse(one["filter"])
