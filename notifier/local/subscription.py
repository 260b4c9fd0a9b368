"""One subscription: its settings, its backlog and its pusher."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf import duration_pb2

from .backlog import Backlog, Keeping
from .clocks import length
from .fault_plan import PushFault
from .filters import parse
from .issuer import Issuer, without_signature
from .messages import Message, Rules
from .ports import Wall
from .pubsub_refusals import unready
from .push import Endpoint, PushAttempt, Pusher
from .push_pace import Pace


# [documented] defaults.
_ACK_DEADLINE = 10
_RETENTION_DAYS = 7
_EXPIRATION_DAYS = 31
_SHORTEST_BACKOFF, _LONGEST_BACKOFF = 10.0, 600.0

# What the name of a deleted topic becomes in its subscriptions [documented].
DELETED_TOPIC = "_deleted-topic_"

# Of a dead letter policy that says nothing [documented].
_ATTEMPTS = 5

_DAY = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all subscriptions of a broker have in common.

    Args:
        issuer: signs the tokens of pushes.
        push_timeout: seconds for a push in place of the ack deadline, None for the ack deadline.
        longest_pause: seconds of push backoff.
        done: told of each push.
        fault: what goes wrong with a push; see `Pusher`.
        wall: wall time, for what is retained.
        clock: monotonic seconds, for leases and waits.
        number: numbers messages; each call gives a larger one.
        bury: takes a message that has had all its attempts, by its number and with theirs, and calls `buried`; False
            where there is no place for it.
    """

    issuer: Issuer
    push_timeout: float | None
    longest_pause: float
    done: Callable[[PushAttempt], None]
    fault: Callable[[str, str, int], PushFault | None]
    wall: Wall
    clock: Callable[[], float]
    number: Callable[[], int]
    bury: Callable[["Subscription", int, Message, int], bool]


class Subscription:
    """One subscription of one topic. It pushes once `start` has been called.

    Args:
        message: what was asked for; it is completed with the defaults and kept.
        shared: what it has in common with all others.
        keeping: told of what is to outlive the process.
        strip_signature: push tokens as Cloud Run hands them on.
    """

    def __init__(self, message: Any, shared: Shared, *, keeping: Keeping, strip_signature: bool) -> None:
        self._shared = shared
        self._become(message)
        self.strip_signature = strip_signature
        self._keeping = keeping
        self.backlog = Backlog(
            clock=shared.clock,
            rules=self._rules(),
            oldest=lambda: shared.wall() - self._retention,
            bury=lambda number, spent, attempts: shared.bury(self, number, spent, attempts),
            keeping=keeping,
            number=shared.number,
        )
        self._wanted = parse(message.filter)
        pace = Pace(clock=shared.clock, longest_pause=shared.longest_pause)
        self._pusher = Pusher(message.name, self.backlog, done=self._pushed, pace=pace, fault=shared.fault)

    def start(self) -> None:
        """Push, where there is somewhere to push to."""
        self._pusher.aim(self._endpoint())

    @property
    def name(self) -> str:
        """Its full name."""
        return str(self.message.name)

    @property
    def counted(self) -> bool:
        """Whether deliveries say which attempt they are: only where there is a dead letter policy [documented]."""
        return bool(self.message.HasField("dead_letter_policy"))

    @property
    def lease(self) -> float:
        """Seconds that a pulled message is leased for."""
        return float(self.message.ack_deadline_seconds)

    def put(self, message: Message, *, delay: float = 0.0) -> None:
        """Take in a message that was published, unless the filter keeps it out."""
        if self._wanted(message.attributes) and not self.message.detached:
            self.backlog.put(message, delay=delay)

    def orphan(self) -> None:
        """Note that the topic has been deleted."""
        self.message = self.copy(topic=DELETED_TOPIC)

    def copy(self, **changed: Any) -> Any:
        """Its message with some fields changed: what has been told to a client never changes under its hands."""
        copied = type(self.message)()
        copied.CopyFrom(self.message)
        copied.MergeFrom(type(self.message)(**changed))
        return copied

    def modify_deadline(self, lease: str, seconds: int) -> None:
        """Let a lease end `seconds` from now; with 0 the message comes again at once, or by the retry policy."""
        if seconds:
            self.backlog.extend(lease, seconds)
        else:
            self.backlog.refuse(lease)

    def pulled(self) -> None:
        """Note that somebody pulls.

        Raises:
            Refusal: FAILED_PRECONDITION, it is detached.
        """
        self.check_attached()
        self._use()

    def check_attached(self) -> None:
        """See to it that it is not detached.

        Raises:
            Refusal: FAILED_PRECONDITION.
        """
        if self.message.detached:
            raise unready("The subscription is detached from its topic.")

    def change(self, message: Any) -> None:
        """Be as `message` says from now on."""
        with self.backlog.changed:
            self._become(message)
            self.backlog.rules = self._rules()
        self._pusher.aim(self._endpoint())

    def buried(self, number: int, message: Message, *, done: bool) -> None:
        """Note that a message has gone to another topic; where there was none any more, it stays here."""
        with self.backlog.changed:
            if not done and self.backlog.closed:
                return  # a restart finds it where it was
            if not done:
                self.backlog.put(message)
            self._keeping.gone(number)

    def detach(self) -> None:
        """Get nothing more, and forget what there is [documented]."""
        self.message = self.copy(detached=True)
        self._pusher.aim(None)
        with self.backlog.changed:
            self.backlog.replace((), ())
            self.backlog.tell()

    def seek(self, waiting: Callable[[Message], bool], more: Iterable[Message]) -> None:
        """Take messages as not acknowledged where `waiting` says so, and as acknowledged else.

        They count their attempts anew [assumed].

        Args:
            waiting: the choice.
            more: messages to choose from beside those of its own.
        """
        with self.backlog.changed:
            own = [message for some in self.backlog.messages() for message in some]
            known = {message.id for message in own}
            others = [message for message in more if message.id not in known and self._wanted(message.attributes)]
            every = sorted([*own, *others], key=lambda message: message.at)
            self.backlog.replace(
                [message for message in every if waiting(message)],
                [message for message in every if not waiting(message)],
            )

    def look_again(self) -> None:
        """Let whoever waits look at the clock: it has been moved."""
        with self.backlog.changed:
            self.backlog.tell()

    def close(self, deadline: float) -> None:
        """End pushing by `deadline` (monotonic)."""
        self._pusher.close(deadline)

    def _endpoint(self) -> Endpoint | None:
        config = self.message.push_config
        if not config.push_endpoint or self.message.detached:
            return None
        token = None
        if config.HasField("oidc_token"):
            # [documented]: without an audience, the endpoint itself is.
            audience = config.oidc_token.audience or config.push_endpoint
            email = config.oidc_token.service_account_email
            # The first push is not to wait for it.
            self._shared.issuer.make_key()

            def token() -> str:
                signed = self._shared.issuer.token(audience=audience, email=email)
                return without_signature(signed) if self.strip_signature else signed

        return Endpoint(
            url=config.push_endpoint,
            timeout=self._shared.push_timeout or self.lease,
            token=token,
            backoff=self._backoff(),
            counted=self.counted,
            unwrapped=config.HasField("no_wrapper"),
            write_metadata=config.no_wrapper.write_metadata,
        )

    def _pushed(self, attempt: PushAttempt) -> None:
        if attempt.acknowledged:
            self._use()
        self._shared.done(attempt)

    def _become(self, message: Any) -> None:
        _complete(message)
        self.message = message
        own, topics = message.message_retention_duration, message.topic_message_retention_duration
        self._retention = max(length(own), length(topics))
        self._use()

    def _use(self) -> None:
        # Not used for so long, it is deleted [documented]; by being restored or changed it is used [assumed].
        policy = self.message.expiration_policy
        self.expires = self._shared.wall() + length(policy.ttl) if policy.HasField("ttl") else math.inf

    def _rules(self) -> Rules:
        attempts = self.message.dead_letter_policy.max_delivery_attempts if self.counted else 0
        return Rules(
            ordered=self.message.enable_message_ordering,
            retained=self.message.retain_acked_messages,
            attempts=attempts,
            backoff=self._backoff() or (0.0, 0.0),
        )

    def _backoff(self) -> tuple[float, float] | None:
        if not self.message.HasField("retry_policy"):
            return None
        policy = self.message.retry_policy
        return length(policy.minimum_backoff), length(policy.maximum_backoff)


def _complete(message: Any) -> None:
    message.ack_deadline_seconds = message.ack_deadline_seconds or _ACK_DEADLINE
    if not message.HasField("message_retention_duration"):
        message.message_retention_duration.CopyFrom(duration_pb2.Duration(seconds=_RETENTION_DAYS * _DAY))
    if not message.HasField("expiration_policy"):
        message.expiration_policy.ttl.CopyFrom(duration_pb2.Duration(seconds=_EXPIRATION_DAYS * _DAY))
    if message.HasField("retry_policy"):
        policy = message.retry_policy
        if not policy.HasField("minimum_backoff"):
            policy.minimum_backoff.FromMilliseconds(int(_SHORTEST_BACKOFF * 1000))
        if not policy.HasField("maximum_backoff"):
            policy.maximum_backoff.FromMilliseconds(int(_LONGEST_BACKOFF * 1000))
    if message.HasField("dead_letter_policy") and not message.dead_letter_policy.max_delivery_attempts:
        message.dead_letter_policy.max_delivery_attempts = _ATTEMPTS
    message.state = type(message).State.Value("ACTIVE")
