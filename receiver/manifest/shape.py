"""What a manifest may say: every key once, with its meaning. The reader, the JSON Schema and the README follow it."""

from collections.abc import Mapping
from typing import Any, Final

from ..values import TYPES
from .kinds import Kind


_EMAIL = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?@[a-z0-9.-]+\.[a-z]{2,}"
_PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
_REGION = r"[a-z]+-[a-z]+[0-9]{1,2}"
_SERVICE = r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?"
_ACCOUNT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
_ROTATOR = r"[a-z][a-z0-9_-]{0,62}"
_SECRET = r"[A-Za-z0-9_-]{1,255}"  # noqa: S105  # the form of a name
# Pub/Sub takes 255 characters; what is named after the topic and a service needs the rest.
_TOPIC = r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,199}"
# Without TLS to this machine only, for trying it out.
_URL = r"(?:https://[A-Za-z0-9.-]+|http://(?:127\.0\.0\.1|localhost))(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?"
_DURATION = r"[1-9][0-9]{0,5}[smhd]"
_ALIAS = r"[A-Za-z][A-Za-z0-9_-]{0,62}"
_LABEL_KEY = r"[a-z][a-z0-9_-]{0,62}"
_LABEL = r"[a-z0-9_-]{0,63}"
_ANNOTATION_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_WINDOW = rf"(?:{_DAY}(?:-{_DAY})? )?{_CLOCK}-{_CLOCK}"


SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _duration(meaning: str) -> Kind:
    return Kind(meaning, pattern=_DURATION, example="90d, 12h, 30m or 45s")


def _names(meaning: str, pattern: str, example: str) -> Kind:
    return Kind(meaning, base="list", items=Kind("one of them", pattern=pattern, example=example))


def _map(meaning: str, keys: str, items: Kind) -> Kind:
    return Kind(meaning, base="map", keys=keys, items=items)


ROTATION: Final = Kind(
    "when a new version is due, what makes it, and what becomes of the old one",
    base="record",
    fields={
        "period": _duration("how often Secret Manager says that it is time; an hour at least"),
        "next": Kind(
            "the first time; a period from now where it is not given", pattern=_TIME, example='"2027-01-31T03:00:00Z"'
        ),
        "rotator": Kind(
            "what makes the new version; people, where it is not given", pattern=_ROTATOR, example="random"
        ),
        "settings": Kind("what the rotator is told; it knows which it takes", base="settings"),
        "uses": _names("the secrets that the rotator reads for it, such as an administrator's", _SECRET, "DB_ADMIN"),
        "windows": _names(
            "when it may begin, in UTC", _WINDOW, '"Mon-Fri 02:00-05:00", "Sun 22:00-02:00" or "02:00-05:00"'
        ),
        "retire": Kind("whether the old version is ended without being asked", base="boolean"),
        "grace": _duration("how long the old version stays enabled after the new one was added, at least"),
        "destroy_after": _duration("how long the old version stays disabled before it is destroyed"),
    },
)

_REACHED: Final = {
    "service_account": Kind("the account that it runs as", pattern=_EMAIL, example="a@p.iam.gserviceaccount.com"),
    "platform": Kind("where it runs", choices=("cloud-run", "gke", "vm", "other")),
    "location": Kind("the region of a Cloud Run service", pattern=_REGION, example="europe-west1"),
    "run_service": Kind("the name of the Cloud Run service, where it is another", pattern=_SERVICE, example="payments"),
    "push_endpoint": Kind(
        "the address that Pub/Sub pushes to; on Cloud Run its own, where the manifest has the project's number",
        pattern=_URL,
        example="https://pay.example.com/secrets/events",
    ),
    "audience": Kind(
        "of the push token; where it is not given, the service's address on Cloud Run, the endpoint elsewhere",
        pattern=_URL,
        example="https://pay.example.com",
    ),
}

SERVICE: Final = Kind(
    "one service",
    base="record",
    required=("service_account",),
    fields=_REACHED
    | {
        "events": Kind("how it hears of changes", choices=("push", "pull", "both")),
        "instances": Kind(
            "how many instances run, where that is fixed; a rotation waits for all", base="number", least=0
        ),
    },
)

ROTATOR: Final = Kind(
    "the service that makes new versions when they are due",
    base="record",
    required=("service_account",),
    fields=_REACHED
    | {
        "at_once": Kind("how many rotations may be under way", base="number", least=1),
        "paused": Kind("begin none for now", base="boolean"),
    },
)

SECRET: Final = Kind(
    "one secret",
    base="record",
    required=("used_by",),
    fields={
        "used_by": Kind(
            "the services that read it, or all of them",
            base="list",
            least=0,
            items=Kind("one of them", pattern=_SERVICE, example="payments"),
            also=Kind("every service", choices=("all",), example="a list: [payments, wallet]"),
        ),
        "mode": Kind("whether running services follow it", choices=("hot", "static")),
        "because": Kind("why it is static, or hot though its name looks like a signing key", prose=True),
        "type": Kind("what its value is", choices=TYPES),
        "pin": Kind(
            "latest, an alias, or a number",
            pattern=_ALIAS,
            example="latest",
            also=Kind("a number", base="number", least=1),
        ),
        "location": Kind(
            "global or a region; where it is not given, the manifest's for a new one, global for an existing one",
            pattern=f"global|{_REGION}",
            example="global or europe-west1",
        ),
        "existing": Kind("whether it is there already and is to be imported", base="boolean"),
        "on_revoked": Kind("when no version is usable any more", choices=("keep", "raise")),
        "fallback": Kind("what stands in at a start", choices=("environment",)),
        "overlap": Kind(
            "how long the version before is accepted too",
            pattern=f"{_DURATION}|until_disabled",
            example="90d, 12h, 30m, 45s or until_disabled",
        ),
        "rotation": ROTATION,
        "labels": _map("labels of the secret", _LABEL_KEY, Kind("a label", pattern=_LABEL, example="pay")),
        "annotations": _map("annotations of the secret", _ANNOTATION_KEY, Kind("an annotation", prose=True)),
        "note": Kind("anything that a reader should know", prose=True),
    },
)

MANIFEST: Final = Kind(
    "which service uses which secret, and how",
    base="record",
    required=("project", "location", "topic", "services", "secrets"),
    fields={
        "project": Kind("the project's id", pattern=_PROJECT, example="pgp-live"),
        "project_number": Kind("its number, from which Cloud Run makes addresses", base="number", least=1),
        "location": Kind(
            "where new secrets are that say nothing else",
            pattern=f"global|{_REGION}",
            example="europe-west1, or global",
        ),
        "topic": Kind("where Secret Manager announces changes", pattern=_TOPIC, example="secret-events"),
        "pusher": Kind(
            "the id of the service account that signs pushes; keyturn-push where it is not given",
            pattern=_ACCOUNT,
            example="keyturn-push",
        ),
        "services": _map("the services, by name", _SERVICE, SERVICE),
        "rotator": ROTATOR,
        "secrets": _map("the secrets, by id", _SECRET, SECRET),
    },
)


def seconds(duration: str) -> int:
    """How many seconds a duration such as `90d` is."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


def json_schema() -> dict[str, Any]:
    """The shape as a JSON Schema, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "keyturn's manifest",
        **MANIFEST.schema(),
    }
