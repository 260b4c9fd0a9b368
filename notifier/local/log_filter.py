"""The Logging query language, its common part: `severity>=ERROR AND jsonPayload.secret:"db" NOT trace=""`.

Comparisons (`=`, `!=`, `<`, `<=`, `>`, `>=`, and `:` for "has"), AND, OR, NOT or `-`, parentheses, several values of
one field, words and texts alone that are looked for everywhere, `log_id("...")`, comments, and that OR binds tighter
than AND and stands of two terms side by side: all [documented]. Regular expressions and other functions are refused by
name: they are not served here.
"""

import re
from collections.abc import Callable
from urllib.parse import quote

from .log_fields import Fields, NotAField, Path, compares, has


Test = Callable[[Fields], bool]

# Characters [documented].
LONGEST = 20_000

# Deeper than any filter that somebody writes, and far from the interpreter's own bound.
_DEEPEST = 64

_TOKEN = re.compile(
    r"(?P<gap>\s+|--[^\n]*)"
    r"|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<mark><=|>=|!=|=~|!~|[():=<>,])"
    # Moments have colons in them.
    r"|(?P<word>\d{4}-\d\d-\d\d[Tt][0-9:.]+(?:[Zz]|[+-]\d\d:\d\d)?"
    r"|[^\s()<>=!:,\"'.]+(?:\.(?:\"(?:[^\"\\]|\\.)*\"|[^\s()<>=!:,\"'.]+))*)",
    re.DOTALL,
)
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", ":"})
_OPERATORS = frozenset({"AND", "OR", "NOT"})


class NotAFilter(ValueError):
    """The text is not a filter that is served here; the message says where it ceases to be one."""


def parse(text: str) -> Test:
    """The test that a filter is; an empty one lets all through.

    Raises:
        NotAFilter: it is too long, or not of the language.
    """
    if len(text) > LONGEST:
        raise NotAFilter(f"a filter has at most {LONGEST} characters")
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    reader = _Reader(tokens)
    test = reader.all_of(reader.term)
    reader.finish()
    return test


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotAFilter(f"`{text[at : at + 20]}` cannot be read")
        if found.lastgroup != "gap":
            tokens.append((str(found.lastgroup), found[0]))
        at = found.end()
    return tokens


class _Reader:
    """Recursive descent, from the loosest binding to the tightest: all_of > any_of > one > a leaf."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._tokens)

    @property
    def kind(self) -> str:
        return "end" if self.ended else self._tokens[self._at][0]

    @property
    def value(self) -> str:
        return "the end" if self.ended else self._tokens[self._at][1]

    def finish(self) -> None:
        """See to it that nothing is left."""
        if not self.ended:
            raise NotAFilter(f"`{self.value}` is not expected there")

    def all_of(self, leaf: Callable[[], Test]) -> Test:
        """Terms that are all to hold."""
        tests = [self._any_of(leaf)]
        while self._take("AND") or not (self.ended or self.value in {")", "OR"}):
            tests.append(self._any_of(leaf))
        return tests[0] if len(tests) == 1 else lambda fields: all(test(fields) for test in tests)

    def _any_of(self, leaf: Callable[[], Test]) -> Test:
        tests = [self._one(leaf)]
        while self._take("OR"):
            tests.append(self._one(leaf))
        return tests[0] if len(tests) == 1 else lambda fields: any(test(fields) for test in tests)

    def _one(self, leaf: Callable[[], Test]) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotAFilter(f"it nests deeper than {_DEEPEST}")
        try:
            if self._take("NOT") or self._take_minus():
                inner = self._one(leaf)
                return lambda fields: not inner(fields)
            if self._take("("):
                inside = self.all_of(leaf)
                self._expect(")")
                return inside
            return leaf()
        finally:
            self._depth -= 1

    def term(self) -> Test:
        """A comparison, a function, or a text that is looked for everywhere."""
        kind, said = self.kind, self.value
        self._operand()
        mark = self.value if self.kind == "mark" else ""
        if kind == "text" or not mark or mark == ")":
            if mark not in {"", ")"}:
                raise NotAFilter(f"{said} is no field: names of fields are not in quotes")
            wanted = _unquoted(said)
            return lambda fields: has(fields, wanted)
        if mark == "(":
            return self._function(said)
        if mark not in _COMPARISONS:
            raise NotAFilter(f"`{mark}`: regular expressions are not served by the local Logging")
        self._at += 1
        path = self._path(said)
        if self._take("("):
            test = self.all_of(lambda: self._value(path, mark))
            self._expect(")")
            return test
        return self._value(path, mark)

    def _value(self, path: Path, mark: str) -> Test:
        kind, said = self.kind, self.value
        self._operand()
        asked = _unquoted(said)
        if mark == ":" and kind == "word" and said == "*":
            return path.present
        if mark == ":":
            return lambda fields: any(has(held, asked) for held in path.held(fields))
        return lambda fields: any(compares(mark, held, asked, severity=path.severity) for held in path.held(fields))

    def _function(self, name: str) -> Test:
        if name != "log_id":
            raise NotAFilter(f"`{name}(`: of the functions the local Logging serves `log_id` only")
        self._expect("(")
        said = self.value
        self._operand()
        self._expect(")")
        ending = f"/logs/{quote(_unquoted(said), safe='')}"
        return lambda fields: str(fields.get("logName", "")).endswith(ending)

    def _path(self, said: str) -> Path:
        try:
            return Path(said)
        except NotAField as exc:
            raise NotAFilter(f"`{said}` is no field of a log entry") from exc

    def _operand(self) -> None:
        if self.kind not in {"text", "word"} or self.value in _OPERATORS:
            raise NotAFilter(f"`{self.value}` is not expected there")
        self._at += 1

    def _expect(self, said: str) -> None:
        if not self._take(said):
            raise NotAFilter(f"`{said}` is expected, and not `{self.value}`")

    def _take(self, said: str) -> bool:
        # A text in quotes has them still, so it is never taken for an operator.
        taken = self.value == said and not self.ended
        self._at += taken
        return taken

    def _take_minus(self) -> bool:
        """`-severity=ERROR`: the minus of a word that is no number."""
        if self.kind != "word" or not re.match(r"-[A-Za-z_]", self.value):
            return self._take("-")
        self._tokens[self._at] = ("word", self.value[1:])
        return True


def _unquoted(said: str) -> str:
    return re.sub(r"\\(.)", r"\1", said[1:-1], flags=re.DOTALL) if said[:1] in {'"', "'"} else said
