"""What is wrong with a manifest, and where."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigurationError


#: So many problems are listed in an error's text; a file with more of them is another kind of file.
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong.

    Args:
        line: from 1.
        column: from 1.
        text: what is wrong, and what to do; never a value that might be a secret.
    """

    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.text}"


class ManifestError(ConfigurationError):
    """A manifest that cannot be used; the message lists every problem with its line and column.

    Args:
        source: the file's name.
        problems: what is wrong with it.
    """

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = sorted(problems)
        lines = [f"{source}:{problem}" for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"{source}: and {len(self.problems) - _SHOWN} more")
        super().__init__("\n".join(lines))
