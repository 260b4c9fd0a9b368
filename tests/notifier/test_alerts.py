"""What wakes somebody: each filter matches what is logged when its fault happens, and nothing of a day without."""

import io
import json
import logging
import re
from pathlib import Path

import grpc
import pytest
import yaml
from google.cloud.logging_v2.types import LogEntry

from notifier.local.cloud import SENDER, LocalCloud
from notifier.local.log_filter import parse
from receiver import OIDC, SecretCache, StructuredFormatter
from receiver.handler import PushHandler
from tests.receiver.test_cache import Clock, awake, tick


ROOT = Path(__file__).parents[2]
TOLD = yaml.safe_load((ROOT / "terraform/modules/observability/alerts.yaml").read_text())
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


def unpublished(service):
    entry = LogEntry(
        log_name="projects/local-project/logs/secretmanager.googleapis.com%2Fsecret_event",
        json_payload={
            "@type": "type.googleapis.com/google.cloud.secretmanager.logging.v1.SecretEvent",
            "name": "projects/1/secrets/API_KEY",
            "type": "TOPIC_PERMISSION_DENIED",
            "logMessage": "publishing failed",
        },
        resource={"type": "secretmanager.googleapis.com/Secret", "labels": {"secret_id": "API_KEY"}},
        severity="ERROR",
    )
    service.cloud.logging_client().write_log_entries(entries=[entry])


def ending(service):
    client = service.cloud.secret_manager_client()
    name = service.cloud.secret("API_KEY")
    secret = {"name": name, "version_destroy_ttl": {"seconds": 86400}}
    client.update_secret(request={"secret": secret, "update_mask": {"paths": ["version_destroy_ttl"]}}, timeout=5)
    service.add()
    service.push()
    client.destroy_secret_version(name=f"{name}/versions/2", timeout=5)
    service.push()


PROVOKED = {
    "slow_fetch": slow,
    "failed_fetches": failing,
    "entry_behind": behind,
    "pushes_refused": refused,
    "backstop_found": lost,
    "publish_failed": unpublished,
    "ends_in_use": ending,
}


@pytest.mark.parametrize("key", sorted(COUNTED))
def test_each_fault_is_seen(service, key):
    """The filter of an alert matches what is logged when its fault is provoked, often enough to raise it."""
    PROVOKED[key](service)
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


def test_every_alert_is_a_section_of_the_runbook():
    """Its title is the heading of the section that says what to do."""
    headings = set(re.findall(r"^## (.+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE))

    assert set() == {alert["title"] for alert in TOLD["alerts"].values()} - headings


def test_every_counted_alert_is_provoked():
    """No filter stands there that no fault was tried on, and each is one that Logging reads."""
    assert COUNTED.keys() == PROVOKED.keys()
    for one in (*COUNTED.values(), *TOLD["figures"].values()):
        parse(one["filter"])
