"""Resource names of secrets and versions, global and regional.

Two spellings name one secret: an application is configured with the project *id*, while events and answers carry
the project *number*. Both are a `SecretName`; `receiver.cache` joins them once an answer has shown the number.
"""

import re
from dataclasses import dataclass
from typing import Self


# Google's documented shapes: a project id or number, an optional location, a secret id of up to 255 characters.
_SECRET = re.compile(
    r"projects/(?P<project>[a-z0-9][a-z0-9:.-]{0,62})"
    r"(?:/locations/(?P<location>[a-z0-9-]{1,63}))?"
    r"/secrets/(?P<secret>[A-Za-z0-9_-]{1,255})"
)
_VERSION = re.compile(r"(?P<secret>.+)/versions/(?P<number>[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True, order=True)
class SecretName:
    """Name one secret of one project, global (no location) or regional.

    Args:
        project: the project's id or number.
        secret: the secret's id, as in `gcloud secrets create ID`.
        location: the region of a regional secret, "" for a global one.

    Raises:
        ValueError: a part is not of Google's form.
    """

    project: str
    secret: str
    location: str = ""

    def __post_init__(self) -> None:
        if _SECRET.fullmatch(self.path) is None:
            raise ValueError(
                f"not the name of a secret: {self.path!r} (wanted projects/P/secrets/S or "
                "projects/P/locations/L/secrets/S)"
            )

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read `projects/P/secrets/S` or `projects/P/locations/L/secrets/S`.

        Raises:
            ValueError: `path` is anything else.
        """
        found = _SECRET.fullmatch(path)
        if found is None:
            raise ValueError("not the full resource name of a secret")
        return cls(project=found["project"], secret=found["secret"], location=found["location"] or "")

    @property
    def path(self) -> str:
        """The full resource name, as Google writes it."""
        place = f"/locations/{self.location}" if self.location else ""
        return f"projects/{self.project}{place}/secrets/{self.secret}"

    @property
    def by_number(self) -> bool:
        """Whether the project stands as a number, as it does in events and answers."""
        return self.project.isdecimal()

    def within(self, project: str) -> "SecretName":
        """The same secret, its project spelt `project`."""
        return SecretName(project=project, secret=self.secret, location=self.location)

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True, order=True)
class VersionName:
    """Name one version of a secret by its number; aliases are resolved before they get here."""

    secret: SecretName
    number: int

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read `SECRET/versions/N`, N a positive number.

        Raises:
            ValueError: `path` is anything else, an alias or `latest` included.
        """
        found = _VERSION.fullmatch(path)
        if found is None:
            raise ValueError("not the full resource name of a numbered secret version")
        return cls(secret=SecretName.parse(found["secret"]), number=int(found["number"]))

    @property
    def path(self) -> str:
        """The full resource name, as Google writes it."""
        return f"{self.secret.path}/versions/{self.number}"

    def __str__(self) -> str:
        return self.path
