"""The value before the newest, for a process that never served it: it started later, or two changes came at once.

Without it a worker that starts in the middle of an overlap would refuse what its siblings accept.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from .candidates import Candidates
from .entry import Access, Failed, Found
from .errors import ValueRejected
from .knowledge import Knowledge
from .names import SecretName
from .overlap import Overlap
from .upstream import Surroundings, ask


#: How many numbers below are asked for before it is taken that there is no usable version before the newest.
_STEPS: Final = 10


@dataclass(frozen=True, slots=True)
class Predecessor:
    """Find the value before the newest of one entry.

    Args:
        name: the secret.
        around: where its versions come from.
        candidates: makes a value of a payload.
        overlap: where it is kept.
    """

    name: SecretName
    around: Surroundings
    candidates: Candidates
    overlap: Overlap

    def fill(self, number: int, knowledge: Knowledge, *, deadline: float) -> None:
        """Load the next lower usable version of `number`, unless it is there or does not count any more.

        It is read by its number and not validated: it was in use. Where upstream fails it is done without, with an
        entry in the log.

        Args:
            number: the version that is about to be served.
            knowledge: what is known of the secret.
            deadline: monotonic time by which this returns.
        """
        if self.overlap.is_over(number, knowledge):
            return
        for lower in range(number - 1, max(0, number - 1 - _STEPS), -1):
            if lower in self.overlap.numbers():
                return
            word = knowledge.word(lower)
            if word is not None and word.unusable:
                continue
            heard = ask(self.around, self.name, Access(str(lower), knowledge.boundary.stamp), deadline=deadline)
            if isinstance(heard.happened, Failed):
                self._say(lower, heard.trouble)
                return
            if isinstance(heard.happened, Found) and heard.data is not None:
                with suppress(ValueRejected):
                    held = self.candidates.make(lower, heard.data)
                    self.overlap.add(held, successor=number, knowledge=knowledge)
                    return

    def _say(self, lower: int, trouble: str | None) -> None:
        text = f"{self.name}: what version {lower} signed is refused here, since it could not be loaded: {trouble}"
        self.around.voice(logging.WARNING, "overlap_missing", text, secret=str(self.name), version=lower)
