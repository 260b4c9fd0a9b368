"""A report as lines for people. Names come from logs, which anybody may write: nothing in them moves a cursor."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from .answer import InstanceState, Report, State, Verdict
from .times import MINUTE, iso, spell


#: How many are listed one by one: instances with one cause, causes, reasons; and while it is being watched.
LISTED: Final = 20
_LISTED_BRIEFLY: Final = 2
#: A Cloud Run instance's name has some hundred characters, of which the first and the last few tell it from others.
_LONG, _HEAD, _TAIL = 32, 16, 8
_MS: Final = 1_000_000

_Spelling = Callable[[str], str]


def clean(text: str) -> str:
    """Spell out what a terminal or a reader's eye would be misled by: controls, and marks that turn text around."""
    return "".join(
        character if unicodedata.category(character)[0] not in "CZ" or character == " " else f"\\u{ord(character):04x}"
        for character in text
    )


def short(name: str) -> str:
    """A name that fits into a line, spelt out."""
    spelt = clean(name)
    return spelt if len(spelt) <= _LONG else f"{spelt[:_HEAD]}…{spelt[-_TAIL:]}"


def by_cause(stragglers: Sequence[InstanceState]) -> list[list[InstanceState]]:
    """Those that have one cause together, worst first: of two hundred that were passed over it is said once."""
    found: dict[tuple[str, str], list[InstanceState]] = {}
    for one in stragglers:
        found.setdefault((one.cause, one.advice), []).append(one)
    return list(found.values())


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


def reasons(report: Report) -> list[str]:
    """Why it is not known, as far as that is not said of each instance."""
    told = list(report.reasons) if report.verdict is Verdict.UNKNOWN else []
    return told if len(told) <= LISTED else [*told[:LISTED], f"of {len(told) - LISTED} more like these"]


def lines(report: Report, *, brief: bool = False) -> Iterator[str]:
    """The report, a line at a time.

    Args:
        report: the report.
        brief: while it is being watched on a terminal: names cut, few of each cause, and no advice yet.
    """
    spelt = short if brief else clean
    yield f"{clean(report.question.secret if brief else report.question.name)}: {headline(report)}"
    yield f"verdict: {report.verdict.value}"
    for reason in reasons(report)[: _LISTED_BRIEFLY if brief else None]:
        yield f"  because {clean(reason)}"
    yield from _timeline(report, spelt)
    causes = by_cause(report.stragglers)
    for alike in causes[:LISTED]:
        yield from (_alike_briefly if brief else _alike)(report, alike)
    if len(causes) > LISTED:
        yield f"and {sum(map(len, causes[LISTED:]))} more, for other causes"
    if report.uncounted:
        yield f"{report.uncounted} counted that said nothing: see whether they log, and where"
    for access in report.accesses[:LISTED]:
        yield (
            f"version {access.version} was accessed by {clean(access.by) or 'somebody unnamed'} since, "
            f"{several(access.times)}, last {_ago(report, access.last)}"
        )
    read = report.entries
    yield (
        f"{read.get('read', 0)} entries read: {read.get('receivers', 0)} of receivers, {read.get('audit', 0)} of the "
        f"audit log, {read.get('unreadable', 0)} unreadable"
    )


def _alike(report: Report, alike: list[InstanceState]) -> Iterator[str]:
    for one in alike[:LISTED]:
        yield f"{clean(one.name)} {_standing(report, one)}, last sign {_ago(report, one.last_sign)}"
    if len(alike) > LISTED:
        yield f"and {len(alike) - LISTED} more alike"
    yield f"  {clean(alike[0].cause)}"
    yield f"  next: {clean(alike[0].advice)}"


def _alike_briefly(report: Report, alike: list[InstanceState]) -> Iterator[str]:
    yield f"{len(alike)}: {clean(alike[0].cause)}"
    for one in alike[:_LISTED_BRIEFLY]:
        yield f"  {short(one.name)} {_standing(report, one)}, last sign {_ago(report, one.last_sign)}"


def _timeline(report: Report, spelt: _Spelling) -> Iterator[str]:
    if report.added_at is None:
        return
    by = f" by {clean(report.added.by) or 'somebody unnamed'}" if report.added else ""
    source = f" from {clean(report.added.caller)}" if report.added and report.added.caller else ""
    yield f"{iso(report.added_at)}  version {report.version} added{by}{source}"
    for moment, what in sorted(_moments(report, spelt)):
        yield f"{_after(report.added_at, moment):>24}  {what}"


def _moments(report: Report, spelt: _Spelling) -> Iterator[tuple[int, str]]:
    if report.published_at is not None:
        yield report.published_at, "published"
    steps = [(step, one) for one in report.instances for step in one.steps if report.version in one.versions]
    arrivals = [(step.arrived, one.name) for step, one in steps if step.arrived is not None]
    if arrivals:
        at, name = min(arrivals)
        yield at, f"first arrival, at {spelt(name)}"
    swaps = [(step.swapped, one.name) for step, one in steps if step.path not in {"start", "read"}]
    if swaps:
        yield min(swaps)[0], f"first served, by {spelt(min(swaps)[1])}"
        yield max(swaps)[0], f"last served so far, by {spelt(max(swaps)[1])}"
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
