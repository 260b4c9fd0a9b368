"""From log entries to where a rotation stands: one pure function. `judging` holds the theory."""

from collections.abc import Iterable
from typing import Final

from .acts import Acts
from .answer import Question, Report
from .judging import Judge
from .signs import Signs


#: The payload of an entry that Secret Manager writes of its own accord.
_OWN: Final = "type.googleapis.com/google.cloud.secretmanager.logging.v1.SecretEvent"


def report(entries: Iterable[object], question: Question) -> Report:
    """Say where a rotation stands. Pure: the same entries in any order, or twice, give the same report.

    Args:
        entries: LogEntries as JSON has them, from the audit log and of receivers, and lines that receivers printed;
            whatever else is among them is passed over and counted.
        question: what is asked.
    """
    signs = Signs(question.secret, question.location, version=question.version or 0)
    acts = Acts(question.project, question.location, question.secret)
    read = {"read": 0, "receivers": 0, "audit": 0, "unreadable": 0}
    for entry in entries:
        read["read"] += 1
        if not isinstance(entry, dict):
            read["unreadable"] += 1
            continue
        payload, audit = entry.get("jsonPayload"), entry.get("protoPayload")
        if isinstance(payload, dict) and payload.get("@type") == _OWN:
            read["audit"] += acts.note_lost(entry, payload)
        elif isinstance(payload, dict):
            read["receivers"] += signs.note(entry, payload)
        elif isinstance(audit, dict):
            read["audit"] += acts.note(entry, audit)
        elif "event" in entry:
            read["receivers"] += signs.note(entry, entry)
    acts.settle()
    signs.settle()
    return Judge(question, signs, acts).report(read)
