"""The local cloud that the pytest plugin hands out: it serves the service under test, and waits until it has heard."""

import itertools
import threading
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from .cloud import SENDER, LocalCloud
from .push import PushAttempt
from .rpc import LOOPBACK


# The topic of every secret that is made here.
TOPIC = "secrets"

# What the tokens of pushes are for: a made-up address, as the port that a service has in a test is another each time.
AUDIENCE = "https://service.test/secrets/events"

# A service that answers so will not answer otherwise when it is asked again.
_HOPELESS = frozenset({401, 403, 404, 405})

# How often the server of a service looks whether it is to end, in seconds.
_POLL = 0.02


class NotDelivered(AssertionError):
    """The service under test did not acknowledge a push; the message says what it answered."""


class CloudForTests(LocalCloud):
    """A local cloud whose changes have reached the service under test when the call that made them returns.

    Everything that `LocalCloud` has is here too: the servers with their faults (`secret_manager`, `pubsub`,
    `logging`), official clients, and `advance`, which moves the cloud's clock.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._servers: list[tuple[BaseWSGIServer, threading.Thread]] = []
        self._subscriptions: list[str] = []
        self._numbers = itertools.count(1)

    def environment(self) -> dict[str, str]:
        """The variables that make services use this cloud, and the audience and sender of its pushes."""
        return {**super().environment(), "PUSH_AUDIENCE": AUDIENCE, "PUSH_SENDER": SENDER}

    def serve(self, app: Any, *, path: str = "/secrets/events") -> str:
        """Serve a WSGI application on a loopback port, push every secret's events to it, and return its URL.

        Args:
            app: a Flask application, say; its tests may go on using its own test client.
            path: its route for pushes.
        """
        server = make_server(LOOPBACK, 0, app, threaded=True, request_handler=_Quiet)
        thread = threading.Thread(target=server.serve_forever, args=(_POLL,), name="local-service", daemon=True)
        thread.start()
        self._servers.append((server, thread))
        url = f"http://{LOOPBACK}:{server.server_port}"
        name = f"service-{next(self._numbers)}"
        # A test may move the clock by months.
        pushed = self.push_to(f"{url}{path}", topic=TOPIC, name=name, audience=AUDIENCE, expires=False)
        self._subscriptions.append(pushed)
        return url

    def create_secret(self, name: str, data: bytes | None = None, *, topic: str = TOPIC, location: str = "") -> str:
        """Create a secret that announces its changes to the services under test, as `LocalCloud.create_secret`."""
        return super().create_secret(name, data, topic=topic, location=location)

    def add_version(self, name: str, data: bytes, *, location: str = "", timeout: float = 10.0) -> int:
        """Add a version, and return its number once every service under test has acknowledged it.

        Args:
            name: of the secret, short or full; it is made where it does not exist.
            data: the value.
            location: of a regional secret.
            timeout: seconds to wait for the services.

        Raises:
            NotDelivered: one of them did not acknowledge it.
        """
        if not self.secret_manager.has_secret(self.secret(name, location=location)):
            self.create_secret(name, location=location)
        begun = len(self.pubsub.pushes())
        number = super().add_version(name, data, location=location)
        self._delivered(begun, timeout)
        return number

    def delivered(self, *, timeout: float = 10.0) -> None:
        """Wait until the services under test have acknowledged all that has happened.

        Raises:
            NotDelivered: one of them has not within `timeout` seconds.
        """
        self._delivered(len(self.pubsub.pushes()), timeout)

    def stop(self) -> None:
        """End the services under test, then the servers."""
        while self._servers:
            server, thread = self._servers.pop()
            server.shutdown()
            thread.join(1.0)
            server.server_close()
        super().stop()

    def _delivered(self, begun: int, timeout: float) -> None:
        def done(pushes: list[PushAttempt]) -> bool:
            return not self._waiting() or any(push.status in _HOPELESS for push in pushes[begun:])

        self.pubsub.wait_for_pushes(done, timeout)
        if self._waiting():
            answers = [push.status for push in self.pubsub.pushes()[begun:] if not push.acknowledged]
            raise NotDelivered(
                f"a service under test has not acknowledged a push; it answered {answers or 'nothing'} (401 and 403: "
                "compare the audience and sender of its route with PUSH_AUDIENCE and PUSH_SENDER; 404: its route is "
                "another one, see `serve(path=...)`; 503: see the log of `keyturn`)"
            )

    def _waiting(self) -> int:
        return sum(self.pubsub.undelivered(subscription) for subscription in self._subscriptions)


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing of each request: a test's output is its own."""
