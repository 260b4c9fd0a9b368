"""The local cloud: Secret Manager, Pub/Sub, Logging and a token issuer, together in one process and in memory."""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .clients import Clients
from .clocks import Clock
from .cloud_logging import Logging
from .control import Control
from .issuer import Issuer
from .journal import Forgetful, Journal
from .ports import Report, TopicPort, Wall, unheard
from .pubsub import PubSub
from .rpc import LOOPBACK
from .secret_callers import Callers, keys_of
from .secret_manager import SecretManager
from .sqlite_journal import SQLiteJournal
from .web import WebServer


if TYPE_CHECKING:
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
    from google.cloud.secretmanager import SecretManagerServiceClient

PROJECT = "local-project"

# The sender that pushes name where nothing else is said.
SENDER = "pusher@local-project.iam.gserviceaccount.com"


class LocalCloud:
    """Run all servers on loopback, from `start` to `stop` or for the length of a `with`.

    Without `data` nothing is kept: each start begins empty. The signing key is always a new one. Thread-safe once
    started.

    Args:
        project: id of the project that short names belong to; others exist as soon as they are named.
        secret_manager_port: 0 takes a free one, as for the others.
        pubsub_port: likewise.
        logging_port: likewise.
        keys_port: of the issuer's keys and the control endpoint.
        address: to listen on, of all servers: loopback, unless everybody else is to have the secrets too.
        wall: wall time; a test may move it.
        report: told of each change and each push, in a line for people, never with a value.
        push_timeout: seconds for a push in place of the ack deadline (10 at least).
        longest_pause: seconds that push backoff leaves an endpoint alone which refuses more than one push a second;
            production's is a minute, which is the most that it can be here too.
        keys_max_age: seconds that the issuer's keys may be kept.
        pubsub_host: of a Pub/Sub that runs elsewhere, Google's emulator say, to be used in place of one of our own;
            `pubsub` and what needs it are not there then.
        data: a directory in which all that is acknowledged outlives the process; None keeps nothing.
    """

    control: Control
    issuer: Issuer
    logging: Logging
    pubsub: PubSub
    secret_manager: SecretManager

    def __init__(
        self,
        *,
        project: str = PROJECT,
        secret_manager_port: int = 0,
        pubsub_port: int = 0,
        logging_port: int = 0,
        keys_port: int = 0,
        address: str = LOOPBACK,
        wall: Wall = time.time,  # noqa: TID251 - the one place where wall time comes from
        report: Report = unheard,
        push_timeout: float | None = None,
        longest_pause: float = 1.0,
        keys_max_age: int = 3600,
        pubsub_host: str = "",
        data: Path | None = None,
    ) -> None:
        self.project = project
        self._ports = (secret_manager_port, pubsub_port, logging_port, keys_port)
        self.address = address
        self._wall = wall
        self.clock = Clock(wall)
        self._report = report
        self._push_timeout = push_timeout
        self._longest_pause = longest_pause
        self._keys_max_age = keys_max_age
        self.pubsub_host = pubsub_host
        self.data = data
        self._clients = Clients()
        self._running = contextlib.ExitStack()
        self._url = ""

    def start(self) -> Self:
        """Start all servers; they answer when this returns.

        Raises:
            PortInUse: a port that was asked for is taken; nothing is left running.
            StoreUnusable: the directory cannot be used; likewise.
            Unreachable: nothing answers at `pubsub_host`; likewise.
        """
        secret_manager_port, pubsub_port, logging_port, keys_port = self._ports
        with contextlib.ExitStack() as started:
            journal = Forgetful() if self.data is None else started.enter_context(SQLiteJournal(self.data))
            self.issuer = Issuer(wall=self._wall, max_age=self._keys_max_age)
            self.logging = started.enter_context(
                Logging(project=self.project, wall=self.clock, port=logging_port, address=self.address, journal=journal)
            )
            topics = self._topics(started, pubsub_port, journal)
            self.secret_manager = started.enter_context(
                SecretManager(
                    topics=topics,
                    wall=self.clock,
                    port=secret_manager_port,
                    address=self.address,
                    report=self._report,
                    callers=Callers(keys=keys_of(self.issuer), wall=self._wall),
                    project=self.project,
                    logged=self.logging.take,
                    journal=journal,
                )
            )
            own = None if self.pubsub_host else self.pubsub
            self.control = Control(self.secret_manager, own, self.logging, self.issuer, advance=self.advance)
            web = WebServer(self.control.routes(), port=keys_port, address=self.address)
            started.callback(web.stop)
            started.callback(self._clients.close)
            self._url = web.url
            self._running = started.pop_all()
        return self

    def _topics(self, started: contextlib.ExitStack, port: int, journal: Journal) -> TopicPort:
        if self.pubsub_host:
            from .pubsub_elsewhere import PubSubElsewhere

            client = self._clients.publisher(self.pubsub_host)
            started.callback(self._clients.close)
            return PubSubElsewhere(self.pubsub_host, client, report=self._report)
        self.pubsub = started.enter_context(
            PubSub(
                issuer=self.issuer,
                wall=self.clock,
                port=port,
                address=self.address,
                report=self._report,
                push_timeout=self._push_timeout,
                longest_pause=self._longest_pause,
                clock=self.clock.monotonic,
                journal=journal,
            )
        )
        return self.pubsub

    def stop(self) -> None:
        """End all servers within a few seconds, whatever is under way; harmless where nothing runs."""
        self._running.close()

    def advance(self, seconds: float) -> None:
        """Move the clock, and let all happen that is due by then: nothing sleeps.

        The issuer's tokens stay in the present, as those whom they are shown to do.

        Rotations, expiries and the delayed ends of versions have been announced when this returns; leases, waits and
        delays of messages end, and subscriptions and snapshots that nobody uses, as they would by then.
        """
        self.clock.advance(seconds)
        self.secret_manager.settle()
        if not self.pubsub_host:
            self.pubsub.look_again()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """The variables that make services and Google's tools use this cloud."""
        return {
            "GOOGLE_CLOUD_PROJECT": self.project,
            # What Terraform's google provider reads.
            **({} if self.pubsub_host else {"GOOGLE_PUBSUB_CUSTOM_ENDPOINT": f"{self.pubsub.rest_url}/v1/"}),
            "GOOGLE_SECRET_MANAGER_CUSTOM_ENDPOINT": f"{self.secret_manager.rest_url}/v1/",
            "GOOGLE_SECRET_MANAGER_REGIONAL_CUSTOM_ENDPOINT": f"{self.secret_manager.rest_url}/v1/",
            "KEYTURN_LOCAL_CONTROL": self._url,
            "KEYTURN_OIDC_KEYS_URL": f"{self._url}/certs",
            "LOGGING_EMULATOR_HOST": self.logging.host,
            "PUBSUB_EMULATOR_HOST": self.pubsub_host or self.pubsub.host,
            "SECRET_MANAGER_EMULATOR_HOST": self.secret_manager.host,
        }

    def secret_manager_client(self) -> "SecretManagerServiceClient":
        """An official client, closed by `stop`."""
        return self._clients.secret_manager(self.secret_manager.host)

    def logging_client(self) -> "LoggingServiceV2Client":
        """An official client, closed by `stop`."""
        return self._clients.logging(self.logging.host)

    def publisher(self) -> "PublisherClient":
        """An official client, closed by `stop`; it sends each message at once."""
        return self._clients.publisher(self.pubsub_host or self.pubsub.host)

    def subscriber(self) -> "SubscriberClient":
        """An official client, closed by `stop`."""
        return self._clients.subscriber(self.pubsub_host or self.pubsub.host)

    def secret(self, name: str, *, location: str = "") -> str:
        """The full name of a secret of this project; a name that is full already stays."""
        place = f"/locations/{location}" if location else ""
        return name if "/" in name else f"projects/{self.project}{place}/secrets/{name}"

    def topic(self, name: str) -> str:
        """The full name of a topic of this project; a name that is full already stays."""
        return name if "/" in name else f"projects/{self.project}/topics/{name}"

    def subscription(self, name: str) -> str:
        """The full name of a subscription of this project; a name that is full already stays."""
        return name if "/" in name else f"projects/{self.project}/subscriptions/{name}"

    def create_secret(self, name: str, data: bytes | None = None, *, topic: str = "", location: str = "") -> str:
        """Create a secret, with a first version where `data` is given, and return its full name.

        Args:
            name: short, or full.
            data: the first version's value.
            topic: where it announces its changes, short or full; made where it does not exist.
            location: of a regional secret.

        Raises:
            Refusal: as CreateSecret refuses.
        """
        topics = (self.create_topic(topic),) if topic else ()
        path = self.secret_manager.create_secret(self.secret(name, location=location), topics=topics)
        if data is not None:
            self.secret_manager.add_version(path, data)
        return path

    def add_version(self, name: str, data: bytes, *, location: str = "") -> int:
        """Add a version to a secret, short or full name, and return its number.

        Raises:
            Refusal: as AddSecretVersion refuses.
        """
        return self.secret_manager.add_version(self.secret(name, location=location), data)

    def create_topic(self, name: str) -> str:
        """Create a topic where it does not exist, and return its full name."""
        topic = self.topic(name)
        if not self.pubsub.has_topic(topic):
            self.pubsub.create_topic(topic)
        return topic

    def push_to(
        self,
        url: str,
        *,
        topic: str,
        name: str = "push",
        sender: str | None = SENDER,
        audience: str | None = None,
        ack_deadline: int = 60,
        backoff: tuple[float, float] | None = None,
        strip_signature: bool = False,
        filter: str = "",  # noqa: A002 - the field's name
        dead_letter: tuple[str, int] | None = None,
        unwrapped: bool = False,
        write_metadata: bool = False,
        expires: bool = True,
    ) -> str:
        """Push a topic's messages to a URL, and return the full name of the subscription; see `PubSub.create_push`.

        Raises:
            Refusal: as CreateSubscription refuses.
        """
        subscription = self.subscription(name)
        self.pubsub.create_push(
            subscription,
            topic=self.create_topic(topic),
            url=url,
            sender=sender,
            audience=audience,
            ack_deadline=ack_deadline,
            backoff=backoff,
            strip_signature=strip_signature,
            filter=filter,
            unwrapped=unwrapped,
            write_metadata=write_metadata,
            expires=expires,
            dead_letter=dead_letter and (self.create_topic(dead_letter[0]), dead_letter[1]),
        )
        return subscription
