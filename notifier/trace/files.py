"""Log entries from a file: a JSON object a line (what a sink exports, what services print), or one array of them.

Whatever cannot be read is handed on as None, to be counted; nothing in a file ends the reading of it.
"""

import json
from collections.abc import Callable, Iterator
from typing import IO, Any, Final


#: Bytes of one line, or of one entry of an array: Cloud Logging's entries have 256 KiB at most.
LONGEST: Final = 1024 * 1024

_CHUNK: Final = 1024 * 1024
_BLANK: Final = " \t\r\n"


def read(stream: IO[bytes]) -> Iterator[Any]:
    """Read entries one by one, in memory for one of them.

    Args:
        stream: open for reading in binary.

    Yields:
        Each entry as JSON has it; None for what is no JSON, or too long.
    """
    first = stream.readline(LONGEST + 1)
    if first.lstrip().startswith(b"["):
        yield from _array(first, stream)
    else:
        yield from _lines(first, stream)


def _lines(line: bytes, stream: IO[bytes]) -> Iterator[Any]:
    decode = _decoder()
    while line:
        if len(line) > LONGEST and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST)
            yield None
        elif not line.isspace():
            try:
                yield decode(line)
            except (ValueError, RecursionError):
                yield None
        line = stream.readline(LONGEST + 1)


def _decoder() -> Callable[[bytes], Any]:
    """What reads a line, or raises a ValueError."""
    try:
        from orjson import loads
    except ModuleNotFoundError:
        scan = json.JSONDecoder().decode
        return lambda line: scan(line.decode())
    return loads


def _array(buffer: bytes, stream: IO[bytes]) -> Iterator[Any]:
    scan = json.JSONDecoder().raw_decode
    text = buffer.decode(errors="replace").lstrip()[1:]
    while True:
        text = text.lstrip(_BLANK + ",")
        if text.startswith("]"):
            return
        try:
            entry, end = scan(text)
        except (ValueError, RecursionError):
            more = stream.read(_CHUNK)
            if not more or len(text) > LONGEST:
                yield from [None] if text else []
                return
            text += more.decode(errors="replace")
            continue
        yield entry
        text = text[end:]
