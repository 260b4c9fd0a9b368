"""Every error that this package raises, and the one table of what a push is answered.

Nothing here ever holds a value, a token or a body: a message says what failed, for which name, and what to do.
Mistakes of the caller stay `TypeError` and `ValueError`.
"""

from enum import Enum


class KeyturnError(Exception):
    """Base of all errors of this package that are not mistakes in the calling code."""


class SecretUnavailable(KeyturnError):
    """A value was asked for and none has been loaded: Secret Manager did not give one in time."""


class SecretRevoked(KeyturnError):
    """No version of the secret is usable any more, and the entry was declared `on_revoked="raise"`."""


class ConfigurationError(KeyturnError):
    """Something in the surroundings is set so that keyturn cannot keep its promises; the message says what to do."""


class BoardError(KeyturnError, OSError):
    """The board could not be opened or written: no space, no permission, a stopped writer. What it held, it holds."""


class ValueRejected(KeyturnError):
    """A payload is not of the declared type, so it never becomes the value; the text repeats nothing of it."""


class SourceError(KeyturnError):
    """Secret Manager did not give the version asked for."""


class VersionMissing(SourceError):
    """NOT_FOUND: the secret does not exist, or has no version of that number (or alias)."""


class VersionRefused(SourceError):
    """FAILED_PRECONDITION that names the version's state: it exists and is disabled or destroyed.

    Args:
        message: says which name was refused.
        destroyed: True where the state is DESTROYED, which no version ever leaves.
    """

    def __init__(self, message: str, *, destroyed: bool = False) -> None:
        super().__init__(message)
        self.destroyed = destroyed


class AccessFailed(SourceError):
    """Any other failure: it says nothing about the version, so the last good value stays.

    Args:
        message: says which name failed, with which status.
        transient: True where trying again within minutes may help (outage, timeout, quota, checksum); False where
            somebody must act first (permission, a disabled KMS key, an API that is off).
    """

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


class HearingFailed(KeyturnError):
    """Pub/Sub did not do what the fleet asked of it.

    Args:
        message: says what was asked, and with which status it failed.
        denied: whether somebody must grant something first.
        missing: whether the subscription, or its topic, does not exist.
    """

    def __init__(self, message: str, *, denied: bool = False, missing: bool = False) -> None:
        super().__init__(message)
        self.denied = denied
        self.missing = missing


class PushRefused(KeyturnError):
    """A request to the push route was not taken; `answer` says how it is answered."""

    answer: "Answer"


class Unauthenticated(PushRefused):
    """No token, or one that was not signed by the issuer's keys, is expired or is unreadable."""


class Forbidden(PushRefused):
    """An authentic token for somebody else: the wrong audience, or not our sender."""


class KeysUnavailable(PushRefused):
    """The issuer's keys could not be had, so the token could be neither believed nor refused."""


class UnreadablePush(PushRefused):
    """An authentic message that is not a Secret Manager event; the text repeats nothing of it."""


class Answer(Enum):
    """What a push is answered, and why: the whole policy, as (status, does Pub/Sub send it again).

    Pub/Sub acknowledges on 102, 200, 201, 202 and 204 and sends again after anything else; its emulator takes 202
    for a refusal, so 204 is the only "done" here. Refusing slows *every* message of a subscription (Pub/Sub's push
    backoff), so what no redelivery within minutes can mend is acknowledged and kept in the log and the status.
    """

    APPLIED = 204, "every worker of this container serves what the event announced"
    KNOWN = 204, "nothing new: a repeat, or older than what is served"
    FIXED = 204, "that secret never changes in a running process here: it is static, or refreshing is switched off"
    NOT_OURS = 204, "no entry of this service uses that secret"
    NO_NEWS = 204, "an event that moves no value, such as SECRET_ROTATE or TOPIC_CONFIGURED"
    HELD_BACK = (
        204,
        "applied as far as possible; a redelivery cannot help, so it is kept in the log and retried here",
    )
    UNREADABLE = 204, "authentic, but not a Secret Manager event that can be read"
    TOO_LARGE = 204, "authentic, but larger than any Secret Manager event"
    UNAUTHENTICATED = 401, "no valid token"
    FORBIDDEN = 403, "a valid token of somebody else"
    TRY_AGAIN = 503, "not applied everywhere yet, and a redelivery can mend it"

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def reason(self) -> str:
        """One sentence for people."""
        return self.value[1]


Unauthenticated.answer = Answer.UNAUTHENTICATED
Forbidden.answer = Answer.FORBIDDEN
KeysUnavailable.answer = Answer.TRY_AGAIN
UnreadablePush.answer = Answer.UNREADABLE
