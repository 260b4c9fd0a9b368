"""The manifest as its users see it: services, secrets, and which belong together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ..errors import ConfigurationError
from .build import built
from .checking import Checker
from .document import LARGEST, Node, Unreadable, place, read
from .draft import draft, found
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
    _places: Mapping[tuple[str, ...], Node] = field(repr=False, compare=False)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a file.

        Raises:
            ManifestError: it cannot be read, or something is wrong in it; every problem is listed with its place.
        """
        try:
            with Path(path).open("rb") as file:
                data = file.read(LARGEST + 1)
        except OSError as exc:
            raise ManifestError(str(path), [Problem(1, 1, f"cannot be read: {exc.strerror}")]) from None
        if len(data) > LARGEST:
            raise ManifestError(str(path), [Problem(1, 1, f"a manifest has at most {LARGEST} bytes")])
        text = data.decode(errors="replace")
        # What cannot be decoded is never repeated, and where it stands is told by what can.
        if text.encode() != data:
            line, column = place(text, text.find("\ufffd"))
            raise ManifestError(str(path), [Problem(line, column, "is not UTF-8 text")])
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
                return cls(**built(plain), _places=checker.places)
            problems = tuple(checker.problems)
        raise ManifestError(source, problems)

    @staticmethod
    def draft(
        text: str, *, project: str, location: str, service: str, service_account: str, push_endpoint: str | None = None
    ) -> tuple[str, list[int]]:
        """Write a first manifest of what a service reads today.

        Args:
            text: with Cloud Run's `--set-secrets` flags, or an environment file, whose values are passed over.
            project: the project's id.
            location: where new secrets are to be.
            service: the service's name.
            service_account: the account that it runs as.
            push_endpoint: where it is pushed to; it hears by pull where it is not given.

        Returns:
            The manifest, and the numbers of the lines that were not understood.

        Raises:
            ManifestError: it would not be one: an argument is not of its form, or the text names no secret.
        """
        several, unclear = found(text)
        made = draft(
            several,
            project=project,
            location=location,
            service=service,
            service_account=service_account,
            push_endpoint=push_endpoint,
        )
        Manifest.parse(made, source="the draft")
        return made, unclear

    @staticmethod
    def schema() -> dict[str, Any]:
        """The JSON Schema of manifests, for editors."""
        return json_schema()

    def problem(self, text: str, *path: str) -> Problem:
        """A problem with what stands at a path of keys, for who knows more than a manifest does, such as a rotator.

        Args:
            text: what is wrong; never a value.
            path: keys from the top; where the last ones say nothing in the file, it is about what holds them.
        """
        while path not in self._places:
            path = path[:-1]
        return self._places[path].problem(text)

    def service(self, name: str) -> ServiceSpec:
        """The service of a name.

        Raises:
            KeyError: there is no such service; the message names those that there are.
        """
        if name not in self.services:
            raise KeyError(f"no service {name!r} in the manifest; there are {', '.join(self.services)}")
        return self.services[name]

    def expected(self, service: str) -> tuple[str, str]:
        """The audience and the sender that a service expects of a push, as `OIDC` and `CloudRunIAM` take them.

        Raises:
            KeyError: there is no such service.
            ConfigurationError: it hears by pull alone, so nobody may push.
        """
        audience = self.service(service).audience
        if audience is None:
            raise ConfigurationError(f"{service} hears by pull alone in the manifest, so nothing is pushed to it")
        return audience, self.pusher

    def used_by(self, service: str) -> list[SecretSpec]:
        """The secrets that a service uses, in the order of the file.

        Raises:
            KeyError: there is no such service; the message names those that there are.
        """
        self.service(service)
        return [secret for secret in self.secrets.values() if service in secret.used_by]
