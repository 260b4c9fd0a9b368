"""One term of leadership: having a subscription, pulling it, and keeping both alive through every failure."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from ..errors import ConfigurationError, HearingFailed
from ..telemetry import Voice
from . import rules
from .inbox import Inbox
from .stream import Stream
from .subscriptions import Subscriptions


#: Seconds between two looks at the stream.
LOOK: Final = 0.5

#: Pauses between tries: full jitter below this, doubling up to the cap, in seconds. What somebody must grant first is
#: granted by people, and takes minutes to be known everywhere.
_FIRST: Final = 1.0
_CAP: Final = 60.0
_DENIED_FIRST: Final = 10.0
_DENIED_CAP: Final = 300.0


class Whose(Protocol):
    """Whose subscription it is: the instance."""

    @property
    def service(self) -> str:
        """The service's name."""
        ...

    @property
    def id(self) -> str:
        """The instance's name."""
        ...

    @property
    def token(self) -> str:
        """What the container shares with nobody else."""
        ...


class Term:
    """Hear for the container until the end. Thread-safe; everything that may take time is done on a thread of its own.

    Args:
        subscriptions: Pub/Sub.
        inbox: takes the messages in.
        whose: the instance.
        voice: writes the log.
        seat: which seat the leader has.
        newborn: whether nobody led before, so that nothing can have been missed but by a worker that did not wait.
        outrun: whether some worker has read already, while nobody heard for it.
        call: calls all workers to a wake check, given the monotonic second since which news may have been missed.
        clock: monotonic seconds.
        wall: nanoseconds since the epoch.
        jitter: a number between 0 and 1 at each call.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        inbox: Inbox,
        *,
        whose: Whose,
        voice: Voice,
        seat: int,
        newborn: bool,
        outrun: Callable[[], bool],
        call: Callable[[float], None],
        clock: Callable[[], float],
        wall: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        self._subscriptions = subscriptions
        self._inbox = inbox
        self._whose = whose
        self._voice = voice
        self._seat = seat
        self._call = call
        self._clock = clock
        self._wall = wall
        self._jitter = jitter
        self._newborn = newborn
        self._outrun = outrun
        self._over = threading.Event()
        self._stream: Stream | None = None
        self._failures = 0
        self._retry_at = clock()
        self._renew_at = self._sweep_at = float("inf")
        #: Why messages do not come; None while they do, and before the first try.
        self.trouble: HearingFailed | None = None
        self._thread = threading.Thread(target=self._run, name="keyturn-fleet", daemon=True)

    def begin(self) -> None:
        """Start."""
        self._thread.start()

    @property
    def hearing(self) -> bool:
        """Whether messages come."""
        return self._stream is not None and self.trouble is None

    @property
    def subscription(self) -> str:
        """The subscription's id."""
        return rules.subscription_id(self._whose.service, self._whose.id, self._whose.token, seat=self._seat)

    def end(self, patience: float) -> None:
        """Pull no more; waits so many seconds at most. The subscription stays."""
        self._over.set()
        self._thread.join(patience)

    def _run(self) -> None:
        if not self._newborn:
            # At once: what was on its way to a leader that died comes late, and making a connection takes a while.
            self._call(self._clock())
        while not self._over.is_set():
            try:
                self._step()
            except (HearingFailed, ConfigurationError) as exc:
                self._failed(exc if isinstance(exc, HearingFailed) else HearingFailed(str(exc), denied=True))
            self._over.wait(LOOK)
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _step(self) -> None:
        now = self._clock()
        if self._stream is not None:
            failure = self._stream.failure
            if failure is not None:
                self._stream = None
                # Somebody deleted it: it is made anew at once.
                self._retry_at = now if failure.missing else self._retry_at
                raise failure
            self._heed(self._stream.trouble)
            self._keep(now)
        elif now >= self._retry_at and self._whose.id:
            self._open()

    def _open(self) -> None:
        labels = self._labels()
        name = self.subscription
        self._subscriptions.open(name, labels=labels, now=self._wall())
        if self._over.is_set():
            # Whoever left last may have deleted it before it was made. Who still hears by it makes it anew.
            self._subscriptions.delete(name)
            return
        self._stream = self._subscriptions.pull(name, self._inbox.put)
        self.trouble, self._failures = None, 0
        now = self._clock()
        self._renew_at = now + rules.RENEWED * (0.5 + self._jitter() / 2)
        self._sweep_at = min(self._sweep_at, now + rules.next_sweep(0, self._jitter()))
        self._voice(logging.INFO, "fleet_joined", f"this instance hears by {name}", subscription=name)
        # Until now nobody heard. Whoever waited for the first subscription reads what came before it anyhow, and who
        # gives up waiting says so before it reads.
        if not self._newborn or self._outrun():
            self._call(now)
        self._newborn = False

    def _labels(self) -> dict[str, str]:
        return rules.labels(self._whose.service, self._whose.id, now=self._wall())

    def _keep(self, now: float) -> None:
        """Say that the instance lives, and remove what dead ones left."""
        if now < self._renew_at:
            return
        self._renew_at = now + rules.RENEWED * (0.5 + self._jitter() / 2)
        try:
            self._subscriptions.renew(self.subscription, labels=self._labels())
            # Who cannot say that it lives does not judge who is dead either.
            if now >= self._sweep_at:
                self._sweep_at = now + rules.next_sweep(self._sweep(), self._jitter())
        except HearingFailed as exc:
            self._voice(logging.WARNING, "fleet_trouble", str(exc))

    def _sweep(self) -> int:
        alive = 0
        for found in self._subscriptions.all():
            if found.topic != self._subscriptions.topic:
                continue
            if rules.is_orphan(found, topic=found.topic, service=self._whose.service, now=self._wall()):
                with suppress(HearingFailed):
                    self._subscriptions.delete(found.name)
                self._voice(
                    logging.INFO, "orphan_removed", f"{found.name} was left by a dead instance", subscription=found.name
                )
            else:
                alive += 1
        return alive

    def _heed(self, trouble: HearingFailed | None) -> None:
        """Say once that streams come to nothing; the messages wait, so nothing is missed when one works again."""
        if trouble is not None and str(trouble) != str(self.trouble):
            self._voice(logging.WARNING, "fleet_trouble", self.explain(trouble))
        self.trouble = trouble

    def _failed(self, exc: HearingFailed) -> None:
        first, cap = (_DENIED_FIRST, _DENIED_CAP) if exc.denied else (_FIRST, _CAP)
        limit = min(cap, first * 2 ** min(self._failures, 16))
        if not exc.missing or self._failures:
            self._retry_at = self._clock() + limit * self._jitter()
        self._failures += 1
        if self.trouble is None or str(self.trouble) != str(exc):
            level, event = (logging.ERROR, "fleet_denied") if exc.denied else (logging.WARNING, "fleet_trouble")
            self._voice(level, event, self.explain(exc))  # type: ignore[arg-type]  # one of two
        self.trouble = exc

    def explain(self, exc: HearingFailed) -> str:
        """Say what failed and what to do about it."""
        if exc.denied:
            return f"the fleet {exc}; {rights(self._whose.service, self._subscriptions.topic)}"
        if exc.missing:
            return (
                f"the fleet {exc}: see that {self._subscriptions.topic} exists, and that nobody deletes subscriptions"
            )
        return f"the fleet {exc}; it is tried again"


def rights(service: str, topic: str) -> str:
    """Say what the fleet needs, and which line of the manifest has Terraform grant it."""
    return (
        "its account needs the role keyturn.fleet in the project (pubsub.subscriptions.create, .get, .list, .update, "
        f".delete, .consume) and keyturn.fleetTopic on {topic} (pubsub.topics.attachSubscription); the Terraform "
        f"module makes and grants both where the manifest says `services: {{{service or 'SERVICE'}: {{events: pull}}}}`"
    )
