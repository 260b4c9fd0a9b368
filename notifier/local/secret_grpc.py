"""The Secret Manager's RPCs by gRPC."""

from typing import Any

import grpc

from .rpc import Refusal
from .secret_callers import Callers, SecretCaller
from .secret_gate import Gate
from .secret_rpcs import LOCATIONS, NAME, RPCS, Rpc


def handlers(gate: Gate, callers: Callers) -> tuple[grpc.GenericRpcHandler, ...]:
    """What a gRPC server is given to serve all RPCs."""
    return tuple(
        grpc.method_handlers_generic_handler(
            service, {rpc.name: _handler(rpc, gate, callers) for rpc in RPCS.values() if rpc.service == service}
        )
        for service in (NAME, LOCATIONS)
    )


def _handler(rpc: Rpc, gate: Gate, callers: Callers) -> "grpc.RpcMethodHandler[Any, Any]":
    def call(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return gate.call(rpc.name, request, _caller(context, callers))
        except Refusal as refusal:
            context.abort(refusal.code, refusal.message)

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=rpc.request.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )


def _caller(context: grpc.ServicerContext, callers: Callers) -> SecretCaller:
    said = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
    return SecretCaller(
        peer=context.peer(),
        user_agent=said.get("user-agent", ""),
        api_client=said.get("x-goog-api-client", ""),
        when_gone=context.add_callback,
        identity=callers.identity(said),
    )
