"""Names of projects, secrets and versions, as requests spell them and as answers do.

Requests may say the project's id or its number; answers and events always say the number [seen in production by a
third party]. So everything here is kept under the number.
"""

import re
import zlib
from dataclasses import dataclass
from typing import Self

import grpc

from .rpc import Refusal


_PROJECT = re.compile(r"projects/(?P<project>[a-z0-9][a-z0-9:.-]{0,62})")
_PARENT = re.compile(_PROJECT.pattern + r"(?:/locations/(?P<location>[a-z0-9-]{1,63}))?")
_SECRET = re.compile(_PARENT.pattern + r"/secrets/(?P<secret>[A-Za-z0-9_-]{1,255})")
_VERSION = re.compile(_SECRET.pattern + r"/versions/(?P<version>[A-Za-z0-9_-]{1,63})")


def project_number(project: str) -> str:
    """The number of the project with this id: always the same one, 12 digits; a number stays as it is."""
    if project.isdecimal():
        return project
    return str(100_000_000_000 + zlib.crc32(project.encode()) * 100 + len(project))


@dataclass(frozen=True, slots=True, order=True)
class Parent:
    """Where secrets live: a project by number and, for regional secrets, a location."""

    project: str
    location: str = ""

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read `projects/P` or `projects/P/locations/L`.

        Raises:
            Refusal: INVALID_ARGUMENT, `path` is anything else.
        """
        found = _match(_PARENT, path)
        return cls(project_number(found["project"]), found["location"] or "")

    @property
    def path(self) -> str:
        """The full resource name."""
        return f"projects/{self.project}" + (f"/locations/{self.location}" if self.location else "")

    def secret(self, secret: str) -> str:
        """The full name of a secret in it."""
        return f"{self.path}/secrets/{secret}"


def secret_path(path: str) -> str:
    """Spell the name of a secret with the project's number.

    Raises:
        Refusal: INVALID_ARGUMENT, `path` is not the name of a secret.
    """
    found = _match(_SECRET, path)
    return Parent(project_number(found["project"]), found["location"] or "").secret(found["secret"])


def version_parts(path: str) -> tuple[str, str]:
    """Split the name of a version into its secret (with the project's number) and what stands after `versions/`.

    Raises:
        Refusal: INVALID_ARGUMENT, `path` is not the name of a version.
    """
    found = _match(_VERSION, path)
    secret = Parent(project_number(found["project"]), found["location"] or "").secret(found["secret"])
    return secret, found["version"]


def _match(pattern: re.Pattern[str], path: str) -> re.Match[str]:
    found = pattern.fullmatch(path)
    if found is None:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"The resource name [{path}] is not valid.")
    return found
