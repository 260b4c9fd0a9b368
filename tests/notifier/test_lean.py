"""The local cloud starts without Google's clients, and whoever wants them afterwards has them whole."""

import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).parents[2]

CODE = """
import gc, sys
from notifier.local.lean import uncollected, without_clients

with uncollected():
    without_clients()
    from notifier.local.cloud import LocalCloud
assert gc.isenabled()

with LocalCloud(project="demo") as cloud:
    cloud.create_secret("db", b"value", topic="news")
    clients = {"google.api_core", "google.auth", "requests", "flask", "google.cloud.logging_v2.types.logging_config"}
    print(sorted({"cryptography", "jwt", *clients} & set(sys.modules)))

    name = "projects/demo/secrets/db/versions/latest"
    assert b"value" == cloud.secret_manager_client().access_secret_version(name=name).payload.data
    cloud.publisher().publish(cloud.topic("news"), b"x").result(5)
    assert [] == list(cloud.subscriber().list_subscriptions(project="projects/demo"))
    assert cloud.logging_client()

from google.cloud.logging_v2 import Client
from google.cloud.logging_v2.types import LogBucket, LogEntry, log_entry
from google.cloud.secretmanager_v1 import Secret, types
from google.pubsub_v1 import Topic
from google.pubsub_v1.types import pubsub

assert Topic is pubsub.Topic
assert Secret is types.Secret
assert LogEntry is log_entry.LogEntry
whole = sys.modules["google.pubsub_v1"]
without_clients()
assert whole is sys.modules["google.pubsub_v1"]
print("whole")
"""


def test_clients_come_when_they_are_wanted():
    """Starting brings in no client, no authentication and no cryptography; then every client and type is there."""
    found = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, cwd=ROOT, timeout=25, check=False
    )

    assert ("[]\nwhole\n", "") == (found.stdout, found.stderr)
