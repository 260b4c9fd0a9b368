"""The audit log of the local Secret Manager, and that no value is in it or anywhere else."""

import base64
import json
import logging

import pytest
import requests
from google.api_core import exceptions

from notifier.local.cloud import LocalCloud
from notifier.local.names import project_number
from notifier.local.secret_rpcs import NAME, RPCS, Log


NUMBER = project_number("demo")
CANARY = "canary-51c2"
ME = (("x-keyturn-caller", "user:me@demo.example"),)

#: Members that every entry has.
MEMBERS = {
    "insertId", "logName", "protoPayload", "receiveTimestamp", "resource", "severity", "timestamp",
}  # fmt: skip


@pytest.fixture
def audit(cloud):
    return cloud.secret_manager.audit


def test_admin_activity_is_always_there(cloud, client, audit):
    """Each change leaves an entry in the shape of production's, under the names that the caller used."""
    cloud.secret_manager.grant("projects/demo", "roles/secretmanager.admin", "user:me@demo.example")
    secret = {"replication": {"automatic": {}}}
    client.create_secret(parent="projects/demo", secret_id="db", secret=secret, metadata=ME)

    (entry,) = audit.activity()

    payload = entry["protoPayload"]
    assert set(entry) == MEMBERS
    assert "projects/demo/logs/cloudaudit.googleapis.com%2Factivity" == entry["logName"]
    assert "NOTICE" == entry["severity"]
    assert {
        "labels": {"method": f"{NAME}.CreateSecret", "project_id": "demo", "service": "secretmanager.googleapis.com"},
        "type": "audited_resource",
    } == entry["resource"]
    assert "type.googleapis.com/google.cloud.audit.AuditLog" == payload["@type"]
    assert f"{NAME}.CreateSecret" == payload["methodName"]
    assert {"principalEmail": "me@demo.example", "principalSubject": "user:me@demo.example"} == payload[
        "authenticationInfo"
    ]
    assert "127.0.0.1" == payload["requestMetadata"]["callerIp"]
    assert "grpc-python" in payload["requestMetadata"]["callerSuppliedUserAgent"]
    (authorization,) = payload["authorizationInfo"]
    assert ("secretmanager.secrets.create", "ADMIN_WRITE", True) == tuple(
        authorization[name] for name in ("permission", "permissionType", "granted")
    )
    assert f"type.googleapis.com/{NAME.rpartition('.')[0]}.CreateSecretRequest" == payload["request"]["@type"]
    assert f"projects/{NUMBER}/secrets/db" == payload["response"]["name"]
    assert "status" not in payload
    json.dumps(entry)


def test_data_access_is_off_until_it_is_switched_on(cloud, client, audit):
    """Reads leave entries only where that was asked for, each kind for itself; `latest` is told as it was asked."""
    db = cloud.create_secret("db", b"one")
    client.get_secret(name=db)
    assert [] == audit.data_access()

    audit.switch_on(Log.DATA_READ)
    client.get_secret(name=db)
    client.access_secret_version(name=f"{db}/versions/latest")
    (entry,) = audit.data_access()
    assert "DATA_READ" == entry["protoPayload"]["authorizationInfo"][0]["permissionType"]
    assert f"{db}/versions/latest" == entry["protoPayload"]["resourceName"]
    assert "response" not in entry["protoPayload"]
    assert {"authenticationInfo": {}} == {"authenticationInfo": entry["protoPayload"]["authenticationInfo"]}

    audit.switch_on()
    client.get_secret(name=db)
    assert ["ADMIN_READ"] == [
        one["protoPayload"]["authorizationInfo"][0]["permissionType"] for one in audit.entries(method="GetSecret")
    ]
    audit.switch_off()
    audit.clear()
    client.get_secret(name=db)
    assert [] == audit.entries()


def test_refusals_are_kept_with_their_status(client, audit):
    """A call that was refused says with what, and whether the caller was permitted."""
    with pytest.raises(exceptions.NotFound):
        client.delete_secret(name="projects/demo/secrets/none")
    with pytest.raises(exceptions.PermissionDenied):
        client.delete_secret(name="projects/demo/secrets/none", metadata=ME)

    missing, forbidden = (entry["protoPayload"] for entry in audit.activity())
    assert (5, True) == (missing["status"]["code"], missing["authorizationInfo"][0]["granted"])
    assert (7, False) == (forbidden["status"]["code"], forbidden["authorizationInfo"][0]["granted"])


def test_a_value_is_nowhere(caplog):
    """Values and passwords go through every RPC; no entry, log, report, notification, access call or error has one."""
    caplog.set_level(logging.DEBUG)
    told = []
    with LocalCloud(project="demo", report=told.append) as cloud:
        secrets, client = cloud.secret_manager, cloud.secret_manager_client()
        secrets.audit.switch_on()
        db = cloud.create_secret("db", CANARY.encode(), topic="news")
        cloud.subscriber().create_subscription(name=cloud.subscription("heard"), topic=cloud.topic("news"))
        client.access_secret_version(name=f"{db}/versions/1")
        sql = client.create_secret(
            parent="projects/demo/locations/us-east1",
            secret_id="sql",
            secret={"secret_type": "CLOUD_SQL_DB_CREDENTIALS"},
        ).name
        credentials = {"instance_id": "i", "username": "u", "password": CANARY}
        client.enable_managed_rotation(parent=sql, cloud_sql_single_user_credentials=credentials)
        assert CANARY.encode() in client.access_secret_version(name=f"{sql}/versions/1").payload.data
        for payload in ({"data": CANARY.encode(), "data_crc32c": 1}, {"data": CANARY.encode() * 9000}):
            with pytest.raises(exceptions.InvalidArgument) as refused:
                client.add_secret_version(parent=db, payload=payload)
            told.append(str(refused.value))
        at = f"{secrets.rest_url}/v1/projects/demo/secrets/db"
        answers = [
            requests.post(f"{at}:addVersion", data=f'{{"payload": "{CANARY}"}}', timeout=5),
            requests.post(f"{at}:addVersion", data=f'{{"{CANARY}": 1}}', timeout=5),
        ]
        client.destroy_secret_version(name=f"{db}/versions/1")
        pulled = cloud.subscriber().pull(subscription=cloud.subscription("heard"), max_messages=9)
        told += [answer.text for answer in answers]
        told += [repr(pulled), repr(secrets.log.calls()), json.dumps(list(secrets.audit.entries()))]

    assert [400, 400] == [answer.status_code for answer in answers]
    assert {"AddSecretVersion", "AccessSecretVersion", "EnableManagedRotation"} <= {
        name for name in RPCS if secrets.audit.entries(method=name)
    }
    written = (CANARY, base64.b64encode(CANARY.encode()).decode().rstrip("=")[:-1])
    assert [] == [line for line in [*told, caplog.text] if any(spelling in line for spelling in written)]


def test_topics_that_may_not_be_published_to(cloud, client):
    """Such a topic refuses creation and update; one that is forbidden later loses its messages only."""
    topic = cloud.create_topic("news")
    secret = {"replication": {"automatic": {}}, "topics": [{"name": topic}]}
    cloud.secret_manager.forbid_topic(topic)
    with pytest.raises(exceptions.PermissionDenied):
        client.create_secret(parent="projects/demo", secret_id="db", secret=secret)
    db = cloud.create_secret("db")
    with pytest.raises(exceptions.PermissionDenied):
        client.update_secret(secret={"name": db, "topics": [{"name": topic}]}, update_mask={"paths": ["topics"]})
    assert not client.get_secret(name=db).topics

    cloud.secret_manager.forbid_topic(topic, forbidden=False)
    client.update_secret(secret={"name": db, "topics": [{"name": topic}]}, update_mask={"paths": ["topics"]})
    cloud.subscriber().create_subscription(name=cloud.subscription("heard"), topic=topic)
    cloud.secret_manager.forbid_topic(topic)
    cloud.add_version("db", b"lost")
    cloud.secret_manager.forbid_topic(topic, forbidden=False)
    cloud.add_version("db", b"heard")
    pulled = cloud.subscriber().pull(subscription=cloud.subscription("heard"), max_messages=9)

    assert [f"{db}/versions/2"] == [got.message.attributes["versionId"] for got in pulled.received_messages]


def test_every_change_of_topics_is_tried_on_all_of_them(cloud, client):
    """Whenever topics are set, each of them hears a test message, also those that the secret had."""
    one, two = cloud.create_topic("one"), cloud.create_topic("two")
    db = cloud.create_secret("db", topic="one")
    cloud.subscriber().create_subscription(name=cloud.subscription("heard"), topic=one)
    topics = [{"name": one}, {"name": two}]
    client.update_secret(secret={"name": db, "topics": topics}, update_mask={"paths": ["topics"]})
    pulled = cloud.subscriber().pull(subscription=cloud.subscription("heard"), max_messages=9)

    assert ["SECRET_UPDATE", "TOPIC_CONFIGURED"] == sorted(
        got.message.attributes["eventType"] for got in pulled.received_messages
    )
