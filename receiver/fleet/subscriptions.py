"""Pub/Sub as the fleet uses it, through the official client: subscriptions made, sought, pulled, listed, deleted."""

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..channels import ENDINGS, IMPORTS, OPTIONS, only_loopback
from ..errors import HearingFailed
from ..greenlets import let_grpc_yield
from ..knowledge import SECOND
from .failures import as_failure
from .rules import ACK_DEADLINE, BACK, BACKOFF, EXPIRES, Found, is_young
from .stream import Message, Stream


if TYPE_CHECKING:
    from google.pubsub_v1 import SubscriberClient


EMULATOR_VARIABLE: Final = "PUBSUB_EMULATOR_HOST"

#: Seconds for one call. A subscription takes Pub/Sub a second or two to make.
_CALL: Final = 5.0
#: Seconds that leaving waits for whoever searches for credentials.
_FAREWELL: Final = 1.0
#: As the client's own channels have it: without it, nobody notices a connection that a firewall has dropped.
_KEEPALIVE: Final = (("grpc.keepalive_time_ms", 30_000), ("grpc.max_metadata_size", 4 * 1024 * 1024))


class Subscriptions:
    """One project's subscriptions. Thread-safe.

    Nothing is imported, read from the environment or connected before the first use. PUBSUB_EMULATOR_HOST (a loopback
    address) points it at a local server instead.

    Args:
        topic: the full name of the topic.
        project: the project that the subscriptions belong to.
        spread: for how many seconds a message may wait here before its turn comes.
        clock: monotonic seconds.
        jitter: a number between 0 and 1 at each call.
    """

    def __init__(
        self, topic: str, *, project: str, spread: float, clock: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        self.topic = topic
        self._project = project
        # Six seconds for the run before, as many for its own, and the rest for a machine that is busy.
        self._lease = ACK_DEADLINE + math.ceil(spread)
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._client: SubscriberClient | None = None
        # A parent's: kept, so that nobody closes a channel that is not this process's.
        self._inherited: list[Any] = []

    def open(self, subscription: str, *, labels: Mapping[str, str], now: int) -> None:
        """Make a subscription and seek it back, or take over the one that this instance made before.

        A young one is sought back too: who made it may have died before that, or waited in vain for the answer. What
        has been applied is known then, and costs no more than its messages.

        Args:
            subscription: its id.
            labels: what it is to say.
            now: nanoseconds since the epoch.

        Raises:
            HearingFailed: it could not be made.
            ConfigurationError: the local server's address is not a loopback one.
        """
        path = self._path(subscription)
        with as_failure("make its subscription") as exceptions:
            try:
                self._make(path, labels)
            except exceptions.AlreadyExists:
                found = self._ready().get_subscription(subscription=path, timeout=_CALL, retry=None)
                if found.topic != self.topic:
                    # Its topic was deleted, and one of the same name was made since.
                    self._ready().delete_subscription(subscription=path, timeout=_CALL, retry=None)
                    self._make(path, labels)
                elif not is_young(found.labels, now=now):
                    return
        # What a seek brings makes stale reads harmless; without it they are as harmless as for an instance by push.
        with suppress(HearingFailed), as_failure("seek"):
            self._ready().seek(request={"subscription": path, "time": _time(now - BACK)}, timeout=_CALL, retry=None)

    def _make(self, path: str, labels: Mapping[str, str]) -> None:
        self._ready().create_subscription(
            request={
                "name": path,
                "topic": self.topic,
                "labels": dict(labels),
                "ack_deadline_seconds": ACK_DEADLINE,
                "message_retention_duration": {"seconds": EXPIRES},
                "expiration_policy": {"ttl": {"seconds": EXPIRES}},
                "retry_policy": {
                    "minimum_backoff": {"seconds": BACKOFF[0]},
                    "maximum_backoff": {"seconds": BACKOFF[1]},
                },
            },
            timeout=_CALL,
            retry=None,
        )

    def pull(self, subscription: str, heard: Callable[[Message], None]) -> Stream:
        """Have messages brought here from now on; where the stream breaks, it is opened again.

        Args:
            subscription: its id.
            heard: is given each message, on the stream's thread; must be quick.

        Raises:
            HearingFailed: the process is ending.
        """
        with as_failure("pull"):
            path = self._path(subscription)
            call = partial(self._stream, (("x-goog-request-params", f"subscription={path}"),))
            return Stream(
                call, subscription=path, lease=self._lease, heard=heard, clock=self._clock, jitter=self._jitter
            )

    def _stream(self, metadata: tuple[tuple[str, str], ...], requests: Iterator[Any]) -> Any:
        return self._ready().streaming_pull(requests=requests, retry=None, timeout=None, metadata=metadata)

    def renew(self, subscription: str, *, labels: Mapping[str, str]) -> None:
        """Say on the subscription that its instance lives.

        Raises:
            HearingFailed: it could not be said.
        """
        with as_failure("label its subscription"):
            self._ready().update_subscription(
                request={
                    "subscription": {"name": self._path(subscription), "labels": dict(labels)},
                    "update_mask": {"paths": ["labels"]},
                },
                timeout=_CALL,
                retry=None,
            )

    def all(self) -> Iterator[Found]:
        """Every subscription of the project, page by page.

        Raises:
            HearingFailed: they could not be listed.
        """
        with as_failure("list subscriptions"):
            listed = self._ready().list_subscriptions(
                request={"project": f"projects/{self._project}", "page_size": 1000}, timeout=_CALL, retry=None
            )
            for one in listed:
                yield Found(one.name, one.topic, dict(one.labels))

    def delete(self, subscription: str) -> None:
        """Delete a subscription, by its id or its full name; one that is gone already is none to delete.

        Raises:
            HearingFailed: it could not be deleted; it expires by itself in a day.
        """
        path = subscription if "/" in subscription else self._path(subscription)
        with as_failure("delete a subscription") as exceptions, suppress(exceptions.NotFound):
            self._ready().delete_subscription(subscription=path, timeout=_CALL, retry=None)

    def close(self) -> None:
        """Close this process's channel; the next use opens a new one."""
        if not self._lock.acquire(timeout=_FAREWELL):
            return  # a thread still searches for credentials, and ends with the process
        client, self._client = self._client, None
        self._lock.release()
        if client is not None:
            client.transport.close()  # type: ignore[no-untyped-call]
            ENDINGS.begin()

    def after_fork(self) -> None:
        """Forget the parent's client without touching it."""
        self._lock = threading.Lock()
        self._inherited.append(self._client)
        self._client = None

    def _path(self, subscription: str) -> str:
        return f"projects/{self._project}/subscriptions/{subscription}"

    def _ready(self) -> "SubscriberClient":
        # Without credentials the search for them takes 12 s, which is longer than whoever leaves may wait.
        if not self._lock.acquire(timeout=_CALL):
            raise HearingFailed("cannot connect: Google's client was not ready in time")
        try:
            if self._client is None:
                self._client = _connect()
            return self._client
        finally:
            self._lock.release()


def _connect() -> "SubscriberClient":
    emulator = os.environ.get(EMULATOR_VARIABLE)
    if emulator:
        only_loopback(emulator, EMULATOR_VARIABLE)
    with IMPORTS:
        import google.auth
        import grpc
        from google.pubsub_v1 import SubscriberClient
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport as Transport

        let_grpc_yield()
        options = (*OPTIONS, *_KEEPALIVE)
        if emulator:
            return SubscriberClient(transport=Transport(channel=grpc.insecure_channel(emulator, options)))
    credentials, _ = google.auth.default(default_scopes=Transport.AUTH_SCOPES)
    with IMPORTS:
        channel = Transport.create_channel("pubsub.googleapis.com", credentials=credentials, options=options)
        return SubscriberClient(transport=Transport(channel=channel))


def _time(nanoseconds: int) -> dict[str, int]:
    return {"seconds": nanoseconds // SECOND, "nanos": nanoseconds % SECOND}
