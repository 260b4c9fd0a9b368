"""keyturn's receiver: secrets of Google Secret Manager that follow their newest version while the service runs.

Importing this package imports nothing else: each name is fetched when it is first used, and what needs grpc,
google.cloud, flask or a token library imports them later still.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from .asgi import RefreshMiddleware
    from .auth import OIDC, Auth, Insecure
    from .cache import SecretCache
    from .cloud_run import CloudRunIAM
    from .errors import Answer, ConfigurationError, KeyturnError, SecretRevoked, SecretUnavailable, ValueRejected
    from .events import SecretEvent
    from .flask import refresh_blueprint
    from .gate import Gate
    from .groups import Group, View
    from .manifest import Manifest, ManifestError
    from .names import SecretName
    from .parsing import URL
    from .retrying import retry_on_auth_error
    from .secret import HeldValue, Secret
    from .shared_token import SharedToken
    from .signatures import verify_hmac
    from .structured import StructuredFormatter


__all__ = [
    "OIDC",
    "URL",
    "Answer",
    "Auth",
    "CloudRunIAM",
    "ConfigurationError",
    "Gate",
    "Group",
    "HeldValue",
    "Insecure",
    "KeyturnError",
    "Manifest",
    "ManifestError",
    "RefreshMiddleware",
    "Secret",
    "SecretCache",
    "SecretEvent",
    "SecretName",
    "SecretRevoked",
    "SecretUnavailable",
    "SharedToken",
    "StructuredFormatter",
    "ValueRejected",
    "View",
    "refresh_blueprint",
    "retry_on_auth_error",
    "verify_hmac",
]

#: Where each public name lives; a test compares this with `__all__`.
_HOMES: Final = {
    "OIDC": "auth",
    "URL": "parsing",
    "Answer": "errors",
    "Auth": "auth",
    "CloudRunIAM": "cloud_run",
    "ConfigurationError": "errors",
    "Gate": "gate",
    "Group": "groups",
    "HeldValue": "secret",
    "Insecure": "auth",
    "KeyturnError": "errors",
    "Manifest": "manifest",
    "ManifestError": "manifest",
    "RefreshMiddleware": "asgi",
    "Secret": "secret",
    "SecretCache": "cache",
    "SecretEvent": "events",
    "SecretName": "names",
    "SecretRevoked": "errors",
    "SecretUnavailable": "errors",
    "SharedToken": "shared_token",
    "StructuredFormatter": "structured",
    "ValueRejected": "errors",
    "View": "groups",
    "refresh_blueprint": "flask",
    "retry_on_auth_error": "retrying",
    "verify_hmac": "signatures",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
