"""Structured log entries of the rotation: a constant event name, names and numbers as fields, never a value."""

import logging
from typing import Final, Literal


LOGGER: Final = logging.getLogger("keyturn.rotation")

#: Every event that is logged; docs/rotation.md explains each, and a test compares the two.
Event = Literal[
    "rotation_asked",
    "rotation_step",
    "rotation_failed",
    "rotation_waits",
    "rotation_left_alone",
    "rotation_not_ours",
    "rotation_restored",
    "version_retired",
    "version_destroyed",
    "retirement_held_up",
    "retirement_forced",
    "push_refused",
]


def entry(level: int, event: Event, message: str, **fields: str | float | bool | None) -> None:
    """Write one structured entry. Thread-safe.

    Args:
        level: one of `logging`'s levels.
        event: the constant name of what happened.
        message: one sentence for people; names and numbers only.
        fields: identifiers; `None` fields are left out.
    """
    kept = {name: value for name, value in fields.items() if value is not None}
    LOGGER.log(level, "%s: %s", event, message, extra={"json_fields": {"event": event, **kept}})
