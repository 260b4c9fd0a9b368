"""A report that is drawn anew as it changes: over itself on a terminal, a line for each change elsewhere."""

import shutil
import unicodedata
from typing import TextIO

from .answer import Report
from .words import headline, lines


class Shower:
    """Show reports.

    Args:
        out: where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._drawn = 0
        self._said = ""

    def __call__(self, report: Report) -> None:
        """Show one."""
        if self._out.isatty():
            self._draw(report)
            return
        said = f"{report.verdict.value}: {headline(report)}"
        if said != self._said:
            self._said = said
            self._out.write(f"{said}\n")
            self._out.flush()

    def clear(self) -> None:
        """Take away what was drawn, so that the last report can stand in its place."""
        if self._drawn:
            self._out.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0

    def _draw(self, report: Report) -> None:
        # What is longer than the terminal would wrap, and the next drawing would begin in the wrong line.
        width, height = shutil.get_terminal_size()
        shown = [_cut(line, width - 1) for line in lines(report, brief=True)]
        if len(shown) >= height:
            shown = [*shown[: height - 2], "..."]
        self.clear()
        self._out.write("".join(f"{line}\n" for line in shown))
        self._out.flush()
        self._drawn = len(shown)


def _cut(line: str, columns: int) -> str:
    """As much of a line as fits: characters of East Asian scripts take two columns."""
    used = 0
    for place, character in enumerate(line):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > columns:
            return line[:place]
    return line
