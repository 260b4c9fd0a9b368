"""The Secret Manager's RPCs by HTTP."""

from collections.abc import Mapping
from typing import Any

from .rest_routes import Routes
from .rest_server import RestServer
from .secret_callers import Callers, SecretCaller
from .secret_gate import Gate
from .secret_rpcs import RPCS


_PARENT = r"projects/[^/]+(?:/locations/[^/:]+)?"
_UNDER = r"/secrets/[^/:]+"
_PATTERNS = {"P": _PARENT, "S": _PARENT + _UNDER, "V": rf"{_PARENT}{_UNDER}/versions/[^/:]+"}

# The payload of a version is at most 64 KiB, and base64 makes it a third larger.
_LARGEST_BODY = 1024 * 1024


def rest_server(gate: Gate, callers: Callers, *, address: str) -> RestServer:
    """Serve a gate by HTTP on a free port."""

    def answer(method: str, request: Any, said: Mapping[str, str], peer: str) -> Any:
        caller = SecretCaller(
            peer=peer,
            user_agent=said.get("user-agent", ""),
            api_client=said.get("x-goog-api-client", ""),
            identity=callers.identity(said),
        )
        return gate.call(method, request, caller)

    routes = Routes(RPCS.values(), _PATTERNS)
    return RestServer("secret-manager", routes=routes, answer=answer, largest=_LARGEST_BODY, address=address)
