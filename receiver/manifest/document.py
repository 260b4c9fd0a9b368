"""A YAML document as nodes that know where they stand, in the part of YAML on which its readers agree.

PyYAML reads YAML 1.1 and Terraform's `yamldecode` mostly 1.2, so one file can mean two things: `on` is true to one and
a word to the other, `010` is eight or ten, `1:30` ninety or text. What is ambiguous is refused with advice to quote it,
and so are aliases, tags and merge keys, which a reader of a manifest should not have to resolve, directives, which
Terraform does not know, and text that Unicode can compose, which Terraform would.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

from .problems import Problem


#: Bytes, or characters: the manifest of a thousand secrets is a tenth of it.
LARGEST: Final = 1024 * 1024
#: Levels: the shape has five.
DEEPEST: Final = 16

#: Before the document begins, after blank lines and comments.
_DIRECTIVE: Final = re.compile(r"\ufeff?(?:[ \t]*(?:#.*)?[\r\n])*%")
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
#: What one reader or the other takes for something else than text: numbers in all their spellings, dates, times,
#: booleans, nulls, and the markers of merging and defaults.
_AMBIGUOUS: Final = re.compile(
    r"""[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?   # sexagesimal
    | [-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?   # integers and floats
    | [-+]?\.(inf|nan) | [-+]?0[xob][0-9a-f_]+
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s].*)?
    | y|n|yes|no|on|off|true|false|null|~|=|<<|""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Args:
        value: text, a whole number, a boolean, a list of nodes, or a mapping from text to (key's node, value's node).
        line: from 1.
        column: from 1.
    """

    value: Any
    line: int
    column: int

    def problem(self, text: str) -> Problem:
        """A problem with this value."""
        return Problem(self.line, self.column, text)


class Unreadable(Exception):
    """It is not a document of this kind; holds every problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


def read(text: str) -> Node:
    """Read one document.

    Raises:
        Unreadable: it is not YAML, or uses what this reader refuses.
    """
    import yaml

    if len(text) > LARGEST:
        raise Unreadable(Problem(1, 1, f"a manifest has at most {LARGEST} characters"))
    if (directive := _DIRECTIVE.match(text)) is not None:
        raise Unreadable(Problem(*place(text, directive.end() - 1), "directives (%NAME) are not used in a manifest"))
    failure: Problem
    try:
        loader = yaml.SafeLoader(text)
        try:
            composed = loader.get_single_node()
        finally:
            loader.dispose()
        if composed is None:
            raise Unreadable(Problem(1, 1, "the manifest is empty"))
        converter = _Converter(yaml.resolver.Resolver())
        found = converter.convert(composed, 0)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        failure = Problem(line, column, f"not YAML: {_shortly(exc.problem or exc.context)}")
    except yaml.YAMLError as exc:
        line, column = place(text, getattr(exc, "position", 0))
        failure = Problem(line, column, "not YAML: a character that it does not allow")
    except RecursionError:
        failure = Problem(1, 1, "nested too deeply")
    else:
        if not converter.problems:
            return found
        raise Unreadable(*converter.problems)
    raise Unreadable(failure)


class _Converter:
    def __init__(self, resolver: Any) -> None:
        self.problems: list[Problem] = []
        self._resolver = resolver
        self._seen: set[int] = set()

    def convert(self, node: Any, depth: int) -> Node:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        made = Node(None, line, column)
        if id(node) in self._seen:
            self.problems.append(made.problem("aliases (*name) are not used in a manifest; write it out"))
            return made
        self._seen.add(id(node))
        if depth > DEEPEST:
            self.problems.append(made.problem("nested too deeply"))
            return made
        kind = type(node).__name__
        if kind == "ScalarNode":
            return Node(self._scalar(node, made), line, column)
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.rpartition(":")[2] not in {"map", "seq"}:
            self.problems.append(made.problem("tags (!name) are not used in a manifest"))
        if kind == "SequenceNode":
            return Node([self.convert(item, depth + 1) for item in node.value], line, column)
        return Node(self._mapping(node, depth), line, column)

    def _mapping(self, node: Any, depth: int) -> dict[str, tuple[Node, Node]]:
        found: dict[str, tuple[Node, Node]] = {}
        for key_node, value_node in node.value:
            key = Node(None, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            value = self.convert(value_node, depth + 1)
            if type(key_node).__name__ != "ScalarNode" or key_node.tag.rpartition(":")[2] == "merge":
                self.problems.append(key.problem("a key must be text"))
                continue
            # Keys are names: what they look like does not matter, since both readers keep them as text.
            if key_node.style is None and key_node.tag.rpartition(":")[2] != "str":
                self.problems.append(key.problem("quote this key: readers of YAML disagree on what it means"))
            elif key_node.value in found:
                self.problems.append(key.problem("this key stands here twice"))
            found.setdefault(key_node.value, (Node(key_node.value, key.line, key.column), value))
        return found

    def _scalar(self, node: Any, made: Node) -> Any:
        plain = node.style is None
        if node.tag != self._resolver.resolve(type(node), node.value, (plain, not plain)):
            self.problems.append(made.problem("tags (!name) are not used in a manifest"))
            return ""
        if not unicodedata.is_normalized("NFC", node.value):
            self.problems.append(
                made.problem("Unicode can compose this text, and Terraform would: write it composed (NFC)")
            )
            return ""
        if not plain:
            return node.value
        if node.value in {"true", "false"}:
            return node.value == "true"
        if _INTEGER.fullmatch(node.value):
            return int(node.value)
        if _AMBIGUOUS.fullmatch(node.value):
            what = "nothing stands here" if not node.value else "readers of YAML disagree on what this means"
            self.problems.append(made.problem(f"{what}; put it in quotes, or remove the key"))
        return node.value


def _shortly(said: str | None) -> str:
    # PyYAML's own words for what it expected; what it quotes of the text ("found ... 'text'") is left out.
    if said is not None and "'\\t'" in said:
        return "a tab; YAML is indented by spaces"
    if said == "but found another document":
        return "a second document begins here; a manifest is one"
    words = (said or "cannot be read").split(", but ")[0]
    return words.split("'")[0].strip() if words.startswith(("found", "could")) else words


def place(text: str, position: int) -> tuple[int, int]:
    """Line and column of a position, both from 1."""
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")
