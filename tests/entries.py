"""Log entries as Cloud Logging gives them back: of the audit log, and of receivers."""

import itertools
from datetime import UTC, datetime


PROJECT = "pgp-live"
NUMBER = "82150720798"
SECRET = "PARTNER_API_KEY"
T0 = 1_790_000_000 * 10**9
SECOND = 10**9
OLD, NEW = 41, 42

_ids = itertools.count(1)


def moment(at):
    """Nanoseconds as RFC 3339, all digits."""
    whole, rest = divmod(at, SECOND)
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09}Z"


def audit(method, version, at=T0, *, project=PROJECT, secret=SECRET, by="alice@example.com", number=NUMBER, **more):
    """An audit entry: the request is spelt with the project's id, the answer with its number."""
    full = f"google.cloud.secretmanager.v1.SecretManagerService.{method}"
    asked = f"projects/{project}/secrets/{secret}"
    adds, reads = method == "AddSecretVersion", method == "AccessSecretVersion"
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "authenticationInfo": {"principalEmail": by},
        "methodName": full,
        "requestMetadata": {"callerIp": "203.0.113.7", "callerSuppliedUserAgent": "gcloud/528.0.0"},
        "resourceName": asked if adds else f"{asked}/versions/{version}",
        "serviceName": "secretmanager.googleapis.com",
    }
    if not reads:
        payload["response"] = {"name": f"projects/{number}/secrets/{secret}/versions/{version}"}
    log = "data_access" if reads else "activity"
    return {
        "insertId": f"a{next(_ids)}",
        "logName": f"projects/{project}/logs/cloudaudit.googleapis.com%2F{log}",
        "protoPayload": payload | more,
        "receiveTimestamp": moment(at + SECOND // 2),
        "resource": {"type": "audited_resource", "labels": {"method": full, "project_id": project}},
        "severity": "NOTICE",
        "timestamp": moment(at),
    }


def said(event, at, *, instance="payments-1", worker=7, received=None, project=PROJECT, service="payments", **fields):
    """An entry of a receiver; about the secret unless `secret=None`."""
    secret = fields.pop("secret", f"projects/{PROJECT}/secrets/{SECRET}")
    payload = {"message": f"{event}: ...", "event": event, "instance": instance, "service": service, "worker": worker}
    if secret is not None:
        payload["secret"] = secret
    return {
        "insertId": f"r{next(_ids)}",
        "jsonPayload": payload | fields,
        "logName": f"projects/{project}/logs/run.googleapis.com%2Fstdout",
        "receiveTimestamp": moment(at + SECOND // 5 if received is None else received),
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": service}},
        "severity": "INFO",
        "timestamp": moment(at),
    }


def moved(instance, *, worker=7, after=SECOND, previous=OLD, version=NEW, path="push", **fields):
    """A worker went from the old version to the new one."""
    fields = {"event_ms": after / 1e6, "arrival_ms": 5.0, "fetch_ms": 3.0} | fields
    return said(
        "refreshed",
        T0 + after,
        instance=instance,
        worker=worker,
        version=version,
        previous=previous,
        path=path,
        **fields,
    )


def rotation(instances=3, workers=2):
    """A rotation that every worker of every instance followed."""
    entries = [audit("AddSecretVersion", NEW)]
    for i, w in itertools.product(range(instances), range(workers)):
        began = T0 - 3600 * SECOND
        entries.append(said("loaded", began, instance=f"payments-{i}", worker=w, version=OLD, path="start"))
        entries.append(moved(f"payments-{i}", worker=w, after=SECOND + i * SECOND // 10))
    return entries
