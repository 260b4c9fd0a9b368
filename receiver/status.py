"""What an operator is told of the entries of a process: names, numbers and reasons, never a value."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from .entry import Verdict
from .knowledge import SECOND
from .live import LiveEntry


_STATES: Final[Mapping[Verdict | None, str]] = {
    Verdict.NONE_USABLE: "revoked",
    Verdict.HELD_BACK: "held back",
    Verdict.WAITING: "waiting",
    Verdict.FAILED: "behind",
}


def describe(entry: LiveEntry, *, now: float) -> dict[str, Any]:
    """Describe one entry.

    Args:
        entry: which.
        now: monotonic seconds, for how long the next try is off.
    """
    declared, report, version = entry.declaration, entry.report, entry.version
    described = {
        "secret": str(declared.name),
        "pin": declared.pin,
        "type": declared.type,
        "state": _state(entry),
        "version": version,
        "since": _time(report.since) if version is not None else None,
        "path": report.path or None,
        "why": entry.trouble,
        "retry_in_s": round(max(0.0, entry.retry_at - now), 1) if entry.retry_at is not None else None,
        "static": declared.static,
        "changed_since_start": entry.fixed and entry.outdated,
        "would_serve": report.would,
        "callbacks_pending": entry.callbacks.pending(),
    }
    return {key: value for key, value in described.items() if value is not None}


def _state(entry: LiveEntry) -> str:
    if not entry.loaded:
        return "cold"
    if entry.version is None:
        return "revoked"
    if entry.report.substitute is not None:
        return f"stand-in: {entry.report.substitute}"
    verdict = entry.report.verdict
    if verdict in _STATES:
        return _STATES[verdict]
    return "behind" if entry.behind else "serving"


def _time(stamp: int) -> str:
    return datetime.fromtimestamp(stamp / SECOND, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
