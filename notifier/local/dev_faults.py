"""The faults that `keyturn dev --faults FILE` sets once the cloud is up.

The file is a JSON list; each entry names a route of the control endpoint and gives the members of its body:

    [
      {"fault": "secrets/slow", "secret": "projects/local-project/secrets/API_KEY", "seconds": 2},
      {"fault": "pubsub/follow", "seed": 7, "duplicate": 0.1}
    ]
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .web import Bad, Route


# Routes that change how things go, and not those that ask.
_GROUPS = ("/audit", "/clock/", "/keys/", "/pubsub/", "/secrets/")


class NotFaults(Exception):
    """The file cannot be used; the message says which entry, and why."""


def read(path: Path) -> list[dict[str, Any]]:
    """The entries of a file.

    Raises:
        NotFaults: it cannot be read, or is no list of objects that name their fault.
    """
    try:
        entries = json.loads(path.read_bytes())
    except OSError as exc:
        raise NotFaults(f"{path}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise NotFaults(f"{path} is not JSON ({exc})") from exc
    if not isinstance(entries, list):
        raise NotFaults(f"{path} is not a JSON list of faults")
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("fault"), str):
            raise NotFaults(f"{path}, entry {number}: `fault` is missing")
    return entries


def apply(entries: list[dict[str, Any]], routes: Mapping[tuple[str, str], Route]) -> None:
    """Set the faults, in their order.

    Raises:
        NotFaults: there is no such fault, or it cannot be set as it is described.
    """
    for number, entry in enumerate(entries, 1):
        path = f"/{entry['fault']}"
        route = routes.get(("POST", path))
        if route is None or not path.startswith(_GROUPS):
            known = sorted(name[1:] for verb, name in routes if verb == "POST" and name.startswith(_GROUPS))
            raise NotFaults(f"entry {number}: there is no fault `{entry['fault']}`; there are {', '.join(known)}")
        try:
            route({name: value for name, value in entry.items() if name != "fault"})
        except Bad as bad:
            raise NotFaults(f"entry {number}, {entry['fault']}: {bad.message}") from bad
