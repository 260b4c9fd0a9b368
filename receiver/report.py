"""What is said of an entry: in the log as it happens, and in the status afterwards. Names and numbers only."""

import logging
from dataclasses import dataclass
from typing import Final, Literal

from .entry import Verdict
from .names import SecretName
from .telemetry import Event, Field, Voice


#: What can stand in for a value that Secret Manager does not give: the one from before a fork, or the environment's.
Substitute = Literal["inherited", "environment"]


@dataclass(slots=True)
class Report:
    """What the status says of an entry beside its version.

    Args:
        verdict: where the last refresh came to rest.
        path: by which path the value being served came; "" before the first.
        since: wall time in nanoseconds at which it was swapped in.
        substitute: what stands in for a value that Secret Manager did not give; None where nothing does.
        would: the version that would be served if the cache did not merely observe.
    """

    verdict: Verdict | None = None
    path: str = ""
    since: int = 0
    substitute: Substitute | None = None
    would: int | None = None


def say_adopted(
    voice: Voice,
    name: SecretName,
    version: int,
    *,
    before: int | None,
    path: str,
    observed: bool = False,
    **fields: Field,
) -> None:
    """Log that an entry serves a version now, or would if its cache did not merely observe.

    Args:
        voice: writes the log.
        name: the secret.
        version: the version.
        before: the one before; None where there was none.
        path: by which path the news came.
        observed: whether it is only said.
        fields: what else is known of it.
    """
    event: Event = "loaded" if before is None else "stepped_back" if version < before else "refreshed"
    if observed or path == "backstop":
        event = "would_refresh" if observed else "backstop_found"
    text = f"{name} {'would now serve' if observed else 'now serves'} version {version}"
    said: dict[str, Field] = {"secret": str(name), "version": version, "previous": before, "path": path}
    voice(logging.INFO, event, text, roll=True, **{**said, **fields})


def say_substitute(voice: Voice, name: SecretName, kind: Substitute, trouble: str | None, *, version: int) -> None:
    """Log that something stands in for a value that Secret Manager did not give, and why."""
    why = trouble or "Secret Manager has given no value"  # yet, or it was not asked
    text = f"{name} is served from what was {_STANDS_IN[kind]}: {why}"
    voice(logging.ERROR, "fallback_served", text, secret=str(name), version=version, path=kind)


def say_rested(voice: Voice, name: SecretName, verdict: Verdict, trouble: str | None, **fields: Field) -> None:
    """Log where a refresh came to rest, unless all is well.

    Args:
        voice: writes the log.
        name: the secret.
        verdict: where it came to rest.
        trouble: why, where it is known.
        fields: what else is known of it.
    """
    if verdict in _SAID:
        level, event, what = _SAID[verdict]
        text = f"{name} {what}{': ' + trouble if trouble else ''}"
        voice(level, event, text, roll=False, **{"secret": str(name), **fields})


_STANDS_IN: Final[dict[Substitute, str]] = {
    "inherited": "loaded before this process was forked",
    "environment": "in the environment variable of its name",
}

_SAID: Final[dict[Verdict, tuple[int, Event, str]]] = {
    Verdict.FAILED: (logging.WARNING, "refresh_failed", "could not be refreshed, the last good value stays"),
    Verdict.HELD_BACK: (logging.ERROR, "held_back", "has a newer version that cannot be used"),
    Verdict.NONE_USABLE: (logging.ERROR, "revoked", "has no usable version any more"),
    Verdict.WAITING: (logging.WARNING, "waiting", "has no usable version at this moment, the last good value stays"),
}
