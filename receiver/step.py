"""The refresh of one entry as a step function: (state, input) -> (state, effect). No clock, lock or I/O.

A refresh is: merge what was told; if what is wanted differs from what is held, fetch it by number; check; swap; look
again, because newer knowledge may have come meanwhile. `Entry` (in `receiver.entry`) is the state. An input says what
happened, the effect what to do next; whoever carries effects out (`receiver.live`, a simulator) feeds what came of
them back as inputs until the effect is `Rest`. Because every step plans from the whole state, knowledge may be told
at any moment, also while an effect is being carried out.

Three kinds of access to Secret Manager:

- **fetch**: the wanted number. Access by number after an add is the one strongly consistent read that Google has.
- **read**: `latest` or an alias, at a start or a safety read. It may lag for hours, so for `latest` a climb follows.
- **climb**: is there a number above the highest known? Numbers are consecutive, so NOT_FOUND is the top; the gaps are
  found by doubling and halving, so that being far behind costs a logarithm. It also comes before every step back: a
  DISABLE that overtook an ADD would otherwise move a value to an older version for minutes.
"""

from .entry import Effect, Entry, Input
from .learning import take
from .plan import plan


def step(entry: Entry, happened: Input, *, now: int) -> tuple[Entry, Effect]:
    """Take in what happened and say what to do next.

    Args:
        entry: the state before.
        happened: the input.
        now: wall time in nanoseconds, used only for how old a claim is.
    """
    return plan(take(entry, happened, now), now)
