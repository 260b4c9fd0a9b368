"""Two ways to watch: lines as they come, and a live picture on a terminal."""

import contextlib
import os
import sys
import termios
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TextIO

from .figures import Figures
from .scene import Scene
from .stage import NAMES, ROTATED, STATIC


if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


_FRAMES: Final = 12  # in a second

#: How many lines the workers have: as many as the secrets beside them, so that all of it fits into 80x24.
_LISTED: Final = len(NAMES)


def can_draw(out: TextIO) -> bool:
    """Whether a picture can be drawn there: on a terminal that can move its cursor and knows the characters."""
    utf = (out.encoding or "").lower().replace("-", "").startswith("utf")
    return out.isatty() and utf and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}


@contextlib.contextmanager
def lines(out: TextIO) -> Iterator[Scene]:
    """Write a line for each thing that happens, with the seconds since the start."""
    began = time.monotonic()

    def say(line: str) -> None:
        out.write(f"{time.monotonic() - began:6.2f} s  {line}\n")
        out.flush()

    yield Scene(say)


@contextlib.contextmanager
def picture(out: TextIO) -> Iterator[Scene]:
    """Draw the state of the show on the terminal, and leave its last state standing."""
    from rich.console import Console
    from rich.live import Live

    scene = Scene(lambda _: None)
    with (
        _without_echoed_signals(),
        Live(
            get_renderable=lambda: _drawn(scene),
            console=Console(file=out, highlight=False),
            refresh_per_second=_FRAMES,
            redirect_stderr=False,
        ),
    ):
        yield scene


@contextlib.contextmanager
def _without_echoed_signals() -> Iterator[None]:
    # The terminal would write `^C` into the picture and shift it.
    echoed = _echo_signals(on=False)
    try:
        yield
    finally:
        if echoed:
            _echo_signals(on=True)


def _echo_signals(*, on: bool) -> bool:
    """Say whether the terminal shows the keys that send signals, and return whether it did."""
    with contextlib.suppress(OSError, ValueError, AttributeError, termios.error):
        keyboard = sys.stdin.fileno()
        if os.tcgetpgrp(keyboard) != os.getpgrp():
            return False  # in the background: whoever touches the terminal is stopped
        modes = termios.tcgetattr(keyboard)
        echoed = bool(modes[3] & termios.ECHOCTL)
        modes[3] = modes[3] | termios.ECHOCTL if on else modes[3] & ~termios.ECHOCTL
        termios.tcsetattr(keyboard, termios.TCSADRAIN, modes)
        return echoed
    return False


def summary(figures: Figures) -> Iterator[str]:
    """The figures as lines for people."""
    shown = figures.as_json()
    took = shown["propagation_ms"]
    times = f": p50 {took['p50']} ms, max {took['max']} ms" if figures.milliseconds else ""
    of = f" of {figures.instances} instances" if figures.instances > 1 else ""
    yield f"{figures.converged} of {figures.expected} workers{of} turned{times}"
    yield f"{figures.fetches} fetches of the new version, {figures.other_fetches} of any other secret"
    yield (
        f"{figures.requests} requests: {figures.failed} failed, {figures.mixed} mixed two versions, "
        f"{figures.stale} stale after the acknowledgement"
    )
    for what in figures.shortcomings():
        yield f"NOT AS PROMISED: {what}"
    if not figures.shortcomings() and figures.trace is not None:
        # In one line, so that all fits into a terminal of 24.
        told = figures.trace
        yield f"All of it held. By the log: {told.converged} of {told.total} instances {told.verdict.value}."


def _drawn(scene: Scene) -> "RenderableType":
    from rich import box
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table

    side = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    side.add_row(_entries(scene), _workers(scene))
    traffic = scene.traffic
    bad = "red" if traffic.failed or traffic.mixed else "green"
    state = (
        f"{traffic.requests} requests, {traffic.rate:.0f}/s, [{bad}]{traffic.failed} failed, {traffic.mixed} mixed[/]"
    )
    return Panel(Group(side, _acts(scene)), title="keyturn demo", subtitle=state, box=box.ROUNDED, expand=True)


def _entries(scene: Scene) -> "RenderableType":
    table = _table("secret", "served", "newest", "fetches")
    for name in NAMES:
        label = {ROTATED: f"[bold cyan]{name}[/]", STATIC: f"[dim]{name}[/]"}.get(name, name)
        served = "-".join(str(version) for version in sorted(set(scene.versions.get(name, ()))))
        newest, fetches = scene.newest.get(name, ""), scene.accesses.get(name, "")
        table.add_row(label, served, str(newest), f"[bold]{fetches}[/]" if fetches else str(fetches))
    return table


def _workers(scene: Scene) -> "RenderableType":
    table = _table("worker", "version", "took, ms")
    rows = list(scene.workers.items())
    listed = rows if len(rows) <= _LISTED else rows[: _LISTED - 1]
    for pid, row in listed:
        table.add_row(f"{row.where}{pid}", str(row.version), _took(row.milliseconds))
    if rest := [row for _, row in rows[len(listed) :]]:
        turned = [row.milliseconds for row in rest if row.milliseconds is not None]
        versions = "-".join(str(version) for version in sorted({row.version for row in rest}))
        table.add_row(f"+{len(rest)} more", versions, _took(max(turned)) if len(turned) == len(rest) else "")
    return table


def _took(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"[green]{milliseconds:.1f}[/]"


def _acts(scene: Scene) -> "RenderableType":
    from rich.table import Table

    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    for act in list(scene.acts):
        sign = {None: "[yellow]…[/]", True: "[green]✓[/]", False: "[red]✗[/]"}[act.held]
        table.add_row(sign, f"[bold]{act.title}[/]")
        if act.outcome:
            table.add_row("", f"[{'default' if act.held else 'red'}]{act.outcome}[/]")
    return table


def _table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim underline")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    return table
