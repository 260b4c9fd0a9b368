"""The notifications of the local Secret Manager, as they arrive by push."""

import base64
import json
import re

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from notifier.local.cloud import LocalCloud
from notifier.local.names import project_number


NUMBER = project_number("demo")


@pytest.fixture(params=["", "europe-west4"], ids=["global", "regional"])
def place(request):
    return request.param


def full(place, number=NUMBER):
    return f"projects/{number}/locations/{place}/secrets/db" if place else f"projects/{number}/secrets/db"


def by_type(requests):
    return {request.message["attributes"]["eventType"]: request.message for request in requests}


def told(message):
    return json.loads(base64.b64decode(message["data"]))


def test_a_new_secret_and_its_version(cloud, endpoint, place):
    """A secret with a topic sends a test message, its creation and each version, under the project's number."""
    cloud.push_to(endpoint.url, topic="news")
    cloud.create_secret("db", b"canary", topic="news", location=place)

    messages = by_type(endpoint.wait_for(3))

    assert {"eventType": "TOPIC_CONFIGURED"} == messages["TOPIC_CONFIGURED"]["attributes"]
    assert "data" not in messages["TOPIC_CONFIGURED"]
    created, added = messages["SECRET_CREATE"], messages["SECRET_VERSION_ADD"]
    assert {"dataFormat", "eventType", "secretId", "timestamp"} == set(created["attributes"])
    assert "JSON_API_V1" == added["attributes"]["dataFormat"]
    assert full(place) == added["attributes"]["secretId"]
    assert f"{full(place)}/versions/1" == added["attributes"]["versionId"]
    assert [{"name": "projects/demo/topics/news"}] == told(created)["topics"]
    assert ("ENABLED", f"{full(place)}/versions/1") == (told(added)["state"], told(added)["name"])
    assert not any(b"canary" in base64.b64decode(message.get("data", "")) for message in messages.values())


def test_states_aliases_and_the_end(cloud, endpoint, place):
    """Each change of a version or secret is announced with what it became."""
    name = cloud.create_secret("db", b"one", topic="news", location=place)
    cloud.push_to(endpoint.url, topic="news")
    secrets = cloud.secret_manager
    secrets.disable_version(name, 1)
    secrets.enable_version(name, 1)
    secrets.set_aliases(name, {"blue": 1})
    secrets.destroy_version(name, 1)
    secrets.delete_secret(name)

    messages = by_type(endpoint.wait_for(5))

    assert "DISABLED" == told(messages["SECRET_VERSION_DISABLE"])["state"]
    assert "ENABLED" == told(messages["SECRET_VERSION_ENABLE"])["state"]
    assert {"blue": "1"} == told(messages["SECRET_UPDATE"])["versionAliases"]
    assert "DESTROYED" == told(messages["SECRET_VERSION_DESTROY"])["state"]
    assert "REQUESTED" == messages["SECRET_DELETE"]["attributes"]["deleteType"]
    assert name == told(messages["SECRET_DELETE"])["name"]


def test_topics_set_by_an_update(cloud, client, endpoint):
    """Topics set by an update hear a test message and then the update."""
    name = cloud.create_secret("db")
    cloud.push_to(endpoint.url, topic="news")
    client.update_secret(
        secret={"name": name, "topics": [{"name": cloud.topic("news")}]}, update_mask=FieldMask(paths=["topics"])
    )

    assert ["SECRET_UPDATE", "TOPIC_CONFIGURED"] == endpoint.events(2)


def test_the_moment_is_pacific_and_that_of_the_change(endpoint, wall):
    """An event's time is the change's own, in Pacific time, without trailing zeros."""
    with LocalCloud(project="demo", wall=wall) as cloud:
        cloud.create_secret("db", topic="news")
        cloud.push_to(endpoint.url, topic="news")
        cloud.add_version("db", b"one")
        (request,) = endpoint.wait_for(1)

    assert "2026-10-01T22:03:33.25-07:00" == request.message["attributes"]["timestamp"]
    assert "2026-10-02T05:03:33.250Z" == request.message["publishTime"]
    assert "2026-10-02T05:03:33.250Z" == re.sub("000Z$", "Z", told(request.message)["createTime"])


def test_reads_are_not_announced(cloud, client, endpoint):
    """Get, list and access send nothing."""
    name = cloud.create_secret("db", b"one", topic="news")
    cloud.push_to(endpoint.url, topic="news")
    client.access_secret_version(name=f"{name}/versions/latest")
    client.get_secret(name=name)
    list(client.list_secret_versions(parent=name))
    cloud.add_version("db", b"two")

    assert ["SECRET_VERSION_ADD"] == endpoint.events(1)
    assert 1 == len(endpoint.received)


def test_a_topic_that_went_away_loses_its_events_only(cloud, endpoint):
    """Where one topic was deleted, changes still succeed and the others still hear of them."""
    topics = (cloud.create_topic("gone"), cloud.create_topic("news"))
    name = cloud.secret_manager.create_secret(cloud.secret("db"), topics=topics)
    cloud.push_to(endpoint.url, topic="news")
    cloud.publisher().delete_topic(topic=topics[0])

    assert 1 == cloud.secret_manager.add_version(name, b"one")
    assert ["SECRET_VERSION_ADD"] == endpoint.events(1)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("TOPIC_NOT_FOUND", lambda cloud, topic: cloud.publisher().delete_topic(topic=topic)),
        ("TOPIC_PERMISSION_DENIED", lambda cloud, topic: cloud.secret_manager.forbid_topic(topic)),
    ],
    ids=["gone", "forbidden"],
)
def test_what_cannot_be_published_is_logged(cloud, place, kind, fault):
    """Each message that a topic loses is an entry of Secret Manager's own, as production writes them; no other is."""
    topics = (cloud.create_topic("lost"), cloud.create_topic("news"))
    cloud.secret_manager.create_secret(cloud.secret("db", location=place), topics=topics)
    fault(cloud, topics[0])
    cloud.add_version("db", b"canary", location=place)
    wanted = {"resource_names": ["projects/demo"], "filter": 'log_id("secretmanager.googleapis.com/secret_event")'}
    (entry,) = cloud.logging_client().list_log_entries(request=wanted)
    told = dict(entry.json_payload)

    assert "projects/demo/logs/secretmanager.googleapis.com%2Fsecret_event" == entry.log_name
    assert "secretmanager.googleapis.com/Secret" == entry.resource.type
    assert {
        "location": place or "global",
        "resource_container": f"projects/{NUMBER}",
        "secret_id": "db",
    } == dict(entry.resource.labels)
    assert {"@type", "logMessage", "name", "type"} == set(told)
    assert "type.googleapis.com/google.cloud.secretmanager.logging.v1.SecretEvent" == told["@type"]
    assert (full(place), kind) == (told["name"], told["type"])
    assert topics[0] in told["logMessage"]
    assert "canary" not in str(entry)
