"""What Secret Manager itself writes to Cloud Logging, of which nobody was the caller: that it could not publish.

Log, resource and the members of the payload are [seen in production by a third party] (where a secret was about to
expire), the types [documented]; the severity and the wording are [assumed].
"""

from typing import Any

from .audit_entry import shown_project


#: Types of `google.cloud.secretmanager.logging.v1.SecretEvent`.
TOPIC_NOT_FOUND = "TOPIC_NOT_FOUND"
TOPIC_PERMISSION_DENIED = "TOPIC_PERMISSION_DENIED"

_WHY = {
    TOPIC_NOT_FOUND: "was not found",
    TOPIC_PERMISSION_DENIED: "may not be published to by Secret Manager's service agent",
}


def unpublished(secret: str, topic: str, kind: str, *, project: str) -> dict[str, Any]:
    """The entry of a message that was lost, as JSON has it; Logging adds when it was and which of many it is.

    Args:
        secret: the secret's full name, with the project's number.
        topic: the topic's full name.
        kind: one of the types above.
        project: id of the project that the log is called by in place of its number.
    """
    parts = secret.split("/")
    return {
        "jsonPayload": {
            "@type": "type.googleapis.com/google.cloud.secretmanager.logging.v1.SecretEvent",
            "logMessage": f"{secret} has a Pub/Sub topic that {_WHY[kind]}: {topic}.",
            "name": secret,
            "type": kind,
        },
        "logName": f"projects/{shown_project(secret, project)}/logs/secretmanager.googleapis.com%2Fsecret_event",
        "resource": {
            "labels": {
                "location": parts[3] if parts[2] == "locations" else "global",
                "resource_container": f"projects/{parts[1]}",
                "secret_id": parts[-1],
            },
            "type": "secretmanager.googleapis.com/Secret",
        },
        "severity": "ERROR",
    }
