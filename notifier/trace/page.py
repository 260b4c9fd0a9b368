"""A report as one self-contained page: a waterfall of the rotation by instance, with no script and nothing loaded.

Every text comes from logs, which anybody may have written, so each is spelt out and escaped; the page's own policy
forbids whatever might slip through to run or to load.
"""

import html
from collections.abc import Sequence
from typing import Final

from .answer import InstanceState, Report, State, Step, Verdict
from .times import MINUTE, SECOND, iso, spell
from .words import by_cause, clean, headline, reasons, several, short


#: Of one list at most; the slowest and whoever has not followed come first.
_ROWS: Final = 300
#: Unfolded: rows of the waterfall, and instances that have one cause.
_SLOWEST: Final = 20
_OPEN: Final = 8

_MARKS: Final = {Verdict.CONVERGED: "good", Verdict.BEHIND: "bad", Verdict.UNKNOWN: "open"}

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2530;--dim:#5d6b7a;--paper:#fff;--line:#d9e0e7;--wait:#c3d2e0;--fetch:#e0a100;
--swap:#2b7fd0;--call:#7b5cc4;--good:#1a7f4b;--bad:#c0342b;--open:#9a6700}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9aa7b4;--paper:#10161d;--line:#2c3641;--wait:#3a4a5a;
--fetch:#d9a520;--swap:#4fa3f0;--call:#a48be0;--good:#4cc38a;--bad:#ff7b72;--open:#e3b341}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.25rem;max-width:68rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.35rem;line-height:1.3;margin:.2rem 0}h2{font-size:1.05rem;margin:2rem 0 .6rem}
p{margin:.3rem 0}.dim{color:var(--dim)}.name{font-family:ui-monospace,monospace;font-size:.9em}
.verdict{display:inline-block;padding:.1rem .6rem;border-radius:1rem;color:var(--paper);font-weight:600}
.good{background:var(--good)}.bad{background:var(--bad)}.open{background:var(--open)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.8rem 0}dt{color:var(--dim)}dd{margin:0}
ul{padding-left:1.2rem;margin:.3rem 0}
.card{border:1px solid var(--line);border-left:.3rem solid var(--bad);border-radius:.4rem;
padding:.6rem .9rem;margin:.6rem 0}
.row{display:grid;grid-template-columns:minmax(9rem,16rem) 1fr 5.5rem;gap:.8rem;align-items:center;padding:.22rem 0;
border-bottom:1px solid var(--line)}
.track{position:relative;height:1.15rem}.track i{position:absolute;top:.15rem;height:.85rem;border-radius:.15rem;
min-width:2px}.took{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.wait{background:var(--wait)}.fetch{background:var(--fetch)}.swap{background:var(--swap)}.call{background:var(--call)}
.key span{margin-right:1rem;white-space:nowrap}
.key i{display:inline-block;width:.8rem;height:.8rem;border-radius:.15rem;margin-right:.35rem;vertical-align:-.05rem}
.scale{display:flex;justify-content:space-between}
summary{cursor:pointer;padding:.4rem 0;color:var(--swap)}.card ul{list-style:none;padding:0}
.row,.card li{break-inside:avoid}h2{break-after:avoid}
.verdict,.track i,.key i{-webkit-print-color-adjust:exact;print-color-adjust:exact}
@media(max-width:40rem){body{padding:.9rem;font-size:15px}.row{grid-template-columns:1fr auto;gap:.1rem .6rem}
.track{grid-column:1/-1;grid-row:2}.edge{display:none}.row.scale-row .track{grid-row:1}dl{grid-template-columns:1fr}
dt{margin-top:.4rem}}
"""


def page(report: Report) -> str:
    """The page, as text in UTF-8."""
    body = "\n".join(part for part in (_head(report), _stragglers(report), _waterfall(report), _rest(report)) if part)
    title = _text(f"{report.question.secret} version {report.version or '?'}: {report.verdict.value}")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>{_STYLE}</style></head>
<body>
{body}
</body></html>
"""


def _head(report: Report) -> str:
    facts = [("secret", _name(report.question.name))]
    if report.added_at is not None:
        by = report.added.by or "somebody unnamed" if report.added else "no audit entry says by whom"
        facts.append(("added", f"{iso(report.added_at)} &middot; {_text(by)}"))
        if report.added and report.added.caller:
            facts.append(("from", _text(report.added.caller)))
    if report.published_at is not None and report.added_at is not None:
        facts.append(("published", f"after {spell(max(0, report.published_at - report.added_at))}"))
    counted = report.question.counted
    facts.append(("counted", f"{sum(counted.now.values())} ({_text(counted.by)})" if counted else "by nobody"))
    facts.append(("asked", iso(report.question.now) or ""))
    if services := _services(report):
        facts.append(("services", services))
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    because = "".join(f"<li>{_text(reason)}</li>" for reason in reasons(report))
    mark = _MARKS[report.verdict]
    return (
        f'<p><span class="verdict {mark}">{report.verdict.value}</span></p>\n<h1>{_text(headline(report))}</h1>\n'
        f"{because and f'<ul>{because}</ul>'}<dl>{listed}</dl>"
    )


def _services(report: Report) -> str:
    """How many instances of each service have it, where there are several services."""
    names = sorted({one.service for one in report.instances})
    if len(names) < 2:
        return ""
    told = []
    for name in names[:_ROWS]:
        theirs = [one.state is State.CONVERGED for one in report.instances if one.service == name]
        told.append(f"{_text(name) or 'unnamed'} {sum(theirs)} of {len(theirs)}")
    return " &middot; ".join(told)


def _stragglers(report: Report) -> str:
    cards = [_card(report, alike) for alike in by_cause(report.stragglers)[:_ROWS]]
    if report.uncounted:
        said = f"{report.uncounted} counted that said nothing: see whether they log, and where"
        cards.append(f'<div class="card"><p>{said}</p></div>')
    return "<h2>Not there yet</h2>\n" + "\n".join(cards) if cards else ""


def _card(report: Report, alike: list[InstanceState]) -> str:
    first = alike[0]
    number = f"<b>{len(alike)} instances</b>: " if len(alike) > 1 else ""
    named = [
        f'<li>{_name(one.name)} <span class="dim">{_text(one.service)}</span> on '
        f"{', '.join(map(str, one.versions)) or 'no version known'}; last sign {_ago(report, one.last_sign)}</li>"
        for one in alike[:_ROWS]
    ]
    shown = "<ul>" + "".join(named[:_OPEN]) + "</ul>"
    if len(alike) > _OPEN:
        shown += _folded(f"{len(alike) - _OPEN} more", "<ul>" + "".join(named[_OPEN:]) + _beyond(alike) + "</ul>")
    return (
        f'<div class="card"><p>{number}{_text(first.cause)}</p><p class="dim">Next: {_text(first.advice)}</p>'
        f"{shown}</div>"
    )


def _waterfall(report: Report) -> str:
    moved = [one for one in report.instances if any(_bars(report, step) for step in one.steps)]
    if not moved or report.added_at is None:
        return ""
    ends = [step.called_back or step.swapped for one in moved for step in one.steps if _bars(report, step)]
    span = max(SECOND // 1000, max(ends) - report.added_at)
    rows = [_row(report, one, span) for one in moved[:_ROWS]]
    shown = "\n".join(rows[:_SLOWEST])
    rest = moved[_SLOWEST:]
    if rest:
        took = max((one.propagation_ms for one in rest if one.propagation_ms is not None), default=None)
        within = "" if took is None else f", each within {spell(took * SECOND / 1000)}"
        shown += _folded(f"{len(rest)} more{within}", "\n".join(rows[_SLOWEST:]) + _beyond(moved))
    began = report.converged - sum(one.state is State.CONVERGED for one in moved)
    if began:
        shown += f'<p class="dim">{began} more began with it, or with a newer one</p>'
    marks = "".join(f"<span>{spell(span * part / 4)}</span>" for part in range(5))
    key = "".join(f'<span><i class="{kind}"></i>{what}</span>' for kind, what in _KEY)
    edge = '<span class="edge"></span>'
    scale = f'<div class="row scale-row dim">{edge}<div class="track scale">{marks}</div>{edge}</div>'
    return f'<h2>By instance, from the add</h2>\n<p class="key dim">{key}</p>\n{scale}\n{shown}'


def _folded(title: str, inner: str) -> str:
    return f"<details><summary>{title}</summary>\n{inner}</details>"


def _beyond(rows: Sequence[InstanceState]) -> str:
    return f'<p class="dim">and {len(rows) - _ROWS} more</p>' if len(rows) > _ROWS else ""


_KEY: Final = [
    ("wait", "on its way"),
    ("swap", "arrived"),
    ("fetch", "fetching"),
    ("call", "callbacks"),
]


def _row(report: Report, one: InstanceState, span: int) -> str:
    slowest = max(
        (step for step in one.steps if _bars(report, step)), key=lambda step: step.called_back or step.swapped
    )
    bars = "".join(
        f'<i class="{kind}" style="left:{100 * begin / span:.2f}%;width:{100 * (end - begin) / span:.2f}%"></i>'
        for kind, begin, end in _bars(report, slowest)
    )
    took = "" if one.propagation_ms is None else spell(one.propagation_ms * SECOND / 1000)
    path = _text(slowest.path)
    dim = "" if one.state is State.CONVERGED else " dim"
    name = f'<span class="name" title="{_text(one.name)}">{html.escape(short(one.name))}</span>'
    return (
        f'<div class="row{dim}"><span>{name} <span class="dim">{path}</span></span>'
        f'<div class="track">{bars}</div><span class="took">{took}</span></div>'
    )


def _bars(report: Report, step: Step) -> list[tuple[str, int, int]]:
    """The parts of a worker's move, in nanoseconds from the add; nothing where it began with the version."""
    if report.added_at is None or step.path in {"start", "read"}:
        return []
    # Clocks differ: what would lie before the add begins with it.
    arrived, fetched, swapped, called = (
        None if at is None else max(0, at - report.added_at)
        for at in (step.arrived, step.fetched, step.swapped, step.called_back)
    )
    end = swapped or 0
    fetched = end if fetched is None else min(fetched, end)
    arrived = fetched if arrived is None else min(arrived, end)
    bars = [("wait", 0, arrived), ("swap", arrived, max(arrived, fetched)), ("fetch", max(arrived, fetched), end)]
    return [*bars, ("call", end, called)] if called is not None and called > end else bars


def _rest(report: Report) -> str:
    parts = []
    if report.accesses:
        listed = "".join(
            f"<li>version {access.version} by {_name(access.by or 'somebody unnamed')}, {several(access.times)}, last "
            f"{_ago(report, access.last)}</li>"
            for access in report.accesses[:_ROWS]
        )
        parts.append(f"<h2>Older versions accessed since</h2><ul>{listed}</ul>")
    if report.acts:
        done = "".join(
            f"<li>{iso(act.at)} {_text(act.method)} {act.version or ''} by {_name(act.by or 'somebody unnamed')}</li>"
            for act in report.acts[-_ROWS:]
        )
        parts.append(f"<h2>What was done to the secret</h2><ul>{done}</ul>")
    read = report.entries
    parts.append(
        f'<p class="dim">From {read.get("read", 0)} log entries: {read.get("receivers", 0)} of receivers, '
        f"{read.get('audit', 0)} of the audit log, {read.get('unreadable', 0)} unreadable. Made by keyturn trace.</p>"
    )
    return "\n".join(parts)


def _ago(report: Report, moment: int) -> str:
    span = max(0, report.question.now - moment)
    return "just now" if span < MINUTE // 60 else f"{spell(span)} before the question"


def _text(text: str) -> str:
    return html.escape(clean(text))


def _name(text: str) -> str:
    return f'<span class="name">{_text(text)}</span>'
