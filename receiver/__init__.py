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
    from .errors import ConfigurationError, KeyturnError, SecretRevoked, SecretUnavailable
    from .flask import refresh_blueprint
    from .manifest import Manifest, ManifestError
    from .secret import HeldValue, Secret
    from .shared_token import SharedToken


__all__ = [
    "OIDC",
    "Auth",
    "CloudRunIAM",
    "ConfigurationError",
    "HeldValue",
    "Insecure",
    "KeyturnError",
    "Manifest",
    "ManifestError",
    "RefreshMiddleware",
    "Secret",
    "SecretCache",
    "SecretRevoked",
    "SecretUnavailable",
    "SharedToken",
    "refresh_blueprint",
]

#: Where each public name lives; a test compares this with `__all__`.
_HOMES: Final = {
    "OIDC": "auth",
    "Auth": "auth",
    "CloudRunIAM": "cloud_run",
    "ConfigurationError": "errors",
    "HeldValue": "secret",
    "Insecure": "auth",
    "KeyturnError": "errors",
    "Manifest": "manifest",
    "ManifestError": "manifest",
    "RefreshMiddleware": "asgi",
    "Secret": "secret",
    "SecretCache": "cache",
    "SecretRevoked": "errors",
    "SecretUnavailable": "errors",
    "SharedToken": "shared_token",
    "refresh_blueprint": "flask",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
