"""An endpoint for pushes that does nothing else: answers 204 and tells by datagram when each thousandth, or each, came.

Usage: sink.py TOLD EVERY. Prints its port.
"""

import json
import re
import socket
import sys
import time
from typing import Final


_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER: Final = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


def main() -> None:
    told, every = ("127.0.0.1", int(sys.argv[1])), int(sys.argv[2])
    count = 0
    with (
        socket.create_server(("127.0.0.1", 0), backlog=1024) as listening,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as telling,
    ):
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                came = time.monotonic_ns()
                if not _read(connection):
                    continue
                connection.sendall(_ANSWER)
            count += 1
            if count % every == 0:
                telling.sendto(json.dumps({"at": came}).encode(), told)


def _read(connection: socket.socket) -> bool:
    """Read one request; False where the client has gone before its end."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(65536)
        if not part:
            return False
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    left = int(found[1]) - len(body) if found else 0
    while left > 0:
        part = connection.recv(65536)
        if not part:
            return False
        left -= len(part)
    return True


if __name__ == "__main__":
    main()
