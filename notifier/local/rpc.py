"""gRPC servers on loopback, built from plain functions of a request.

The functions know nothing of gRPC beyond status codes, so that another transport can serve them too.
"""

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc


LOOPBACK = "127.0.0.1"

# Every address of the machine.
EVERYWHERE = "0.0.0.0"  # noqa: S104 - compared with, and bound to where that was asked for

# A publish request may be as large as 10 MB [documented]; gRPC's own bound is 4 MB.
_LARGEST_REQUEST = 11 * 1024 * 1024

# Hanging calls (a stream, a pull that waits, a slowness that was asked for) hold a thread each, hence so many: where
# none is left, all others wait. Threads are made as calls need them.
_THREADS = 1024


class Refusal(Exception):
    """The service says no, with a status.

    Args:
        code: the status.
        message: one sentence, as the real service words it where that is known.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def durably(flush: Callable[[], None]) -> None:
    """Wait until what a call changed is durable.

    Raises:
        Refusal: UNAVAILABLE, it cannot be made so; the caller may not count on the change.
    """
    try:
        flush()
    except OSError as exc:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, f"The change could not be kept: {exc}.") from exc


class PortInUse(Exception):
    """A port cannot be bound: something else listens there.

    Args:
        server: which server wanted it: "secret-manager", "pubsub" or "keys".
        port: the port.
        address: where.
    """

    def __init__(self, server: str, port: int, *, address: str = LOOPBACK) -> None:
        super().__init__(f"port {port} on {address} is in use (wanted by the {server} server)")
        self.server = server
        self.port = port


class Unreachable(Exception):
    """Nothing answers at an address that was named."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and how long they will wait.

    Args:
        peer: address, such as `ipv4:127.0.0.1:40000`: one connection each.
        user_agent: what the caller says it is.
        api_client: the versions of Google's libraries that it says it uses.
        when_gone: registers a function to be called when the caller has left; False where that was so already.
    """

    peer: str = "in-process"
    user_agent: str = ""
    api_client: str = ""
    when_gone: Callable[[Callable[[], None]], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service.

    Args:
        request: protobuf class of the request.
        call: takes the request and the caller and returns the answer, a protobuf message, or raises `Refusal`.
    """

    request: Any
    call: Callable[[Any, Caller], Any]


class Server:
    """A gRPC server on a loopback port of its own.

    Args:
        name: for messages and thread names.
        port: 0 takes a free one.
        services: full name of a service -> name of a method -> method.
        address: to listen on; everybody who reaches it may do everything.

    Raises:
        PortInUse: the port is taken.
    """

    def __init__(
        self, name: str, *, port: int, services: Mapping[str, Mapping[str, Method]], address: str = LOOPBACK
    ) -> None:
        if port:
            _refuse_taken(name, port, address)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"local-{name}")
        self._server = grpc.server(
            self._threads,
            handlers=[
                grpc.method_handlers_generic_handler(
                    service, {called: _handler(method) for called, method in methods.items()}
                )
                for service, methods in services.items()
            ],
            options=(
                # Two servers must never share a port silently; gRPC's default on Linux lets them.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _LARGEST_REQUEST),
            ),
        )
        try:
            self.port = self._server.add_insecure_port(f"{address}:{port}")
        except RuntimeError as exc:
            self._threads.shutdown()
            raise PortInUse(name, port, address=address) from exc
        self.host = f"{reached(address)}:{self.port}"
        self._server.start()

    def stop(self) -> None:
        """Cancel what is under way, and end."""
        self._server.stop(None).wait(1.0)
        self._threads.shutdown(wait=True, cancel_futures=True)


def reached(address: str) -> str:
    """The address by which this machine reaches what listens on `address`."""
    return LOOPBACK if address == EVERYWHERE else address


def _refuse_taken(name: str, port: int, address: str) -> None:
    # gRPC would say it too, after lines of its own on standard error.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as exc:
            raise PortInUse(name, port, address=address) from exc


def _handler(method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
    def call(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method.call(request, _caller(context))
        except Refusal as refusal:
            context.abort(refusal.code, refusal.message)

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=method.request.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )


def _caller(context: grpc.ServicerContext) -> Caller:
    said = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
    return Caller(
        peer=context.peer(),
        user_agent=said.get("user-agent", ""),
        api_client=said.get("x-goog-api-client", ""),
        when_gone=context.add_callback,
    )
