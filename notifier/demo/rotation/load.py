"""A steady stream of queries through the service, and what the answers show."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Final, Self


CLIENTS: Final = 6
_TIMEOUT: Final = 8.0
_REST: Final = 0.005
_LAST: Final = 2.0


@dataclass(slots=True)
class Seen:
    """What the answers have shown so far.

    Args:
        queries: how many were asked and ended.
        failed: how many were not answered with a user.
        users: whose password each worker logged in with last, by process id, and which version that was.
    """

    queries: int = 0
    failed: int = 0
    users: dict[int, tuple[str, int]] = field(default_factory=dict)


class Load:
    """Ask from `with` to its end, each query on a connection of its own. Thread-safe.

    Args:
        port: of the service on loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._seen = Seen()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._clients = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        deadline = time.monotonic() + _LAST
        for client in self._clients:
            client.join(max(0.0, deadline - time.monotonic()))

    @property
    def seen(self) -> Seen:
        """A copy of what was seen."""
        with self._lock:
            return Seen(self._seen.queries, self._seen.failed, dict(self._seen.users))

    def forget(self) -> None:
        """Count anew."""
        with self._lock:
            self._seen = Seen(users=self._seen.users)

    def _ask_on(self) -> None:
        while not self._ended.wait(_REST):
            try:
                pid, user, version = self._ask()
            except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
                with self._lock:
                    self._seen.queries += 1
                    self._seen.failed += 1
                continue
            with self._lock:
                self._seen.queries += 1
                self._seen.users[pid] = user, version

    def _ask(self) -> tuple[int, str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            body = json.loads(answer.read())
            if answer.status != http.client.OK:
                raise ValueError("not answered with a user")
            return int(body["pid"]), str(body["user"]), int(body["version"])
        finally:
            connection.close()
