"""Two ways to watch: lines as they come, and a live picture on a terminal."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TextIO

from .figures import Figures
from .scene import Scene
from .stage import ROTATED


if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


_FRAMES: Final = 12  # in a second

#: How many workers are listed one by one.
_LISTED: Final = 8


@contextlib.contextmanager
def lines(out: TextIO) -> Iterator[Scene]:
    """Write a line for each thing that happens, with the seconds since the start."""
    began = time.monotonic()

    def say(line: str) -> None:
        out.write(f"{time.monotonic() - began:6.2f} s  {line}\n")
        out.flush()

    yield Scene(say)


@contextlib.contextmanager
def picture() -> Iterator[Scene]:
    """Draw the state of the show on the terminal, and leave its last state standing."""
    from rich.console import Console
    from rich.live import Live

    scene = Scene(lambda _: None)
    with Live(
        get_renderable=lambda: _drawn(scene), console=Console(), refresh_per_second=_FRAMES, redirect_stderr=False
    ):
        yield scene


def summary(figures: Figures) -> Iterator[str]:
    """The figures as lines for people."""
    shown = figures.as_json()
    took = shown["propagation_ms"]
    yield f"{figures.converged} of {figures.workers} workers followed: p50 {took['p50']} ms, max {took['max']} ms"
    yield f"{figures.fetches} fetches of the new version, {figures.other_fetches} of any other secret"
    yield (
        f"{figures.requests} requests: {figures.failed} failed, {figures.mixed} mixed two versions, "
        f"{figures.stale} stale after the acknowledgement"
    )
    for what in figures.shortcomings():
        yield f"NOT AS PROMISED: {what}"
    if not figures.shortcomings():
        yield "All of it held."


def _drawn(scene: Scene) -> "RenderableType":
    from rich import box
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table

    side = Table.grid(padding=(0, 2))
    side.add_row(_entries(scene), _workers(scene))
    requests, failed = scene.requests
    state = f"{requests} requests, [{'red' if failed else 'green'}]{failed} failed[/]"
    return Panel(Group(side, "", _acts(scene)), title="keyturn demo", subtitle=state, box=box.ROUNDED, expand=True)


def _entries(scene: Scene) -> "RenderableType":
    table = _table("secret", "version", "fetches")
    for name, version in scene.versions.items():
        table.add_row(_emphasised(name), str(version), str(scene.accesses.get(name, 0)))
    return table


def _workers(scene: Scene) -> "RenderableType":
    table = _table("worker", "version", "followed after")
    for pid, row in list(scene.workers.items())[:_LISTED]:
        took = f"{row.milliseconds:.1f} ms" if row.milliseconds is not None else ""
        table.add_row(str(pid), str(row.version), f"[green]{took}[/]")
    if len(scene.workers) > _LISTED:
        table.add_row(f"and {len(scene.workers) - _LISTED} more", "", "")
    return table


def _acts(scene: Scene) -> "RenderableType":
    from rich.table import Table

    table = Table.grid(padding=(0, 1))
    for act in scene.acts:
        sign = {None: "[yellow]…[/]", True: "[green]✓[/]", False: "[red]✗[/]"}[act.held]
        table.add_row(sign, f"[bold]{act.title}[/]")
        if act.outcome:
            table.add_row("", f"[{'default' if act.held else 'red'}]{act.outcome}[/]")
    return table


def _emphasised(name: str) -> str:
    return f"[bold cyan]{name}[/]" if name == ROTATED else name


def _table(*columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    return table
