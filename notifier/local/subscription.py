"""One subscription: its settings, its backlog and its pusher."""

import time
from collections.abc import Callable
from typing import Any

from google.protobuf import duration_pb2

from .backlog import Backlog, Message, Rules
from .filters import parse
from .issuer import Issuer, without_signature
from .ports import Wall
from .push import Endpoint, PushAttempt, Pusher


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


class Subscription:
    """One subscription of one topic.

    Args:
        message: what was asked for; it is completed with the defaults and kept.
        issuer: signs the tokens of pushes.
        timeout: seconds for a push in place of the ack deadline, None for the ack deadline.
        done: told of each push.
        wall: wall time, for what is retained.
        bury: takes a message that has had all its attempts, with their number; False where there is no place for it.
        strip_signature: push tokens as Cloud Run hands them on.
    """

    def __init__(
        self,
        message: Any,
        *,
        issuer: Issuer,
        timeout: float | None,
        done: Callable[[PushAttempt], None],
        wall: Wall,
        bury: Callable[["Subscription", Message, int], bool],
        strip_signature: bool = False,
    ) -> None:
        _complete(message)
        self.message = message
        self.backlog = Backlog(
            clock=time.monotonic,
            rules=self._rules(),
            oldest=lambda: wall() - _seconds(message.message_retention_duration),
            bury=lambda spent, attempts: bury(self, spent, attempts),
        )
        self._wanted = parse(message.filter)
        self._issuer = issuer
        self._timeout = timeout
        self._strip_signature = strip_signature
        self._pusher = Pusher(message.name, self.backlog, done=done)
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
        if self._wanted(message.attributes):
            self.backlog.put(message, delay=delay)

    def push_to(self, config: Any) -> None:
        """Push as `config` says from now on; where it names no endpoint, wait to be pulled."""
        self.message.push_config.CopyFrom(config)
        self._pusher.aim(self._endpoint())

    def orphan(self) -> None:
        """Note that the topic has been deleted."""
        self.message.topic = DELETED_TOPIC

    def modify_deadline(self, lease: str, seconds: int) -> None:
        """Let a lease end `seconds` from now; with 0 the message comes again at once, or by the retry policy."""
        if seconds:
            self.backlog.extend(lease, seconds)
        else:
            self.backlog.refuse(lease)

    def pulled(self) -> None:
        """Note that somebody pulls."""

    def close(self, deadline: float) -> None:
        """End pushing by `deadline` (monotonic)."""
        self._pusher.close(deadline)

    def _endpoint(self) -> Endpoint | None:
        config = self.message.push_config
        if not config.push_endpoint:
            return None
        token = None
        if config.HasField("oidc_token"):
            # [documented]: without an audience, the endpoint itself is.
            audience = config.oidc_token.audience or config.push_endpoint
            email = config.oidc_token.service_account_email

            def token() -> str:
                signed = self._issuer.token(audience=audience, email=email)
                return without_signature(signed) if self._strip_signature else signed

        return Endpoint(
            url=config.push_endpoint,
            timeout=self._timeout or self.lease,
            token=token,
            backoff=self._backoff(),
            counted=self.counted,
            unwrapped=config.HasField("no_wrapper"),
            write_metadata=config.no_wrapper.write_metadata,
        )

    def _rules(self) -> Rules:
        attempts = self.message.dead_letter_policy.max_delivery_attempts if self.counted else 0
        return Rules(
            ordered=self.message.enable_message_ordering, attempts=attempts, backoff=self._backoff() or (0.0, 0.0)
        )

    def _backoff(self) -> tuple[float, float] | None:
        if not self.message.HasField("retry_policy"):
            return None
        policy = self.message.retry_policy
        return _seconds(policy.minimum_backoff), _seconds(policy.maximum_backoff)


def _seconds(duration: Any) -> float:
    return float(duration.ToTimedelta().total_seconds())


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
