"""What a manifest may say: every key once, with its meaning. The reader, the JSON Schema and the README follow it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


_EMAIL = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?@[a-z0-9.-]+\.[a-z]{2,}"
_PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
_LOCATION = r"global|[a-z]+-[a-z]+[0-9]{1,2}"
_SERVICE = r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?"
_SECRET = r"[A-Za-z0-9_-]{1,255}"  # noqa: S105  # the form of a name
_TOPIC = r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
_URL = r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?"
_DURATION = r"[1-9][0-9]{0,5}[smhd]"
_ALIAS = r"[A-Za-z][A-Za-z0-9_-]{0,62}"
_LABEL_KEY = r"[a-z][a-z0-9_-]{0,62}"
_LABEL = r"[a-z0-9_-]{0,63}"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"

SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value is.

    Args:
        meaning: one sentence.
        base: text, number, boolean, list, map or record.
        pattern: of text, as a whole.
        example: of text that fits the pattern, for the error.
        choices: of text, where only these are allowed.
        least: of numbers.
        items: of a list or map.
        keys: the pattern of a map's keys.
        fields: of a record.
        required: which of them must stand.
        prose: text for people, which is searched for secrets.
    """

    meaning: str
    base: str = "text"
    pattern: str = ""
    example: str = ""
    choices: tuple[str, ...] = ()
    least: int | None = None
    items: "Kind | None" = None
    keys: str = ""
    fields: Mapping[str, "Kind"] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    prose: bool = False
    also: "Kind | None" = None


def _duration(meaning: str) -> Kind:
    return Kind(meaning, pattern=_DURATION, example="90d, 12h, 30m or 45s")


def _names(meaning: str, pattern: str, example: str) -> Kind:
    return Kind(meaning, base="list", items=Kind("one of them", pattern=pattern, example=example))


_LABELS = Kind(
    "labels of the secret", base="map", keys=_LABEL_KEY, items=Kind("a label", pattern=_LABEL, example="pay")
)

ROTATION: Final = Kind(
    "when Secret Manager says that it is time for a new version",
    base="record",
    required=("period",),
    fields={
        "period": _duration("how often; an hour at least"),
        "next": Kind("the first time", pattern=_TIME, example='"2027-01-31T03:00:00Z"'),
        "rotator": Kind("what makes the new version", pattern=_SERVICE, example="random"),
    },
)

SERVICE: Final = Kind(
    "one service",
    base="record",
    required=("service_account",),
    fields={
        "service_account": Kind(
            "the account that the service runs as", pattern=_EMAIL, example="a@p.iam.gserviceaccount.com"
        ),
        "platform": Kind("where it runs", choices=("cloud-run", "gke", "vm", "other")),
        "location": Kind("the region of a Cloud Run service", pattern=_LOCATION, example="europe-west1"),
        "run_service": Kind(
            "the name of the Cloud Run service, where it is another", pattern=_SERVICE, example="payments"
        ),
        "events": Kind("how it hears of changes", choices=("push", "pull", "both")),
        "push_endpoint": Kind(
            "the address that Pub/Sub pushes to", pattern=_URL, example="https://pay.example.com/secrets/events"
        ),
        "audience": Kind(
            "of the push token, where it is not the endpoint", pattern=_URL, example="https://pay.example.com"
        ),
    },
)

SECRET: Final = Kind(
    "one secret",
    base="record",
    required=("used_by",),
    fields={
        "used_by": _names("the services that read it", _SERVICE, "payments"),
        "mode": Kind("whether running services follow it", choices=("hot", "static")),
        "because": Kind("why it is static, or hot though its name looks like a signing key", prose=True),
        "type": Kind("what its value is", choices=("text", "bytes", "json")),
        "pin": Kind(
            "latest, an alias, or a number",
            pattern=_ALIAS,
            example="latest",
            also=Kind("a number", base="number", least=1),
        ),
        "location": Kind("global or a region", pattern=_LOCATION, example="global or europe-west1"),
        "existing": Kind("whether it is there already and is to be imported", base="boolean"),
        "on_revoked": Kind("when no version is usable any more", choices=("keep", "raise")),
        "fallback": Kind("what stands in at a start", choices=("environment",)),
        "overlap": _duration("how long the version before is accepted too"),
        "rotation": ROTATION,
        "labels": _LABELS,
        "note": Kind("anything that a reader should know", prose=True),
    },
)

MANIFEST: Final = Kind(
    "which service uses which secret, and how",
    base="record",
    required=("project", "topic", "services", "secrets"),
    fields={
        "project": Kind("the project's id", pattern=_PROJECT, example="pgp-live"),
        "location": Kind(
            "where secrets are that say nothing else", pattern=_LOCATION, example="global or europe-west1"
        ),
        "topic": Kind("where Secret Manager announces changes", pattern=_TOPIC, example="secret-events"),
        "services": Kind("the services, by name", base="map", keys=_SERVICE, items=SERVICE),
        "secrets": Kind("the secrets, by id", base="map", keys=_SECRET, items=SECRET),
    },
)


def seconds(duration: str) -> int:
    """How many seconds a duration such as `90d` is."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


def json_schema(kind: Kind = MANIFEST) -> dict[str, Any]:
    """The shape as a JSON Schema, for editors."""
    schema = _schema(kind)
    if kind is MANIFEST:
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "keyturn's manifest", **schema}
    return schema


def _schema(kind: Kind) -> dict[str, Any]:
    if kind.also is not None:
        one = {"type": "string", "pattern": f"^(?:{kind.pattern})$"}
        return {"description": kind.meaning, "anyOf": [one, {"type": "integer", "minimum": kind.also.least}]}
    described: dict[str, Any] = {"description": kind.meaning}
    match kind.base:
        case "record":
            described |= {"type": "object", "additionalProperties": False, "required": list(kind.required)}
            described["properties"] = {name: _schema(part) for name, part in kind.fields.items()}
        case "map":
            assert kind.items is not None  # noqa: S101  # every map in this file says what it holds
            described |= {"type": "object", "additionalProperties": False}
            described["patternProperties"] = {f"^(?:{kind.keys})$": _schema(kind.items)}
        case "list":
            assert kind.items is not None  # noqa: S101  # likewise
            described |= {"type": "array", "minItems": 1, "uniqueItems": True, "items": _schema(kind.items)}
        case "boolean":
            described["type"] = "boolean"
        case "number":
            described |= {"type": "integer", "minimum": kind.least}
        case _:
            described["type"] = "string"
            if kind.choices:
                described["enum"] = list(kind.choices)
            if kind.pattern:
                described["pattern"] = f"^(?:{kind.pattern})$"
    return described
