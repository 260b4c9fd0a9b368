"""`keyturn rotator` as it is deployed: gunicorn, pushed to with signed tokens."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from google.cloud import secretmanager
from google.protobuf.field_mask_pb2 import FieldMask

from notifier.local.cloud import LocalCloud


ROOT = Path(__file__).parents[3]
MANIFEST = """\
project: local-project
location: global
topic: events
services: {pay: {service_account: pay@x.iam.gserviceaccount.com, events: pull}}
rotator:
  service_account: r@x.iam.gserviceaccount.com
  push_endpoint: https://r.example/rotation/events
secrets:
  KEY: {used_by: [pay], rotation: {period: 30d, rotator: random}}
"""


@pytest.fixture
def own_cloud():
    with LocalCloud() as cloud:
        yield cloud


@pytest.fixture
def served(own_cloud, tmp_path):
    """The rotator's port, and its process."""
    (tmp_path / "secrets.yaml").write_text(MANIFEST)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "notifier", "rotator", "--bind", f"127.0.0.1:{port}", "--manifest", "secrets.yaml"],
            cwd=tmp_path,
            env={**os.environ, **own_cloud.environment(), "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            ended = process.poll() is not None or time.monotonic() > deadline
            assert not ended, (tmp_path / "log").read_text()
            time.sleep(0.05)
        else:
            break
    yield port, process
    process.terminate()
    assert 0 == process.wait(10), (tmp_path / "log").read_text()


def test_a_schedule_is_followed(own_cloud, served):
    """A schedule fires, its push is let in by its token, and the new version is there; a scheduler may tick."""
    port, _ = served
    path = own_cloud.create_secret("KEY", b"canary-first", topic="events")
    own_cloud.create_secret("KEY-candidate")
    manifest_sender = "keyturn-push@local-project.iam.gserviceaccount.com"
    own_cloud.push_to(
        f"http://127.0.0.1:{port}/rotation/events",
        topic="events",
        sender=manifest_sender,
        audience="https://r.example/rotation/events",
    )
    secret = secretmanager.Secret(name=path)
    rotation = secretmanager.Secret.pb(secret).rotation
    rotation.next_rotation_time.FromMicroseconds(int((own_cloud.clock() + 400) * 1e6))
    rotation.rotation_period.FromSeconds(30 * 86400)
    client = own_cloud.secret_manager_client()
    client.update_secret(secret=secret, update_mask=FieldMask(paths=["rotation"]))
    own_cloud.advance(401)

    assert own_cloud.pubsub.wait_for_pushes(
        lambda pushes: len({push.message for push in pushes if push.acknowledged}) >= 2, 20.0
    ), own_cloud.pubsub.pushes()
    tick, token = (
        f"http://127.0.0.1:{port}/rotation/tick",
        own_cloud.issuer.token(audience="https://r.example/rotation/events", email=manifest_sender),
    )
    assert 403 == requests.post(tick, timeout=10).status_code
    assert 204 == requests.post(tick, headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code
    answer = client.access_secret_version(name=f"{path}/versions/2")
    assert 32 == len(answer.payload.data)
