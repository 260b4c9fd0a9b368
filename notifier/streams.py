"""The three standard streams, there whatever the shell has done."""

import os
import sys


def stand_in() -> None:
    """Open each standard stream that the shell has closed (`keyturn dev >&- 2>&-`) on the null device.

    Without that, the next file or socket that is opened has its number, and whatever writes to the stream writes there.
    Call it before anything is opened.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # The lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False, encoding="utf-8"))  # noqa: SIM115 - it stays
