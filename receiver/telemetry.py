"""Structured log entries: a constant event name, identifiers as fields, never a value.

Entries go through the standard library's `logging` with `extra={"json_fields": ...}`, the convention of
google-cloud-logging's handlers, so a service's own logging set-up decides where they end.
"""

import logging
from typing import Final, Literal


LOGGER: Final = logging.getLogger("keyturn")

Field = str | int | float | bool | None

#: Every event that is logged. The README's table explains each; a test compares the two.
Event = Literal[
    "auth_disabled",
    "backstop_found",
    "board_unreadable",
    "board_unwritable",
    "callback_failed",
    "callback_slow",
    "event_from_future",
    "fallback_served",
    "frozen",
    "held_back",
    "keys_unavailable",
    "loaded",
    "overlap_missing",
    "pull_answered",
    "push_answered",
    "push_too_large",
    "push_unreadable",
    "refresh_failed",
    "refreshed",
    "refused_operator",
    "refused_sender",
    "revoked",
    "run_dir_vanished",
    "sibling_apply_failed",
    "sibling_lagging",
    "sibling_refused",
    "sibling_unreadable",
    "siblings_trouble",
    "siblings_unreachable",
    "signature_removed",
    "stepped_back",
    "tick_failed",
    "waiting",
    "would_refresh",
]


def entry(level: int, event: Event, message: str, **fields: Field) -> None:
    """Write one structured entry.

    Thread-safe. Called outside of locks only: handlers may block.

    Args:
        level: one of `logging`'s levels.
        event: the constant name of what happened.
        message: one sentence for people; names and numbers only.
        fields: identifiers; `None` fields are left out.
    """
    if LOGGER.isEnabledFor(level):
        kept = {name: value for name, value in fields.items() if value is not None}
        LOGGER.log(level, "%s: %s", event, message, extra={"json_fields": {"event": event, **kept}})
