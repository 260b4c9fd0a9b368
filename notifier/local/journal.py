"""Where the local cloud writes what must outlive its process: a durable map of records, by kind and key.

A server changes its memory and writes the change in one breath, under the lock that guards the memory, so that changes
come in their order; before it answers a call it asks for them to be durable. After a restart it reads all records back.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Change(NamedTuple):
    """A record: what there is under a key of a kind; None where there is nothing any more."""

    kind: str
    key: str
    value: bytes | None


class Journal(Protocol):
    """The port. An adapter must be thread-safe."""

    def write(self, *changes: Change) -> None:
        """Take changes in, after all that were written before.

        It is called under locks: it must not wait for a disk. What nobody flushes must become durable by itself
        within a second.
        """

    def flush(self) -> None:
        """Return once all that was written before this call is durable; called under no lock.

        Raises:
            OSError: it cannot be made durable; the call that waits for it is refused.
        """

    def records(self, *kinds: str) -> Iterable[Change]:
        """All records of these kinds, in any order; called before anything is written by whoever keeps them."""


class Forgetful:
    """The journal of a cloud that keeps nothing."""

    def write(self, *changes: Change) -> None:
        """Forget the changes."""

    def flush(self) -> None:
        """There is nothing to wait for."""

    def records(self, *_kinds: str) -> Iterable[Change]:
        """There is nothing."""
        return ()
