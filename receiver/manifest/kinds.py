"""The kinds of which the shape of a manifest is made, and each as a JSON Schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal


Base = Literal["text", "number", "boolean", "list", "map", "record", "settings"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value is.

    Args:
        meaning: one sentence.
        base: text, number, boolean, list, map (any names), record (fixed names), or settings (a free mapping).
        pattern: of text, as a whole.
        example: of text that is right, for the error.
        choices: of text, where only these are allowed.
        least: of numbers; of lists, how many there are.
        items: of a list or map.
        keys: the pattern of a map's keys.
        fields: of a record.
        required: which of them must stand.
        prose: text for people, which is searched for secrets.
        also: another kind that is allowed in its place, of another base.
    """

    meaning: str
    base: Base = "text"
    pattern: str = ""
    example: str = ""
    choices: tuple[str, ...] = ()
    least: int = 1
    items: "Kind | None" = None
    keys: str = ""
    fields: Mapping[str, "Kind"] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    prose: bool = False
    also: "Kind | None" = None

    def schema(self) -> dict[str, Any]:
        """This kind as a JSON Schema."""
        if self.also is not None:
            either = [replace(self, also=None).schema(), self.also.schema()]
            return {"description": self.meaning, "anyOf": either}
        return {"description": self.meaning, **self._described()}

    def _described(self) -> dict[str, Any]:
        match self.base:
            case "record":
                return {
                    "type": "object",
                    "additionalProperties": False,
                    "required": list(self.required),
                    "properties": {name: part.schema() for name, part in self.fields.items()},
                }
            case "map":
                return {
                    "type": "object",
                    "additionalProperties": False,
                    "patternProperties": {_whole(self.keys): self._items()},
                }
            case "list":
                return {"type": "array", "minItems": self.least, "uniqueItems": True, "items": self._items()}
            case "settings":
                return {"type": "object"}
            case "boolean":
                return {"type": "boolean"}
            case "number":
                return {"type": "integer", "minimum": self.least}
            case _:
                described: dict[str, Any] = {"type": "string"}
                if self.choices:
                    described["enum"] = list(self.choices)
                if self.pattern:
                    described["pattern"] = _whole(self.pattern)
                return described

    def _items(self) -> dict[str, Any]:
        assert self.items is not None  # noqa: S101  # every list and map of the shape says what it holds
        return self.items.schema()


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"
