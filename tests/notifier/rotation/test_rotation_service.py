"""The service: what is pushed to it, and what it answers."""

import threading

import pytest
import requests
from google.cloud import secretmanager
from google.protobuf.field_mask_pb2 import FieldMask
from werkzeug.serving import make_server

from notifier.local.cloud import SENDER
from notifier.rotation.google_vault import GoogleVault
from notifier.rotation.plan import Plan, Plans
from notifier.rotation.rotations import Rotations, plans_of
from notifier.rotation.rotator import BadSettings, UnknownRotator
from notifier.rotation.service import create_app
from notifier.rotation.ticking import tick
from notifier.rotation.vault import VaultError
from receiver import OIDC, Manifest, SecretName, SharedToken
from tests.notifier.rotation.bench import Logs


AUDIENCE = "https://rotator.example"
TOKEN = "a-token-of-the-operators"


class Running:
    """A rotator that SECRET_ROTATE is pushed to, over HTTP, for one secret."""

    def __init__(self, cloud, name, *, paused=False, rotator="random"):
        client = cloud.secret_manager_client()
        self.cloud, self.name, self.client = cloud, name, client
        self.vault = GoogleVault(lambda _: client, timeout=5.0)
        self.plan = Plan(SecretName(cloud.project, name), rotator=rotator, grace=60.0)
        cloud.create_secret(name, b"canary-first", topic=f"events-{name}")
        self.vault.create(self.plan.companion, labels={})
        self.logs = Logs()
        self.rotations = Rotations(Plans({name: self.plan}), self.vault, self.logs, wall=cloud.clock)
        auth = OIDC(
            audience=AUDIENCE, sender=SENDER, keys_url=cloud.environment()["KEYTURN_OIDC_KEYS_URL"], wall=cloud.clock
        )
        app = create_app(
            self.rotations,
            auth=auth,
            operators=SharedToken(TOKEN),
            paused=paused,
            tick=lambda: tick(self.rotations),
        )
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/rotation"
        cloud.push_to(
            f"{self.url}/events",
            topic=f"events-{name}",
            name=f"rotator-{name}",
            audience=AUDIENCE,
            backoff=(0.1, 0.2),
        )

    def schedule(self, seconds):
        """Let Secret Manager say that it is time, after so many seconds of the cloud's clock."""
        moment = self.cloud.clock() + seconds
        secret = secretmanager.Secret(name=self.plan.secret.path)
        rotation = secretmanager.Secret.pb(secret).rotation
        rotation.next_rotation_time.FromMicroseconds(int(moment * 1e6))
        rotation.rotation_period.FromSeconds(3600)
        self.client.update_secret(secret=secret, update_mask=FieldMask(paths=["rotation"]))

    def wait_for_acknowledged(self, messages):
        """Wait until so many messages of this secret have been acknowledged."""

        def enough(pushes):
            ours = [one for one in pushes if one.subscription.endswith(f"/rotator-{self.name}") and one.acknowledged]
            return len({one.message for one in ours}) >= messages

        assert self.cloud.pubsub.wait_for_pushes(enough, 10.0)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def running(rotation_cloud, name):
    service = Running(rotation_cloud, name)
    yield service
    service.close()


def test_a_schedule_rotates(running):
    """When Secret Manager says that it is time, a new version is there by the time the push is acknowledged."""
    running.schedule(400)
    running.cloud.advance(401)
    running.wait_for_acknowledged(2)  # the schedule's own SECRET_UPDATE, and SECRET_ROTATE
    number, value = running.vault.access(running.plan.secret, "latest")

    assert (2, 32) == (number, len(value))


def test_other_events_rotate_nothing(running):
    """The version that a rotation adds, and every other event, is acknowledged and rotates nothing."""
    running.cloud.add_version(running.name, b"canary-second")
    running.wait_for_acknowledged(1)

    assert 2 == running.vault.access(running.plan.secret, "latest")[0]


def post(running, **changed):
    token = running.cloud.issuer.token(audience=AUDIENCE, email=SENDER)
    body = {"message": {"attributes": attributes(running, **changed), "messageId": "1", "data": ""}}
    return requests.post(
        f"{running.url}/events", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10
    ).status_code


def attributes(running, *, kind="SECRET_ROTATE", secret=None, at="2026-10-02T06:03:43.549786-07:00"):
    return {
        "eventType": kind,
        "dataFormat": "JSON_API_V1",
        "secretId": secret or f"projects/82150720798/secrets/{running.name}",
        "timestamp": at,
    }


def test_the_same_event_twice_at_once(running):
    """One event that comes ten times at once makes one version; whoever came too early is told to come again."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(post(running))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    answers.append(post(running))

    assert {204, 503} >= set(answers)
    assert 204 == answers[-1]
    assert 2 == running.vault.access(running.plan.secret, "latest")[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": "projects/1/secrets/NOT_OURS"},
        {"secret": "projects/other-project/secrets/{name}"},
        {"secret": "projects/1/locations/europe-west1/secrets/{name}"},
        {"kind": "SECRET_UPDATE"},
        {"kind": "SECRET_OF_TOMORROW"},
    ],
)
def test_what_is_not_ours(running, changed):
    """An event of a secret that nothing here rotates is acknowledged, and nothing is done."""
    changed = {key: value.format(name=running.name) for key, value in changed.items()}

    assert 204 == post(running, **changed)
    assert 1 == running.vault.access(running.plan.secret, "latest")[0]


def test_strangers(running):
    """Whoever is not the subscription's service account rotates nothing."""
    url = f"{running.url}/events"
    stranger = running.cloud.issuer.token(audience=AUDIENCE, email="evil@example.com")

    assert 401 == requests.post(url, json={}, timeout=10).status_code
    assert 403 == requests.post(url, headers={"Authorization": f"Bearer {stranger}"}, timeout=10).status_code
    assert 403 == requests.get(f"{running.url}/status", timeout=10).status_code
    assert 403 == requests.post(f"{running.url}/tick", timeout=10).status_code


def test_operators(running):
    """Operators see where every rotation stands, and can have done what is due; never a value."""
    post(running)
    operator = {"Authorization": f"Bearer {TOKEN}"}
    before = requests.get(f"{running.url}/status", headers=operator, timeout=10)
    running.cloud.advance(61)
    ticked = requests.post(f"{running.url}/tick", headers=operator, timeout=10)
    after = requests.get(f"{running.url}/status", headers=operator, timeout=10)

    assert ("promoted", 2) == (before.json()[0]["step"], before.json()[0]["version"])
    assert 204 == ticked.status_code
    assert "idle" == after.json()[0]["step"]
    assert "canary" not in before.text + after.text


def test_paused(rotation_cloud, name):
    """A service that is paused begins nothing and forgets nothing: what is pushed is noted, and done later."""
    service = Running(rotation_cloud, name, paused=True)
    try:
        assert 204 == post(service)
        assert 1 == service.vault.access(service.plan.secret, "latest")[0]
        tick(service.rotations)
        assert 2 == service.vault.access(service.plan.secret, "latest")[0]
    finally:
        service.close()


MANIFEST = """\
project: local-project
location: global
topic: events
services: {{pay: {{service_account: pay@x.iam.gserviceaccount.com, events: pull}}}}
rotator: {{service_account: r@x.iam.gserviceaccount.com, push_endpoint: "https://r.example/rotation/events"}}
secrets:
  KEY:
    used_by: [pay]
    overlap: 2h
    rotation:
      {{period: 30d, rotator: {rotator}, windows: ["Mon-Fri 02:00-05:00"], settings: {{{settings}}}, uses: [ADMIN]}}
  ADMIN: {{used_by: []}}
  BY_HAND: {{used_by: [pay], rotation: {{grace: 3h}}}}
"""


def test_the_manifest():
    """What the manifest says of rotation is what is done; an overlap is waited for."""
    plans = plans_of(Manifest.parse(MANIFEST.format(rotator="random", settings="length: 40")))
    key = plans.called("KEY")

    assert ("random", {"length": 40}, 7200.0, ("ADMIN",), 30 * 86400) == (
        key.rotator, key.settings, key.grace, key.uses, key.period,
    )  # fmt: skip
    assert not key.open_at(1_799_798_400.0)
    assert (None, 10800.0) == (plans.called("BY_HAND").rotator, plans.called("BY_HAND").grace)


@pytest.mark.parametrize(
    ("rotator", "settings", "error", "said"),
    [
        ("nobody", "", UnknownRotator, "KEY: no rotator 'nobody'"),
        ("random", "lenght: 1", BadSettings, "KEY: random"),
    ],
)
def test_a_manifest_that_could_not_work(rotator, settings, error, said):
    """What could not work is refused at the start, with the secret's name."""
    plans = plans_of(Manifest.parse(MANIFEST.format(rotator=rotator, settings=settings)))
    with pytest.raises(error, match=said):
        Rotations(plans, None, Logs())


def test_rotators_read_what_they_may(running):
    """A rotator is given those secrets that the manifest says it uses, and no other."""
    machine = running.rotations.machine(running.name)
    with pytest.raises(VaultError, match="does not say that it uses"):
        machine.actions._read("SOMETHING_ELSE")
