"""keyturn's receiver: secrets of Google Secret Manager that follow their newest version while the service runs.

Importing this package imports neither grpc nor google.cloud nor flask; what needs them imports them late.
"""

from typing import TYPE_CHECKING, Any

from .auth import OIDC, Auth, Insecure
from .cache import SecretCache
from .cloud_run import CloudRunIAM
from .errors import (
    ConfigurationError,
    KeyturnError,
    SecretRevoked,
    SecretUnavailable,
)
from .secret import HeldValue, Secret


if TYPE_CHECKING:
    from .flask import refresh_blueprint


__all__ = [
    "OIDC",
    "Auth",
    "CloudRunIAM",
    "ConfigurationError",
    "HeldValue",
    "Insecure",
    "KeyturnError",
    "Secret",
    "SecretCache",
    "SecretRevoked",
    "SecretUnavailable",
    "refresh_blueprint",
]


def __getattr__(name: str) -> Any:
    if name == "refresh_blueprint":
        from .flask import refresh_blueprint

        return refresh_blueprint
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
