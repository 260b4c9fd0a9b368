"""What Google's Pub/Sub client raises, as what it means for the fleet."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import ConfigurationError, HearingFailed


@contextmanager
def as_failure(what: str) -> Iterator[Any]:
    """Let nothing through but `HearingFailed` and `ConfigurationError`; gives the exceptions of Google's client.

    Args:
        what: what is being done, to follow "cannot".
    """
    from google.api_core import exceptions

    try:
        yield exceptions
    except (HearingFailed, ConfigurationError):
        raise
    except Exception as exc:  # the client raises its own, grpc's, google-auth's and, at the end, Python's
        raise told(what, exc) from exc


def told(what: str, exc: BaseException | None) -> HearingFailed:
    """Say what an error of the client means."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    kind = type(exc).__name__
    match exc:
        case HearingFailed():
            return exc
        case exceptions.NotFound():
            return HearingFailed(f"cannot {what}: it, or the topic, does not exist", missing=True)
        case exceptions.Forbidden() | exceptions.Unauthorized():
            return HearingFailed(f"cannot {what}: permission denied", denied=True)
        case GoogleAuthError():
            return HearingFailed(f"cannot {what}: no usable Google credentials ({kind})", denied=True)
        case exceptions.GoogleAPICallError():
            return HearingFailed(f"cannot {what}: {kind} ({exc.code})")
        case _:
            return HearingFailed(f"cannot {what}: {kind}")


def passes(exc: BaseException) -> bool:
    """Whether a stream that ended so is simply to be opened again, as Google's own subscriber does."""
    from google.api_core import exceptions

    return isinstance(
        exc,
        exceptions.Aborted
        | exceptions.DeadlineExceeded
        | exceptions.GatewayTimeout
        | exceptions.InternalServerError
        | exceptions.ResourceExhausted
        | exceptions.ServiceUnavailable
        | exceptions.Unknown,
    )
