"""The manifest as its users see it: services, secrets, and which belong together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ..values import looks_like_a_signing_key
from .checking import Checker
from .document import Unreadable, read
from .problems import ManifestError, Problem
from .shape import MANIFEST, json_schema, seconds


GLOBAL = "global"

#: Seconds: the shortest period that Secret Manager takes [docs.cloud.google.com/secret-manager, "Rotation schedules"].
_SHORTEST = 3600


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service of a manifest; the fields are those of the file."""

    name: str
    service_account: str
    platform: Literal["cloud-run", "gke", "vm", "other"] = "other"
    location: str | None = None
    run_service: str | None = None
    events: Literal["push", "pull", "both"] = "push"
    push_endpoint: str | None = None
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a secret is due for a new version; `period` in seconds."""

    period: int
    next: str | None = None
    rotator: str | None = None


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """One secret of a manifest; the fields are those of the file, `overlap` in seconds, `location` "" for global."""

    name: str
    used_by: tuple[str, ...]
    location: str = ""
    mode: Literal["hot", "static"] = "hot"
    because: str | None = None
    type: Literal["text", "bytes", "json"] = "text"
    pin: str | int = "latest"
    existing: bool = False
    on_revoked: Literal["keep", "raise"] = "keep"
    fallback: Literal["environment"] | None = None
    overlap: int | None = None
    rotation: Rotation | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which service uses which secret, and how. Made by `Manifest.read` or `Manifest.parse`."""

    project: str
    topic: str
    location: str
    services: Mapping[str, ServiceSpec]
    secrets: Mapping[str, SecretSpec]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a file.

        Raises:
            ManifestError: it cannot be read, or something is wrong in it; every problem is listed with its place.
        """
        try:
            text = Path(path).read_bytes().decode()
        except OSError as exc:
            raise ManifestError(str(path), [Problem(1, 1, f"cannot be read: {exc.strerror}")]) from None
        except UnicodeDecodeError:
            text = None
        if text is None:
            raise ManifestError(str(path), [Problem(1, 1, "is not UTF-8 text")])
        return cls.parse(text, source=str(path))

    @classmethod
    def parse(cls, text: str, *, source: str = "secrets.yaml") -> Self:
        """Read text; see `read`.

        Args:
            text: the YAML.
            source: what errors call it.
        """
        problems: tuple[Problem, ...]
        try:
            node = read(text)
        except Unreadable as exc:
            problems = exc.problems
        else:
            checker = Checker()
            plain = checker.check(node, MANIFEST)
            if not checker.problems:
                _relate(plain, checker)
            if not checker.problems:
                return cls(**_built(plain))
            problems = tuple(checker.problems)
        raise ManifestError(source, problems)

    @staticmethod
    def schema() -> dict[str, Any]:
        """The JSON Schema of manifests, for editors."""
        return json_schema()

    def used_by(self, service: str) -> list[SecretSpec]:
        """The secrets that a service uses, in the order of the file.

        Raises:
            KeyError: there is no such service; the message names those that there are.
        """
        if service not in self.services:
            raise KeyError(f"no service {service!r} in the manifest; there are {', '.join(self.services)}")
        return [secret for secret in self.secrets.values() if service in secret.used_by]


def _built(plain: dict[str, Any]) -> dict[str, Any]:
    location = plain.get("location", GLOBAL)
    return {
        "project": plain["project"],
        "topic": plain["topic"],
        "location": "" if location == GLOBAL else location,
        "services": {name: ServiceSpec(name, **fields) for name, fields in plain["services"].items()},
        "secrets": {name: _secret(name, fields, location) for name, fields in plain["secrets"].items()},
    }


def _secret(name: str, fields: dict[str, Any], default: str) -> SecretSpec:
    made = dict(fields)
    location = made.pop("location", default)
    rotation = made.pop("rotation", None)
    if rotation is not None:
        rotation = Rotation(**{**rotation, "period": seconds(rotation["period"])})
    overlap = made.pop("overlap", None)
    return SecretSpec(
        name,
        tuple(made.pop("used_by")),
        location="" if location == GLOBAL else location,
        overlap=seconds(overlap) if overlap else None,
        rotation=rotation,
        **made,
    )


def _relate(plain: dict[str, Any], checker: Checker) -> None:
    """Find what is wrong between parts that are each right."""
    for name, service in plain["services"].items():
        for text in _of_service(name, service):
            checker.say(text, "services", name)
    for name, secret in plain["secrets"].items():
        for place, service in enumerate(secret["used_by"]):
            if service not in plain["services"]:
                checker.say(f"there is no service {service!r} in this manifest", "secrets", name, "used_by", str(place))
        for text in _of_secret(name, secret):
            checker.say(text, "secrets", name)


def _of_service(name: str, service: Mapping[str, Any]) -> Iterator[str]:
    if service.get("events", "push") != "pull" and "push_endpoint" not in service:
        yield f"{name} hears by push, so it needs a push_endpoint (or events: pull)"
    if service.get("platform") == "cloud-run" and "location" not in service:
        yield f"{name} runs on Cloud Run, so its location is needed"


def _of_secret(name: str, secret: Mapping[str, Any]) -> Iterator[str]:
    mode, rotation = secret.get("mode", "hot"), secret.get("rotation")
    if mode == "static" and "because" not in secret:
        yield f"{name} is static; say because of what"
    if mode == "static" and "fallback" in secret:
        yield f"{name} is static, so what stands in could never be replaced"
    if mode == "hot" and looks_like_a_signing_key(name) and "because" not in secret:
        yield f"{name} looks like a private or signing key: mode: static, or say because of what it may change"
    if rotation and seconds(rotation["period"]) < _SHORTEST:
        yield f"{name}: Secret Manager takes rotation periods of an hour at least"
