"""The filter language of subscriptions: what an expression means, as functions of a message's attributes.

All of it as [documented] on Google's page about message filters, but where another source is named.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass


Filter = Callable[[Mapping[str, str]], bool]

# Bytes [documented].
LONGEST = 256

_TOKEN = re.compile(r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>!=|[=:.,()]|-(?![\w-]*\s*[=,)]))|(?P<word>[\w-]+))')
# A key without quotes: letters, digits, hyphens and underscores.
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|[xX]([0-9A-Fa-f]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_CONTROL = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_DEEPEST = 64


class NotAFilter(ValueError):
    """The text is not an expression of the filter language."""


def parse(text: str) -> Filter:
    """Read an expression; an empty one lets everything through.

    Raises:
        NotAFilter: it is too long, or not of the language.
    """
    if len(text.encode()) > LONGEST:
        raise NotAFilter(f"A filter has at most {LONGEST} bytes.")
    if not text.strip():
        return lambda _: True
    reader = _Reader(_tokens(text))
    found = reader.expression(0)
    if reader.kind != "end":
        raise NotAFilter(f"`{reader.value}` is not expected there.")
    return found


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    value: str


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotAFilter(f"`{text[at:]}` is not of the filter language.")
        kind = str(match.lastgroup)
        found.append(_Token(kind, match[kind]))
        at = match.end()
    return [*found, _Token("end", "the end")]


class _Reader:
    """Reads an expression token by token, from the loosest binding to the tightest."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def kind(self) -> str:
        return self._tokens[self._at].kind

    @property
    def value(self) -> str:
        return self._tokens[self._at].value

    def expression(self, depth: int) -> Filter:
        """One term, or several joined by AND, or by OR; both together need parentheses."""
        if depth > _DEEPEST:
            raise NotAFilter("The filter is nested too deeply.")
        terms = [self._term(depth)]
        joined = self.value if self._is("word", "AND") or self._is("word", "OR") else ""
        while joined and self._is("word", joined):
            self._at += 1
            terms.append(self._term(depth))
        if self._is("word", "AND") or self._is("word", "OR"):
            raise NotAFilter("AND and OR together need parentheses.")
        if joined == "OR":
            return lambda attributes: any(term(attributes) for term in terms)
        return lambda attributes: all(term(attributes) for term in terms)

    def _term(self, depth: int) -> Filter:
        if self._is("word", "NOT") or self._is("mark", "-"):
            self._at += 1
            negated = self._term(depth + 1)
            return lambda attributes: not negated(attributes)
        if self._is("mark", "("):
            self._at += 1
            inner = self.expression(depth + 1)
            self._take("mark", ")")
            return inner
        return self._comparison()

    def _comparison(self) -> Filter:
        if self._is("word", "hasPrefix"):
            return self._prefix()
        self._take("word", "attributes")
        if self._is("mark", ":"):
            self._at += 1
            present = self._key()
            return lambda attributes: present in attributes
        self._take("mark", ".")
        key = self._key()
        operator = self._take("mark")
        if operator not in {"=", "!="}:
            raise NotAFilter(f"`{operator}` is not an operator of keys and values.")
        value = _unquoted(self._take("text"))
        if operator == "=":
            return lambda attributes: attributes.get(key) == value
        # A message without the attribute matches.
        return lambda attributes: attributes.get(key) != value

    def _prefix(self) -> Filter:
        for kind, value in (("word", "hasPrefix"), ("mark", "("), ("word", "attributes"), ("mark", ".")):
            self._take(kind, value)
        key = self._key()
        self._take("mark", ",")
        prefix = _unquoted(self._take("text"))
        self._take("mark", ")")
        return lambda attributes: key in attributes and attributes[key].startswith(prefix)

    def _key(self) -> str:
        if self.kind == "text":
            return _unquoted(self._take("text"))
        key = self._take("word")
        if _KEY.fullmatch(key) is None:
            raise NotAFilter(f"The key `{key}` needs quotation marks.")
        return key

    def _is(self, kind: str, value: str) -> bool:
        return (self.kind, self.value) == (kind, value)

    def _take(self, kind: str, value: str | None = None) -> str:
        taken = self.value
        if self.kind != kind or value not in {None, taken}:
            raise NotAFilter(f"`{taken}` is not expected there.")
        self._at += 1
        return taken


def _unquoted(literal: str) -> str:
    def plain(escape: re.Match[str]) -> str:
        short, long, byte, octal, other = escape.groups()
        if other is not None:
            return _CONTROL.get(other, other)
        number = int(octal, 8) if octal else int(short or long or byte, 16)
        try:
            return chr(number)
        except (ValueError, OverflowError):
            raise NotAFilter(f"`{escape[0]}` is not a character.") from None

    return _ESCAPE.sub(plain, literal[1:-1])
