"""The filter language of lists: `name:db AND labels.env=prod AND NOT create_time<2021-01-01T06:00:00Z`.

Comparisons, AND, OR, NOT (or `-`), parentheses, `:` for "contains" and `:*` for "is there" are [documented], and that
regular expressions are not among them. That OR binds tighter than AND is [assumed] from AIP-160, which the API's
style follows; so is that text is compared without regard to case by `:` only.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from google.protobuf import json_format

from .secret_refusals import invalid


Test = Callable[[Any], bool]

# Deeper than any filter that somebody writes, and far from the interpreter's own bound.
_DEEPEST = 64

_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\"|'[^']*')|(?P<mark><=|>=|!=|[():=<>])|(?P<word>\d{4}-\d\d-\d\dT[^\s()]+|[^\s():=<>!\"']+))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda held, asked: bool(held == asked),
    "<": lambda held, asked: bool(held < asked),
    ">": lambda held, asked: bool(held > asked),
    "<=": lambda held, asked: bool(held <= asked),
    ">=": lambda held, asked: bool(held >= asked),
}


def parse(text: str) -> Test:
    """The test that a filter is; an empty one lets all through.

    Raises:
        Refusal: INVALID_ARGUMENT, it cannot be read.
    """
    if not text.strip():
        return lambda _: True
    parser = _Parser(_tokens(text), text)
    test = parser.all_of()
    parser.end()
    return lambda message: test(_fields(message))


def _fields(message: Any) -> Any:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _unread(text)
        kind = str(found.lastgroup)
        token = found[kind]
        tokens.append((kind, re.sub(r"\\(.)", r"\1", token[1:-1]) if kind == "text" else token))
        at = found.end()
    return tokens


def _unread(text: str) -> Exception:
    return invalid(f"The filter [{text}] is not valid.")


class _Parser:
    """Recursive descent: all_of > any_of > one > a term."""

    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0
        self._depth = 0

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise _unread(self._text)

    def all_of(self) -> Test:
        tests = [self._any_of()]
        # Two terms side by side are both to hold [assumed].
        while self._take("word", "AND") or (self._at < len(self._tokens) and self._peek() != ("mark", ")")):
            tests.append(self._any_of())
        return lambda fields: all(test(fields) for test in tests)

    def _any_of(self) -> Test:
        tests = [self._one()]
        while self._take("word", "OR"):
            tests.append(self._one())
        return lambda fields: any(test(fields) for test in tests)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _unread(self._text)
        try:
            return self._term()
        finally:
            self._depth -= 1

    def _term(self) -> Test:
        if self._take("word", "NOT"):
            return _negated(self._one())
        if self._take("mark", "("):
            inside = self.all_of()
            if not self._take("mark", ")"):
                raise _unread(self._text)
            return inside
        kind, token = self._next()
        if kind == "word" and token.startswith("-") and len(token) > 1:
            return _negated(self._comparison(token[1:]))
        if kind == "mark" or token in {"AND", "OR"}:
            raise _unread(self._text)
        return self._comparison(token)

    def _comparison(self, field: str) -> Test:
        kind, mark = self._peek()
        if kind != "mark" or mark in "()":
            # A word alone is looked for in the name [assumed].
            return lambda fields: field.lower() in str(fields.get("name", "")).lower()
        self._next()
        kind, asked = self._next()
        if kind == "mark":
            raise _unread(self._text)
        path = field.split(".")
        if mark == ":":
            return lambda fields: any(_has(held, asked) for held in _held(fields, path))
        if mark == "!=":
            return lambda fields: all(not _compares("=", held, asked) for held in _held(fields, path))
        return lambda fields: any(_compares(mark, held, asked) for held in _held(fields, path))

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _unread(self._text)
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, kind: str, token: str) -> bool:
        taken = self._peek() == (kind, token)
        self._at += taken
        return taken


def _negated(test: Test) -> Test:
    return lambda fields: not test(fields)


def _held(value: Any, path: list[str]) -> Iterable[Any]:
    """What is found under a path of fields, in snake or camel case; lists are looked through."""
    if isinstance(value, list):
        for one in value:
            yield from _held(one, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        for name in {path[0], re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), path[0])}:
            if name in value:
                yield from _held(value[name], path[1:])


def _has(held: Any, asked: str) -> bool:
    if asked == "*":
        return True
    if isinstance(held, dict):
        return asked in held
    return asked.lower() in str(held).lower()


def _compares(mark: str, held: Any, asked: str) -> bool:
    moment, wanted = _moment(str(held)), _moment(asked)
    if moment is not None and wanted is not None:
        return _COMPARE[mark](moment, wanted)
    # Numbers of 64 bits are written as text.
    if str(held).isdecimal() and asked.isdecimal():
        return _COMPARE[mark](int(held), int(asked))
    if isinstance(held, bool):
        held = str(held).lower()
    return _COMPARE[mark](str(held), asked)


def _moment(text: str) -> datetime | None:
    if not text[:4].isdecimal() or "-" not in text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
