"""The forms in which JSON shows what log entries hold; whatever is of another form is None, or empty. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple


#: Digits of a version's number, an int64, that fit whatever they are.
DIGITS: Final = 18

_BEYOND: Final = 10**DIGITS

#: Of a text that is shown; a Cloud Run instance's name has some hundred characters.
_LONGEST: Final = 300


class Name(NamedTuple):
    """A secret as an entry spells it: by its project's id or number."""

    project: str
    location: str
    secret: str


@lru_cache(maxsize=4096)
def secret_name(path: str) -> Name | None:
    """Split the full name of a secret; None where `path` is none."""
    match path.split("/"):
        case ["projects", project, "secrets", secret] if project and secret:
            return Name(project, "", secret)
        case ["projects", project, "locations", location, "secrets", secret] if project and location and secret:
            return Name(project, location, secret)
    return None


def version_name(path: str) -> tuple[Name | None, str]:
    """Split the full name of a version into its secret's and what stands after `versions/`."""
    secret, _, version = path.partition("/versions/")
    return secret_name(secret), version


def whole(number: object) -> int | None:
    """A number that is whole and no less than 0, as Cloud Logging gives it back: as a float too."""
    if type(number) is int:  # the rule, a million times over
        return number if 0 <= number < _BEYOND else None
    if isinstance(number, float) and number.is_integer() and number < 2**53:
        return int(number) if number >= 0 else None
    return None


def numeral(text: str) -> int | None:
    """The number that digits spell."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= DIGITS else None


def milliseconds(number: object) -> float | None:
    """A time span, which clocks that differ may have made negative."""
    if isinstance(number, (int, float)) and not isinstance(number, bool) and -1e12 < number < 1e12:
        return float(number)
    return None


def text(found: object) -> str:
    """A text, cut to a length that can be shown."""
    return found[:_LONGEST] if isinstance(found, str) else ""


def inner(outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object that stands under a name."""
    found = outer.get(name)
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=1024)
def log_project(log: str) -> str:
    """The project of a log's full name."""
    parts = log.split("/")
    return parts[1] if len(parts) > 1 and parts[0] == "projects" else ""
