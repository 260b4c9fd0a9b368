"""Log entries from Cloud Logging, by Google's own client; from a local Logging where LOGGING_EMULATOR_HOST says so."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from .answer import Question
from .signs import ADOPTIONS, ANSWERS, CALLED_BACK, LIFE, TROUBLES
from .times import iso


if TYPE_CHECKING:
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client

HOST_VARIABLE: Final = "LOGGING_EMULATOR_HOST"

#: Cloud Logging gives so many entries in a page at most, and allows sixty pages a minute for a project.
_PAGE: Final = 1000
#: Seconds that one page may take.
_PATIENCE: Final = 30.0

#: Events that name no secret.
_OF_NO_SECRET: Final = LIFE | {"frozen"}
_OF_THE_SECRET: Final = ADOPTIONS | TROUBLES | ANSWERS | {CALLED_BACK}


class CannotRead(Exception):
    """Cloud Logging did not give its entries; the message says why, and what to do."""


def client() -> "LoggingServiceV2Client":
    """The official client, of the local Logging where the environment says so."""
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client

    host = os.environ.get(HOST_VARIABLE)
    if not host:
        return LoggingServiceV2Client()
    import grpc
    from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport

    # No proxy that the environment names leads to this machine.
    channel = grpc.insecure_channel(host, options=(("grpc.enable_http_proxy", 0),))
    return LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))


def wanted(question: Question, *, since: int, received_since: int = 0) -> str:
    """The filter that a trace reads by, in the Logging query language.

    Args:
        question: what is asked.
        since: entries of this moment on, in nanoseconds.
        received_since: of these, what Cloud Logging took in from this moment on; 0 for all.
    """
    # Half a name is enough here: the project is spelt by id or by number, and what is read is looked at anyway.
    named = f'"secrets/{question.secret}"'
    audit = f'protoPayload.serviceName="secretmanager.googleapis.com" AND protoPayload.resourceName:{named}'
    about = f"jsonPayload.event=({_any(_OF_THE_SECRET)}) AND jsonPayload.secret:{named}"
    lost = f'resource.type="secretmanager.googleapis.com/Secret" AND jsonPayload.name:{named}'
    lives = f"jsonPayload.event=({_any(_OF_NO_SECRET)})"
    late = f' AND receiveTimestamp>="{iso(received_since)}"' if received_since else ""
    return f'timestamp>="{iso(since)}"{late} AND (({audit}) OR ({about}) OR ({lives}) OR ({lost}))'


def read(
    logging: "LoggingServiceV2Client",
    projects: Sequence[str],
    wanted_: str,
    *,
    paged: Callable[[int, int], None] = lambda _pages, _entries: None,
) -> Iterator[Any]:
    """Read what a filter selects, oldest first.

    Args:
        logging: the client.
        projects: whose logs are read.
        wanted_: the filter.
        paged: told after each page how many pages and entries have come.

    Raises:
        CannotRead: the logs cannot be read.
    """
    from google.api_core import exceptions, retry
    from google.auth import exceptions as auth

    request = {
        "resource_names": [f"projects/{project}" for project in projects],
        "filter": wanted_,
        "order_by": "timestamp asc",
        "page_size": _PAGE,
    }
    # Left to itself the client tries for a minute, whatever the timeout says.
    again = retry.Retry(retry.if_transient_error, initial=0.2, maximum=2.0, timeout=_PATIENCE)
    entries = 0
    try:
        listed = logging.list_log_entries(request=request, timeout=_PATIENCE, retry=again)
        for pages, page in enumerate(listed.pages, start=1):
            entries += len(page.entries)
            paged(pages, entries)
            yield from map(as_json, page.entries)
    except (exceptions.GoogleAPICallError, exceptions.RetryError) as exc:
        why = exc.message or type(exc).__name__
        raise CannotRead(f"Cloud Logging of {', '.join(projects)}: {why}. {_ADVICE}") from exc
    except auth.GoogleAuthError as exc:
        raise CannotRead(f"no credentials: {exc}. Run: gcloud auth application-default login") from exc


_ADVICE: Final = "It takes roles/logging.viewer, and roles/logging.privateLogViewer for Data Access logs"


def as_json(entry: Any) -> Any:
    """An entry as JSON has it; None for one whose payload is of a type that nobody here knows."""
    from google.cloud.audit import audit_log_pb2  # type: ignore[import-untyped]  # noqa: F401  # a type of payloads
    from google.protobuf import json_format

    try:
        return json_format.MessageToDict(type(entry).pb(entry))
    except (TypeError, ValueError, RecursionError):
        return None


def _any(events: frozenset[str]) -> str:
    return " OR ".join(f'"{event}"' for event in sorted(events))
