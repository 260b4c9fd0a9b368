"""Structured log entries: a constant event name, identifiers as fields, never a value.

Entries go through the standard library's `logging` with `extra={"json_fields": ...}`, the convention of
google-cloud-logging's handlers, so a service's own logging set-up decides where they end.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal


LOGGER: Final = logging.getLogger("keyturn")

Field = str | int | float | bool | Sequence[str] | None

#: Every event that is logged. The README's table explains each; a test compares the two.
Event = Literal[
    "alive",
    "auth_disabled",
    "backstop_found",
    "board_unreadable",
    "board_unwritable",
    "callback_failed",
    "callback_slow",
    "called_back",
    "close_failed",
    "event_from_future",
    "fallback_served",
    "fleet_denied",
    "fleet_joined",
    "fleet_trouble",
    "fork_unsupported",
    "frozen",
    "grpc_blocks",
    "group_waits",
    "held_back",
    "instance_started",
    "instance_stopped",
    "keys_unavailable",
    "loaded",
    "overlap_missing",
    "orphan_removed",
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
    "unconfirmed",
    "waiting",
    "worker_started",
    "worker_stopped",
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


class Voice:
    """Write entries that say who speaks: which service, revision and instance, and which worker of it. Thread-safe.

    Args:
        who: the fields that say so; asked at each entry, since an instance may learn its name late.
        roll: the names of the living workers of the container, this one included.
        heard: told of each event and its fields, whatever the log's level.
    """

    def __init__(
        self,
        who: Callable[[], Mapping[str, Field]] = dict,
        *,
        roll: Callable[[], Sequence[str]] | None = None,
        heard: Callable[[Event, Mapping[str, Field]], None] | None = None,
    ) -> None:
        self._who = who
        self._roll = roll
        self._heard = heard

    def __call__(self, level: int, event: Event, message: str, *, roll: bool = False, **fields: Field) -> None:
        """Write one entry; see `entry`.

        Args:
            level: one of `logging`'s levels.
            event: the constant name of what happened.
            message: one sentence for people; names and numbers only.
            roll: whether the entry names the living workers, so that whoever reads it knows of whom to hear.
            fields: identifiers.
        """
        if self._heard is not None:
            self._heard(event, fields)
        if LOGGER.isEnabledFor(level):
            members = self._roll() if roll and self._roll is not None else None
            entry(level, event, message, **{"worker": os.getpid(), **self._who(), "members": members or None, **fields})
