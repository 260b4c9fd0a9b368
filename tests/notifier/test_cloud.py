"""The local cloud as a whole."""

import socket
import threading
import time
from pathlib import Path

import pytest
import requests
from google.api_core import exceptions
from google.cloud import pubsub_v1

from notifier.local.cloud import LocalCloud
from notifier.local.rpc import PortInUse


def test_environment(cloud):
    """The environment names every server, on loopback."""
    variables = cloud.environment()

    assert {
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_PUBSUB_CUSTOM_ENDPOINT",
        "GOOGLE_SECRET_MANAGER_CUSTOM_ENDPOINT",
        "GOOGLE_SECRET_MANAGER_REGIONAL_CUSTOM_ENDPOINT",
        "KEYTURN_LOCAL_CONTROL",
        "KEYTURN_OIDC_KEYS_URL",
        "LOGGING_EMULATOR_HOST",
        "PUBSUB_EMULATOR_HOST",
        "SECRET_MANAGER_EMULATOR_HOST",
    } == set(variables)
    assert "demo" == variables["GOOGLE_CLOUD_PROJECT"]
    assert all("127.0.0.1:" in value for name, value in variables.items() if name != "GOOGLE_CLOUD_PROJECT")
    assert f"{variables['KEYTURN_LOCAL_CONTROL']}/certs" == variables["KEYTURN_OIDC_KEYS_URL"]


def test_pubsub_clients_by_the_environment(cloud, monkeypatch):
    """Google's Pub/Sub clients need the variable and nothing else."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", cloud.environment()["PUBSUB_EMULATOR_HOST"])
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic, subscription = cloud.topic("news"), cloud.subscription("reader")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    publisher.publish(topic, b"x").result()

    assert 1 == len(subscriber.pull(subscription=subscription, max_messages=1).received_messages)
    publisher.stop()
    publisher.transport.close()
    subscriber.close()


def test_several_at_once(cloud):
    """Two clouds in one process have nothing in common."""
    with LocalCloud(project="demo") as other:
        cloud.create_secret("db", b"one")

        assert 1 == len(list(cloud.secret_manager_client().list_secrets(parent="projects/demo")))
        assert 0 == len(list(other.secret_manager_client().list_secrets(parent="projects/demo")))


def test_quick_start():
    """A start takes less than 150 ms, whatever the signing key takes to be made."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        with LocalCloud():
            took.append(time.monotonic() - began)

    assert min(took) < 0.150


def test_nothing_is_left_after_the_end():
    """After the end no thread is left, and the ports can be taken again."""
    before = set(threading.enumerate())
    with LocalCloud() as cloud:
        cloud.secret_manager_client().list_secrets(parent="projects/demo")
        ports = [int(value.rpartition(":")[2]) for value in (cloud.secret_manager.host, cloud.pubsub.host)]
        keys = int(cloud.environment()["KEYTURN_LOCAL_CONTROL"].rpartition(":")[2])
    left = [thread for thread in set(threading.enumerate()) - before if not thread.daemon]

    assert [] == left
    with LocalCloud(secret_manager_port=ports[0], pubsub_port=ports[1], keys_port=keys) as again:
        assert f"127.0.0.1:{ports[0]}" == again.secret_manager.host


@pytest.mark.parametrize("server", ["secret-manager", "pubsub", "keys"])
def test_a_port_in_use(server):
    """A port that somebody has is told by its server's name, and nothing is left running."""
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cloud = LocalCloud(**{f"{server.replace('-', '_')}_port": port})
        with pytest.raises(PortInUse) as failed:
            cloud.start()

    assert (server, port) == (failed.value.server, failed.value.port)
    # The signing key's thread ends by itself.
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"local-signing-key"}


def test_two_clouds_never_share_a_port(cloud):
    """A port of one running cloud is refused to another."""
    port = int(cloud.secret_manager.host.rpartition(":")[2])

    with pytest.raises(PortInUse):
        LocalCloud(secret_manager_port=port).start()


def test_reports_name_changes_and_pushes_but_no_value(endpoint):
    """Each change and each push is told in one line, without values."""
    lines = []
    with LocalCloud(project="demo", report=lines.append) as cloud:
        cloud.push_to(endpoint.url, topic="news")
        name = cloud.create_secret("db", b"canary", topic="news")
        cloud.secret_manager.disable_version(name, 1)
        with pytest.raises(exceptions.FailedPrecondition):
            cloud.secret_manager_client().access_secret_version(name=f"{name}/versions/1")
        endpoint.wait_for(4)
        assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 4)

    told = [line for line in lines if not line.startswith("pushed")]
    sent = [line.rpartition(" as ")[0] for line in told if line.startswith("published")]
    assert [
        "published TOPIC_CONFIGURED to projects/demo/topics/news",
        f"published SECRET_CREATE of {name} to projects/demo/topics/news",
        f"published SECRET_VERSION_ADD of {name}/versions/1 to projects/demo/topics/news",
        f"published SECRET_VERSION_DISABLE of {name}/versions/1 to projects/demo/topics/news",
    ] == sent
    assert [
        "created projects/demo/topics/news",
        "created projects/demo/subscriptions/push",
        f"created {name}",
        f"added {name}/versions/1",
        f"disabled {name}/versions/1",
        f"refused AccessSecretVersion of {name}/versions/1: FAILED_PRECONDITION",
    ] == [line for line in told if not line.startswith("published")]
    assert 4 == len(lines) - len(told)
    assert not any("canary" in line or "\n" in line for line in lines)


def hosts(cloud):
    return [value.split("//")[-1] for name, value in cloud.environment().items() if name != "GOOGLE_CLOUD_PROJECT"]


def listener(port):
    """The address on which something listens at this port, as the kernel tells it."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, found = local.partition(":")
            if int(found, 16) == port and state == "0A":
                # An address of IPv4 ends one of IPv6, too.
                return socket.inet_ntoa(bytes.fromhex(address[-8:])[::-1])
    return None


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="asks Linux")
@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 403), ("0.0.0.0", 200)])
def test_loopback_unless_told_otherwise(address, status):
    """It listens on loopback, and answers who calls it by another name only where it was told to serve others."""
    with LocalCloud(project="demo", address=address) as cloud:
        answers = [
            requests.get(url, headers={"Host": "cloud.internal:80"}, timeout=5).status_code
            for url in (
                f"{cloud.environment()['KEYTURN_LOCAL_CONTROL']}/keys",
                f"{cloud.secret_manager.rest_url}/v1/projects/demo/secrets",
                f"{cloud.pubsub.rest_url}/v1/projects/demo/topics",
            )
        ]
        listening = {listener(int(host.partition(":")[2].partition("/")[0])) for host in hosts(cloud)}

    assert [status] * 3 == answers
    assert {address} == listening
