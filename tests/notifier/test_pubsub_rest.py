"""Pub/Sub by HTTP: as Terraform's provider and the official clients' REST transports call it, and as nobody should."""

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.pubsub_v1 import PublisherClient, SubscriberClient

from notifier.local.cloud import LocalCloud


PROJECT = "projects/demo"
TOPIC = f"{PROJECT}/topics/news"
SUBSCRIPTION = f"{PROJECT}/subscriptions/reader"
SNAPSHOT = f"{PROJECT}/snapshots/then"


@pytest.fixture
def ask(cloud):
    """Send a request as Terraform's provider does."""

    def send(verb, path, body=None):
        answer = requests.request(verb, f"{cloud.pubsub.rest_url}/v1/{path}", json=body, timeout=5)
        return answer.status_code, answer.json()

    return send


@pytest.fixture(scope="module")
def untouched():
    """A cloud for requests that change nothing."""
    with LocalCloud(project="demo") as running:
        yield running


@pytest.fixture
def clients(cloud):
    options = {"api_endpoint": cloud.pubsub.rest_url}
    return [
        client(transport="rest", credentials=AnonymousCredentials(), client_options=options)
        for client in (PublisherClient, SubscriberClient)
    ]


def test_terraform_topic(ask):
    """A topic and its policy live and end as the provider's resources do."""
    status, made = ask("PUT", f"{TOPIC}?alt=json", {"labels": {"a": "b"}, "messageRetentionDuration": "86400s"})
    assert (200, TOPIC, "86400s") == (status, made["name"], made["messageRetentionDuration"])
    assert 409 == ask("PUT", TOPIC, {})[0]

    body = {"topic": {"labels": {"c": "d"}}}
    status, updated = ask("PATCH", f"{TOPIC}?alt=json&updateMask=labels%2CmessageRetentionDuration", body)
    assert (200, {"c": "d"}) == (status, updated["labels"])
    assert "messageRetentionDuration" not in updated
    assert updated == ask("GET", f"{TOPIC}?alt=json")[1]
    assert [updated] == ask("GET", f"{PROJECT}/topics")[1]["topics"]

    _, policy = ask("GET", f"{TOPIC}:getIamPolicy?alt=json&options.requestedPolicyVersion=3")
    wanted = {"policy": {**policy, "bindings": [{"role": "roles/pubsub.publisher", "members": ["user:a@b.c"]}]}}
    assert 200 == ask("POST", f"{TOPIC}:setIamPolicy?alt=json", wanted)[0]
    assert 409 == ask("POST", f"{TOPIC}:setIamPolicy?alt=json", wanted)[0]
    held = ask("GET", f"{TOPIC}:getIamPolicy")[1]
    assert wanted["policy"]["bindings"] == held["bindings"]
    assert ["x"] == ask("POST", f"{TOPIC}:testIamPermissions", {"permissions": ["x"]})[1]["permissions"]
    assert (200, {}) == ask("DELETE", f"{TOPIC}?alt=json")
    status, gone = ask("GET", TOPIC)
    assert (404, "NOT_FOUND") == (status, gone["error"]["status"])


def test_terraform_subscription(ask):
    """A subscription with all that a push needs is made, changed and deleted as the provider does it."""
    ask("PUT", TOPIC, {})
    wanted = {
        "topic": TOPIC,
        "ackDeadlineSeconds": 60,
        "expirationPolicy": {},
        "filter": 'attributes.eventType != "TOPIC_CONFIGURED"',
        "labels": {"service": "db"},
        "messageRetentionDuration": "604800s",
        "pushConfig": {
            "pushEndpoint": "https://db.example/secrets/events",
            "oidcToken": {"serviceAccountEmail": "a@b.c", "audience": "https://db.example"},
        },
        "retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "600s"},
    }
    status, made = ask("PUT", f"{SUBSCRIPTION}?alt=json", wanted)
    assert (200, wanted) == (status, {name: made[name] for name in wanted})
    assert "ACTIVE" == made["state"]
    assert made == ask("GET", f"{SUBSCRIPTION}?alt=json")[1]

    body = {"subscription": {"ackDeadlineSeconds": 30, "deadLetterPolicy": {"deadLetterTopic": TOPIC}}}
    path = f"{SUBSCRIPTION}?alt=json&updateMask=ackDeadlineSeconds%2CdeadLetterPolicy%2CretryPolicy"
    status, updated = ask("PATCH", path, body)
    assert (200, 30, 5) == (status, updated["ackDeadlineSeconds"], updated["deadLetterPolicy"]["maxDeliveryAttempts"])
    assert "retryPolicy" not in updated
    assert [SUBSCRIPTION] == ask("GET", f"{TOPIC}/subscriptions")[1]["subscriptions"]
    assert 200 == ask("POST", f"{SUBSCRIPTION}:modifyPushConfig", {"pushConfig": {}})[0]
    assert {"etag": "ACAB"} == ask("GET", f"{SUBSCRIPTION}:getIamPolicy")[1]
    assert (200, {}) == ask("DELETE", SUBSCRIPTION)
    assert 404 == ask("GET", SUBSCRIPTION)[0]


def test_the_official_clients(clients):
    """Every method that the REST transports have answers as by gRPC."""
    publisher, subscriber = clients
    publisher.create_topic(name=TOPIC)
    publisher.update_topic(topic={"name": TOPIC, "labels": {"a": "b"}}, update_mask={"paths": ["labels"]})
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    change = {"name": SUBSCRIPTION, "ack_deadline_seconds": 20}
    subscriber.update_subscription(subscription=change, update_mask={"paths": ["ack_deadline_seconds"]})
    subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config={})
    subscriber.create_snapshot(name=SNAPSHOT, subscription=SUBSCRIPTION)
    subscriber.update_snapshot(snapshot={"name": SNAPSHOT, "labels": {"c": "d"}}, update_mask={"paths": ["labels"]})
    sent = publisher.publish(topic=TOPIC, messages=[{"data": b"\xff\x00", "attributes": {"k": "v"}}]).message_ids
    (got,) = subscriber.pull(subscription=SUBSCRIPTION, max_messages=5).received_messages
    subscriber.modify_ack_deadline(subscription=SUBSCRIPTION, ack_ids=[got.ack_id], ack_deadline_seconds=60)
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[got.ack_id])
    subscriber.seek(request={"subscription": SUBSCRIPTION, "snapshot": SNAPSHOT})
    (again,) = subscriber.pull(subscription=SUBSCRIPTION, max_messages=5).received_messages

    assert sent == [got.message.message_id]
    assert got.message == again.message
    assert {"a": "b"} == dict(publisher.get_topic(topic=TOPIC).labels)
    assert 20 == subscriber.get_subscription(subscription=SUBSCRIPTION).ack_deadline_seconds
    assert {"c": "d"} == dict(subscriber.get_snapshot(snapshot=SNAPSHOT).labels)
    assert [[TOPIC], [SUBSCRIPTION], [SNAPSHOT]] == [
        [one.name for one in some(project=PROJECT)]
        for some in (publisher.list_topics, subscriber.list_subscriptions, subscriber.list_snapshots)
    ]
    assert [SUBSCRIPTION] == list(publisher.list_topic_subscriptions(topic=TOPIC))
    assert [SNAPSHOT] == list(publisher.list_topic_snapshots(topic=TOPIC))
    publisher.detach_subscription(request={"subscription": SUBSCRIPTION})
    with pytest.raises(exceptions.BadRequest, match="detached"):
        subscriber.pull(subscription=SUBSCRIPTION, max_messages=1)
    subscriber.delete_snapshot(snapshot=SNAPSHOT)
    subscriber.delete_subscription(subscription=SUBSCRIPTION)
    publisher.delete_topic(topic=TOPIC)
    assert [] == list(publisher.list_topics(project=PROJECT))


@pytest.mark.parametrize(
    ("verb", "path", "more", "status"),
    [
        ("GET", f"{PROJECT}/nothing", {}, 404),
        ("POST", TOPIC, {}, 404),
        ("PUT", TOPIC, {"data": b"{"}, 400),
        ("PUT", TOPIC, {"data": b"[]"}, 400),
        ("PUT", TOPIC, {"data": b"null"}, 400),
        ("PUT", TOPIC, {"data": b"\xff"}, 400),
        ("PUT", TOPIC, {"data": b'{"unknown": 1}'}, 400),
        ("PUT", TOPIC, {"data": b'{"labels": {"A": "b"}}'}, 400),
        ("PUT", TOPIC, {"data": b'{"messageRetentionDuration": "1d"}'}, 400),
        ("PUT", TOPIC, {"data": b'{"messageRetentionDuration": "599s"}'}, 400),
        ("PUT", TOPIC, {"data": b'{"messageRetentionDuration": "2678401s"}'}, 400),
        ("PUT", TOPIC, {"data": b'{"schemaSettings": {"schema": "projects/demo/schemas/x"}}'}, 501),
        ("PUT", SUBSCRIPTION, {"data": b"{}"}, 404),
        ("PATCH", f"{TOPIC}?updateMask=%00", {"data": b'{"topic": {}}'}, 404),
        ("PATCH", f"{TOPIC}?updateMask=a.b.c,,", {"data": b'{"topic": {}}'}, 404),
        ("GET", f"{PROJECT}/topics?pageSize=-1", {}, 400),
        ("GET", f"{PROJECT}/topics?pageToken=%ff", {}, 400),
        ("GET", f"{PROJECT}/topics?nothing=1", {}, 400),
        ("GET", f"{PROJECT}/topics", {"headers": {"Host": "evil.example:80"}}, 403),
        ("GET", f"{PROJECT}/topics", {"headers": {"Origin": "http://evil.example"}}, 403),
        ("POST", f"{TOPIC}:publish", {"data": b'{"messages": [{"data": "not base64!"}]}'}, 400),
        ("POST", f"{TOPIC}:publish", {"data": b'{"messages": [{"data": "eA=="}]}'}, 404),
    ],
)  # fmt: skip
def test_http_that_cannot_be_answered(untouched, verb, path, more, status):
    """What is no request of the API, or comes from a browser's page, is refused as JSON and changes nothing."""
    answer = requests.request(verb, f"{untouched.pubsub.rest_url}/v1/{path}", timeout=5, **more)

    assert (status, status) == (answer.status_code, answer.json()["error"]["code"])
    assert not untouched.pubsub.has_topic(TOPIC)
