"""What a worker serves, without reading it."""

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from .machines import Worker

#: The number of a life, and of a version in it: every payload says both.
Served = tuple[int, int]


def held_by(worker: "Worker", label: str) -> Any:
    try:
        return object.__getattribute__(worker.heap.handles[label], "held")
    except (AttributeError, KeyError):
        return None


def served(worker: "Worker", label: str) -> Served | None:
    """What a worker would give a read."""
    held = held_by(worker, label)
    return parsed(held.value) if held is not None else None


def is_cold(worker: "Worker", label: str) -> bool:
    """Whether it looks at its first read."""
    return served(worker, label) is None and type(worker.heap.handles[label]).__name__ == "ColdSecret"


def parsed(value: str) -> Served:
    life, _, number = value.partition(".")
    return int(life), int(number)


def said(now: Served | None) -> str:
    return "nothing" if now is None else f"version {now[1]} of life {now[0]}"
