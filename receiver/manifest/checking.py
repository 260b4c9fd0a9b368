"""Comparing a document with the shape: all problems at once, each with its place."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from .document import Node
from .kinds import Kind
from .leaks import looks_like_a_value
from .problems import Problem


#: Keys by which people put values into such files.
_VALUES: Final = frozenset({"value", "data", "payload", "secret", "secret_data", "password", "token", "key"})

_LONGEST: Final = 1000
_BASES: Final[Mapping[str, tuple[type, str]]] = {
    "text": (str, "text"),
    "number": (int, "a whole number"),
    "boolean": (bool, "true or false"),
    "list": (list, "a list"),
    "map": (dict, "a mapping"),
    "record": (dict, "a mapping"),
    "settings": (dict, "a mapping"),
}
_SETTING: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
#: A JSON pointer, or a place that a rotator fills.
_WHERE: Final = re.compile(r"/.*|[^{}]*\{[a-z.]+\}[^{}]*")


_PROSE: Final = Kind("text of any form", prose=True)


class Checker:
    """Turn nodes into plain values, and collect what is wrong with them.

    Attributes:
        problems: what was found so far.
        places: where each value stands, by its path of keys.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[tuple[str, ...], Node] = {}

    def check(self, node: Node, kind: Kind, path: tuple[str, ...] = ()) -> Any:
        """Return the plain value of a node; None where it is not of its kind."""
        self.places[path] = node
        if kind.also is not None and isinstance(node.value, _BASES[kind.also.base][0]):
            kind = kind.also
        wanted, called = _BASES[kind.base]
        if not isinstance(node.value, wanted) or (isinstance(node.value, bool) and kind.base != "boolean"):
            self._say(node, f"{_named(path)} must be {called}" + (", in quotes" if kind.base == "text" else ""))
            return None
        match kind.base:
            case "record":
                return self._record(node, kind, path)
            case "map":
                return self._map(node, kind, path)
            case "list":
                return self._list(node, kind, path)
            case "settings":
                return self._settings(node, path)
            case "text":
                return self._text(node, kind, path)
            case _:
                return self._plain(node, kind, path)

    def _plain(self, node: Node, kind: Kind, path: tuple[str, ...]) -> Any:
        if kind.base == "number" and node.value < kind.least:
            self._say(node, f"{_named(path)} must be {kind.least} at least")
        return node.value

    def say(self, text: str, *path: str) -> None:
        """Note a problem with what stands at a path of keys."""
        self._say(self.places[path], text)

    def _record(self, node: Node, kind: Kind, path: tuple[str, ...]) -> dict[str, Any]:
        made = {}
        for name, (key, value) in node.value.items():
            if name in kind.fields:
                made[name] = self.check(value, kind.fields[name], (*path, name))
            else:
                self._unknown(key, kind)
        for name in kind.required:
            if name not in node.value:
                self._say(node, f"{_named(path)} lacks {name}: {kind.fields[name].meaning}")
        return made

    def _settings(self, node: Node, path: tuple[str, ...]) -> Any:
        """A rotator's settings: any tree of names, texts, whole numbers and booleans, but no value of a secret."""
        if isinstance(node.value, dict):
            made = {}
            for name, (key, value) in node.value.items():
                if name.lower() in _VALUES and not _says_where(value):
                    self._say(key, "a manifest never holds a value; name the secret that holds it under `uses`")
                elif _SETTING.fullmatch(name) is None:
                    self._say(key, f"not a name that {_named(path)} can have")
                else:
                    made[name] = self._settings(value, (*path, name))
            return made
        self.places[path] = node
        if isinstance(node.value, list):
            return [self._settings(item, (*path, str(place))) for place, item in enumerate(node.value)]
        return self._text(node, _PROSE, path) if isinstance(node.value, str) else node.value

    def _unknown(self, key: Node, kind: Kind) -> None:
        if key.value.lower() in _VALUES:
            self._say(key, "a manifest never holds a value; add it with `gcloud secrets versions add`")
            return
        shown = key.value if len(key.value) < 40 and not looks_like_a_value(key.value) else "this"
        near = difflib.get_close_matches(key.value, kind.fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(kind.fields)}"
        self._say(key, f"unknown key {shown!r}; {hint}")

    def _map(self, node: Node, kind: Kind, path: tuple[str, ...]) -> dict[str, Any]:
        assert kind.items is not None  # noqa: S101  # every map of the shape says what it holds
        made = {}
        for name, (key, value) in node.value.items():
            if re.fullmatch(kind.keys, name) is None:
                self._say(key, f"not a name that {_named(path)} can have")
                continue
            made[name] = self.check(value, kind.items, (*path, name))
        return made

    def _list(self, node: Node, kind: Kind, path: tuple[str, ...]) -> list[Any]:
        assert kind.items is not None  # noqa: S101  # likewise
        if len(node.value) < kind.least:
            self._say(node, f"{_named(path)} must name one at least")
        made: list[Any] = []
        for place, item in enumerate(node.value):
            value = self.check(item, kind.items, (*path, str(place)))
            if value is not None and value in made:
                self._say(item, f"{_named(path)} names this twice")
            made.append(value)
        return made

    def _text(self, node: Node, kind: Kind, path: tuple[str, ...]) -> str | None:
        text: str = node.value
        if len(text) > _LONGEST:
            self._say(node, f"{_named(path)} is longer than {_LONGEST} characters")
        elif kind.choices and text not in kind.choices:
            near = difflib.get_close_matches(text, kind.choices, n=1)
            choices = " or ".join((*kind.choices, kind.example) if kind.example else kind.choices)
            self._say(node, f"{_named(path)} must be {choices}" + (f"; {near[0]}?" if near else ""))
        elif kind.pattern and re.fullmatch(kind.pattern, text) is None:
            self._say(node, f"{_named(path)} is not of the form of {kind.example}")
        elif kind.prose and looks_like_a_value(text):
            self._say(node, f"{_named(path)} looks like a secret's value, which never stands in a manifest")
        elif kind.prose and not text.strip():
            self._say(node, f"{_named(path)} is blank")
        else:
            return text
        return None

    def _say(self, node: Node, text: str) -> None:
        self.problems.append(node.problem(text))


def _says_where(node: Node) -> bool:
    """Whether a setting that is called as values are says where one is found or put, instead of being one."""
    return not isinstance(node.value, str) or _WHERE.fullmatch(node.value) is not None


def _named(path: tuple[str, ...]) -> str:
    return ".".join(path) if path else "the manifest"
