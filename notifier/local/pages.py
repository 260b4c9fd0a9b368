"""Lists in pages, as both services answer them."""

from collections.abc import Sequence
from typing import Any

import grpc

from .rpc import Refusal


# Both services answer at most this many at once where nothing is said [documented for Secret Manager].
_MOST = 25_000

# Longer ones are not ours, and Python would not read them as numbers.
_LONGEST_TOKEN = 20


def page(rows: Sequence[Any], size: int, token: str) -> tuple[Sequence[Any], str]:
    """Cut one page out of `rows`, and say how the next one is asked for ("" after the last).

    Raises:
        Refusal: INVALID_ARGUMENT, the size is negative or the token is not one of ours.
    """
    if size < 0 or (token and not (token.isdecimal() and len(token) < _LONGEST_TOKEN)):
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "The page size or page token is not valid.")
    begin = int(token or 0)
    end = begin + (size or _MOST)
    return rows[begin:end], str(end) if end < len(rows) else ""
