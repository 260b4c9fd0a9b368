"""A report as lines for people. Names come from logs, which anybody may write: nothing in them moves a cursor."""

import unicodedata
from collections.abc import Iterator
from typing import Final

from .answer import InstanceState, Report, State, Verdict
from .times import MINUTE, iso, spell


#: How many instances are listed one by one.
_LISTED: Final = 20
_MS: Final = 1_000_000


def clean(text: str) -> str:
    """Spell out what a terminal or a reader's eye would be misled by: controls, and marks that turn text around."""
    return "".join(
        character if unicodedata.category(character)[0] not in "CZ" or character == " " else f"\\u{ord(character):04x}"
        for character in text
    )


def several(times: int) -> str:
    """How often, for people."""
    return "once" if times == 1 else f"{times} times"


def headline(report: Report) -> str:
    """Where it stands, in a sentence."""
    if report.version is None:
        return "no version was found"
    took = report.propagation_ms()
    times = ""
    if took["p50"] is not None and took["max"] is not None:
        times = f", p50 {spell(took['p50'] * _MS)}, slowest {spell(took['max'] * _MS)}"
    plural = "" if report.total == 1 else "s"
    return f"{report.converged} of {report.total} instance{plural} on version {report.version}{times}"


def lines(report: Report) -> Iterator[str]:
    """The report, a line at a time."""
    yield f"{clean(report.question.name)}: {headline(report)}"
    yield f"verdict: {report.verdict.value}"
    for reason in report.reasons if report.verdict is Verdict.UNKNOWN else ():
        yield f"  because {clean(reason)}"
    yield from _timeline(report)
    stragglers = report.stragglers
    for straggler in stragglers[:_LISTED]:
        yield f"{clean(straggler.name)} {_standing(report, straggler)}, last sign {_ago(report, straggler.last_sign)}"
        yield f"  {clean(straggler.cause)}"
        yield f"  next: {clean(straggler.advice)}"
    if len(stragglers) > _LISTED:
        yield f"and {len(stragglers) - _LISTED} more"
    if report.uncounted:
        yield f"{report.uncounted} counted that said nothing: see whether they log, and where"
    for access in report.accesses[:_LISTED]:
        yield (
            f"version {access.version} was accessed by {clean(access.by) or 'somebody unnamed'} since, "
            f"{several(access.times)}, last {_ago(report, access.last)}"
        )
    read = report.entries
    yield (
        f"{read.get('read', 0)} entries read: {read.get('receivers', 0)} of receivers, {read.get('audit', 0)} of the "
        f"audit log, {read.get('unreadable', 0)} unreadable"
    )


def _timeline(report: Report) -> Iterator[str]:
    if report.added_at is None:
        return
    by = f" by {clean(report.added.by) or 'somebody unnamed'}" if report.added else ""
    source = f" from {clean(report.added.caller)}" if report.added and report.added.caller else ""
    yield f"{iso(report.added_at)}  version {report.version} added{by}{source}"
    for moment, what in sorted(_moments(report)):
        yield f"{_after(report.added_at, moment):>24}  {what}"


def _moments(report: Report) -> Iterator[tuple[int, str]]:
    if report.published_at is not None:
        yield report.published_at, "published"
    steps = [(step, one) for one in report.instances for step in one.steps if report.version in one.versions]
    arrivals = [(step.arrived, one.name) for step, one in steps if step.arrived is not None]
    if arrivals:
        at, name = min(arrivals)
        yield at, f"first arrival, at {clean(name)}"
    swaps = [(step.swapped, one.name) for step, one in steps if step.path not in {"start", "read"}]
    if swaps:
        yield min(swaps)[0], f"first served, by {clean(min(swaps)[1])}"
        yield max(swaps)[0], f"last served so far, by {clean(max(swaps)[1])}"
    called = [step.called_back for step, _ in steps if step.called_back is not None]
    if called:
        yield max(called), "last callback has run"


def _standing(report: Report, straggler: InstanceState) -> str:
    if straggler.state is State.UNCLEAR:
        return "is unclear"
    older = [version for version in straggler.versions if version < (report.version or 0)]
    return f"still on {', '.join(map(str, older)) or 'nothing'}"


def _after(began: int, moment: int) -> str:
    span = moment - began
    return f"-{spell(-span)}" if span < 0 else f"+{spell(span)}"


def _ago(report: Report, moment: int) -> str:
    span = max(0, report.question.now - moment)
    return "just now" if span < MINUTE // 60 else f"{spell(span)} ago"
