"""The part of LoggingServiceV2 that writing entries and reading them back needs: write, list and tail."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from google.cloud.logging_v2.types.logging import (
    ListLogEntriesRequest,
    ListLogEntriesResponse,
    WriteLogEntriesRequest,
    WriteLogEntriesResponse,
)

from .log_filter import NotAFilter, parse
from .log_lines import LONGEST
from .log_store import Entry, LogStore, project_of
from .rpc import Caller, Method, Refusal, durably


NAME = "google.logging.v2.LoggingServiceV2"

# Entries of one page where nothing is said, and at most [documented].
_PAGE = 50
_LARGEST_PAGE = 1000

# Bytes of entries in one answer: clients refuse messages of more than 4 MiB where nothing is said to gRPC.
_LARGEST_ANSWER = 3 * 1024 * 1024

_LOG = re.compile(r"projects/[a-z0-9][a-z0-9:.-]{0,62}/logs/[A-Za-z0-9/_.%-]{1,511}")
_RESOURCE = re.compile(r"projects/[a-z0-9][a-z0-9:.-]{0,62}(?:/locations/[^/]+/buckets/[^/]+/views/[^/]+)?")
_ORDERS = {"": False, "timestamp": False, "timestamp asc": False, "timestamp desc": True}


class LoggingService:
    """LoggingServiceV2 over a store.

    Args:
        store: what exists.
    """

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def methods(self) -> Mapping[str, Method]:
        """The methods by their name on the wire, but for the stream."""
        return {
            "WriteLogEntries": Method(WriteLogEntriesRequest.pb(), self.write),
            "ListLogEntries": Method(ListLogEntriesRequest.pb(), self.list),
        }

    def write(self, request: Any, _caller: Caller) -> Any:
        """Keep entries: all of them, or none where one is not valid, unless `partial_success` says otherwise.

        Raises:
            Refusal: INVALID_ARGUMENT; UNAVAILABLE, they could not be made durable.
        """
        valid, refused = [], []
        for number, entry in enumerate(request.entries):
            _complete(entry, request)
            (refused.append((number, why)) if (why := _fault(entry)) else valid.append(entry))
        if (not refused or request.partial_success) and not request.dry_run:
            self._store.add(valid)
            durably(self._store.flush)
        if refused:
            number, why = refused[0]
            raise _invalid(f"Entry {number}: {why}; of {len(request.entries)} entries {len(refused)} are not valid.")
        return WriteLogEntriesResponse.pb()()

    def list(self, request: Any, _caller: Caller) -> Any:
        """One page of the entries that match, by time; the token says where the next page begins.

        Raises:
            Refusal: INVALID_ARGUMENT.
        """
        wanted = selection(request)
        if request.order_by not in _ORDERS:
            raise _invalid(f"`{request.order_by}` is no order: there are {', '.join(filter(None, _ORDERS))}.")
        if request.page_size < 0:
            raise _invalid("`page_size` is negative.")
        newest_first = _ORDERS[request.order_by]
        asked = _digest([*request.resource_names, request.filter, str(newest_first)])
        found = self._store.matching(wanted)
        if newest_first:
            found.reverse()
        if request.page_token:
            last = _from_token(request.page_token, asked)
            found = [entry for entry in found if (entry.key < last if newest_first else entry.key > last)]
        shown = fitting(found, min(request.page_size or _PAGE, _LARGEST_PAGE))
        answer = ListLogEntriesResponse.pb()(entries=[entry.message for entry in shown])
        if len(found) > len(shown):
            answer.next_page_token = _token(shown[-1].key, asked)
        return answer


def fitting(found: Sequence[Entry], most: int) -> Sequence[Entry]:
    """The first entries, `most` at most, that one answer holds: at least one where there is one."""
    size = 0
    for number, entry in enumerate(found[:most]):
        size += entry.size
        if number and size > _LARGEST_ANSWER:
            return found[:number]
    return found[:most]


def selection(request: Any) -> Callable[[Entry], bool]:
    """What a request's `resource_names` and `filter` let through.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if not request.resource_names:
        raise _invalid("`resource_names` is empty.")
    for name in request.resource_names:
        if _RESOURCE.fullmatch(name) is None:
            raise _invalid(f"`{name}` is not served here: the local Logging has projects, as `projects/P`.")
    projects = {project_of(name) for name in request.resource_names}
    try:
        test = parse(request.filter)
    except NotAFilter as exc:
        raise _invalid(f"Unparseable filter: {exc}.") from exc
    return lambda entry: entry.project in projects and test(entry.fields)


def _complete(entry: Any, request: Any) -> None:
    """What the request says for all its entries goes where an entry says nothing of its own [documented]."""
    entry.log_name = entry.log_name or request.log_name
    if not entry.HasField("resource"):
        entry.resource.CopyFrom(request.resource)
    for name, value in request.labels.items():
        if name not in entry.labels:
            entry.labels[name] = value


def _fault(entry: Any) -> str:
    """Why the entry is not valid, "" where it is."""
    if _LOG.fullmatch(entry.log_name) is None:
        return f"`{entry.log_name}` is no name of a log: `projects/P/logs/ID`, with ID's slashes written as %2F"
    if not entry.resource.type:
        return "`resource` is missing"
    if entry.ByteSize() > LONGEST:
        return f"it is larger than {LONGEST} bytes"
    try:
        entry.timestamp.ToJsonString()
    except ValueError:
        return "`timestamp` is out of range"
    return ""


def _digest(asked: list[str]) -> str:
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _token(key: tuple[int, str, str], asked: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([asked, *key]).encode()).decode()


def _from_token(token: str, asked: str) -> tuple[int, str, str]:
    try:
        of, nanoseconds, insert_id, log_name = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        key = int(nanoseconds), str(insert_id), str(log_name)
    except (ValueError, TypeError, RecursionError) as exc:
        raise _invalid("`page_token` is not one that was given out.") from exc
    if of != asked:
        raise _invalid("`page_token` is of another question: names, filter and order must stay as they were.")
    return key


def _invalid(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)
