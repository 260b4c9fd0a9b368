"""A Cloud Logging on loopback: what services print and what the audit log says, for the official client to read."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import grpc
from google.cloud.logging_v2.types.log_entry import LogEntry
from google.cloud.logging_v2.types.logging import TailLogEntriesRequest
from google.protobuf import json_format

from . import log_lines, logging_tail
from .journal import Journal
from .log_lines import Printer
from .log_store import LogStore
from .logging_service import NAME, LoggingService
from .ports import Wall
from .rpc import LOOPBACK, Server


class Logging:
    """Serve the part of google.logging.v2.LoggingServiceV2 that writing and reading entries needs, for any projects.

    WriteLogEntries, ListLogEntries and TailLogEntries; all else is UNIMPLEMENTED. The newest entries are kept, see
    `log_store`. Thread-safe.

    Args:
        project: id of the project that printed lines belong to.
        wall: wall time.
        port: 0 takes a free one.
        address: to listen on; everybody who reaches it may do everything.
        journal: where entries are kept over a restart.

    Raises:
        PortInUse: the port is taken.
    """

    def __init__(
        self, *, project: str, wall: Wall, port: int = 0, address: str = LOOPBACK, journal: Journal | None = None
    ) -> None:
        self._project = project
        self._wall = wall
        self._store = LogStore(wall=wall, journal=journal)
        service = LoggingService(self._store)
        self._server = Server("logging", port=port, address=address, services={NAME: service.methods()})
        self._server._server.add_generic_rpc_handlers((self._streams(),))
        self.host = self._server.host

    def stop(self) -> None:
        """Let listeners go, and end."""
        self._store.close()
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def take(self, entry: Mapping[str, Any]) -> None:
        """Keep an entry of the audit log, or of Secret Manager's own, given as JSON has it."""
        self._store.add([json_format.ParseDict(dict(entry), LogEntry.pb()())])

    def take_lines(
        self, lines: Iterable[str | bytes], *, service: str, revision: str = "", stream: str = "stdout"
    ) -> None:
        """Keep what a service printed, each line as an entry of its own, as Cloud Run's agent does; see `log_lines`.

        Args:
            lines: with or without their ends; empty ones are left out.
            service: the name that the service has on Cloud Run.
            revision: its revision; made up where it is empty.
            stream: `stdout` or `stderr`.

        Raises:
            OSError: they could not be made durable.
        """
        printer = Printer(project=self._project, service=service, revision=revision, stream=stream)
        now = self._wall()
        entries = [log_lines.entry(line, printer, at=now) for line in lines]
        self._store.add([entry for entry in entries if entry is not None])
        self._store.flush()

    def _streams(self) -> grpc.GenericRpcHandler:
        tail: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            lambda requests, context: logging_tail.serve(self._store, requests, context),
            request_deserializer=TailLogEntriesRequest.pb().FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        return grpc.method_handlers_generic_handler(NAME, {"TailLogEntries": tail})
