"""The manifest as its users see it: services, secrets, and which belong together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .build import built
from .checking import Checker
from .document import LARGEST, Unreadable, read
from .problems import ManifestError, Problem
from .relations import relate
from .shape import MANIFEST, json_schema
from .specs import RotatorSpec, SecretSpec, ServiceSpec


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which service uses which secret, and how. Made by `Manifest.read` or `Manifest.parse`; immutable.

    Args:
        project: the project's id.
        project_number: its number, where the manifest says it.
        topic: the id of the topic on which changes are announced.
        location: where new secrets are that say nothing else; "" for global.
        pusher: the e-mail address of the service account that signs pushes: the `sender` of `OIDC`.
        services: by name.
        rotator: the service that rotates, where there is one.
        secrets: by id.
    """

    project: str
    project_number: int | None
    topic: str
    location: str
    pusher: str
    services: Mapping[str, ServiceSpec]
    rotator: RotatorSpec | None
    secrets: Mapping[str, SecretSpec]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a file.

        Raises:
            ManifestError: it cannot be read, or something is wrong in it; every problem is listed with its place.
        """
        try:
            with Path(path).open("rb") as file:
                # One more than is taken, so that `parse` refuses what is larger, and no more is read.
                text = file.read(LARGEST + 1).decode()
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
                relate(plain, checker)
            if not checker.problems:
                return cls(**built(plain))
            problems = tuple(checker.problems)
        raise ManifestError(source, problems)

    @staticmethod
    def schema() -> dict[str, Any]:
        """The JSON Schema of manifests, for editors."""
        return json_schema()

    def service(self, name: str) -> ServiceSpec:
        """The service of a name.

        Raises:
            KeyError: there is no such service; the message names those that there are.
        """
        if name not in self.services:
            raise KeyError(f"no service {name!r} in the manifest; there are {', '.join(self.services)}")
        return self.services[name]

    def used_by(self, service: str) -> list[SecretSpec]:
        """The secrets that a service uses, in the order of the file.

        Raises:
            KeyError: there is no such service; the message names those that there are.
        """
        self.service(service)
        return [secret for secret in self.secrets.values() if service in secret.used_by]
