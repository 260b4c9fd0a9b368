"""Requests as Google sends them, one function per envelope: each returns (headers, body)."""

import base64
import json


BY_NUMBER = "projects/82150720798/secrets/X"
BY_ID = "projects/pgp-live/secrets/X"
REGIONAL = "projects/82150720798/locations/us-central1/secrets/X"
WHEN = "2026-10-02T06:03:43.549786-07:00"
STAMP = 1_790_946_223_549_786_000
PUBLISHED = "2026-10-02T13:03:44.1Z"
ADD = "SECRET_VERSION_ADD"
AUDIT = "google.cloud.audit.log.v1.written"
PUBLISH = "google.cloud.pubsub.topic.v1.messagePublished"
SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"


def attributes(kind=ADD, *, secret=BY_NUMBER, number=7, when=WHEN):
    shown = {"eventType": kind, "dataFormat": "JSON_API_V1", "secretId": secret, "timestamp": when}
    if kind.startswith("SECRET_VERSION_"):
        shown["versionId"] = f"{secret}/versions/{number}"
    return shown


def resource(*, secret=BY_NUMBER, number=7, state="ENABLED"):
    return {
        "createTime": "2026-10-02T13:03:43.549786Z",
        "etag": '"165cdb29776d5a"',
        "name": f"{secret}/versions/{number}",
        "state": state,
    }


def message(kind=ADD, *, data=None, **named):
    content = json.dumps(resource() if data is None else data).encode()
    wrapped = {
        "attributes": attributes(kind, **named),
        "data": base64.b64encode(content).decode(),
        "messageId": "77",
        "message_id": "77",
        "publishTime": PUBLISHED,
        "publish_time": PUBLISHED,
    }
    return {"subscription": "projects/pgp-live/subscriptions/s", "message": wrapped}


def wrapped(kind=ADD, **named):
    headers = {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google"}
    return headers, json.dumps(message(kind, **named)).encode()


def unwrapped(kind=ADD, *, data=None, metadata=True, **named):
    headers = {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google"}
    if metadata:
        headers |= {
            **attributes(kind, **named),
            "x-goog-pubsub-subscription-name": "projects/pgp-live/subscriptions/s",
            "x-goog-pubsub-message-id": "77",
            "x-goog-pubsub-publish-time": PUBLISHED,
        }
    return headers, json.dumps(resource() if data is None else data).encode()


def binary(kind, data, **changed):
    """A CloudEvent in binary mode; a header that is changed to None is left out."""
    headers = {
        "Ce-Id": "77",
        "Ce-Source": "//pubsub.googleapis.com/projects/pgp-live/topics/secret-events",
        "Ce-Specversion": "1.0",
        "Ce-Type": kind,
        "Ce-Time": PUBLISHED,
        "Content-Type": "application/json; charset=utf-8",
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in headers.items() if value is not None}, json.dumps(data).encode()


def structured(kind, data, **changed):
    """A CloudEvent in structured mode; an attribute that is changed to None is left out."""
    event = {
        "id": "77",
        "source": "//pubsub.googleapis.com/projects/pgp-live/topics/secret-events",
        "specversion": "1.0",
        "type": kind,
        "time": PUBLISHED,
        "datacontenttype": "application/json",
        "data": data,
    } | changed
    event = {name: value for name, value in event.items() if value is not None}
    return {"Content-Type": "application/cloudevents+json; charset=utf-8"}, json.dumps(event).encode()


def audit(method="AddSecretVersion", *, name=BY_ID, request=None, response=None, **changed):
    """An audit entry with what Admin Activity entries show; what is changed to None is left out."""
    call = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "authenticationInfo": {"principalEmail": "ops@pgp-live.example"},
        "authorizationInfo": [{"permission": "secretmanager.versions.add", "granted": True}],
        "serviceName": "secretmanager.googleapis.com",
        "methodName": f"{SERVICE}.{method}",
        "resourceName": name,
        "request": {"@type": "type.googleapis.com/google.cloud.secretmanager.v1.Request", **(request or {})},
        "response": response,
        "status": {},
    } | changed
    return {
        "protoPayload": {part: value for part, value in call.items() if value is not None},
        "insertId": "-1x2y3z4abcd",
        "resource": {"type": "audited_resource", "labels": {"service": "secretmanager.googleapis.com"}},
        "timestamp": "2026-10-02T13:03:43.2Z",
        "receiveTimestamp": "2026-10-02T13:03:44.512345678Z",
        "severity": "NOTICE",
        "logName": "projects/pgp-live/logs/cloudaudit.googleapis.com%2Factivity",
    }
