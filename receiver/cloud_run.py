"""Who may push where Cloud Run checks tokens: a choice by name, since what it leaves of a token proves nothing."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from .auth import Expecting, bearer
from .claims import REMOVED_SIGNATURE, read
from .errors import ConfigurationError, Unauthenticated


#: Set in every Cloud Run service [cloud.google.com/run/docs/container-contract].
_VARIABLE: Final = "K_SERVICE"


class CloudRunIAM(Expecting):
    """Let in who names our sender and our audience, where Cloud Run has checked the signature. Thread-safe.

    For services that only Cloud Run's invoker check lets in. Cloud Run then verifies the push's token and hands it on
    with `SIGNATURE_REMOVED_BY_GOOGLE` in place of the signature [cloud.google.com/run/docs/troubleshooting,
    signature-removed]. Everything else is checked here as `OIDC` does. A token that still has a signature is refused,
    and so is every token outside of Cloud Run, where anybody could write one.

    So every holder of `roles/run.invoker` is believed: it can show its own token in `X-Serverless-Authorization`, which
    Cloud Run checks instead where both are there [GoogleCloudPlatform/cloud-run-proxy, pull request 25], and write what
    it likes into `Authorization`. Give the role to the push subscription's service account alone, never to `allUsers`.
    Where others call the service too, make it public and let `OIDC` check the signature.

    Args:
        audience: the audience of the push subscription, which is its endpoint where none was set; several for a move
            from one to the other.
        sender: the service account of the push subscription; likewise.
        environ: where `K_SERVICE` stands; it is read when a route is made and at each push, never before.
        wall: seconds since the epoch.

    Raises:
        ValueError: audience or sender is empty or has blanks in it.
    """

    def __init__(
        self,
        *,
        audience: str | Sequence[str],
        sender: str | Sequence[str],
        environ: Mapping[str, str] = os.environ,
        wall: Callable[[], float] = time.time,  # noqa: TID251  # the default of the argument
    ) -> None:
        super().__init__(audience=audience, sender=sender, wall=wall)
        self._environ = environ

    def verify(self, authorization: str | None) -> str:
        """See `Auth.verify`."""
        if not self._is_cloud_run():
            raise Unauthenticated(f"nothing is believed here: {_VARIABLE} is not set, so this is not Cloud Run")
        unverified = read(bearer(authorization))
        sender = self._expected.check(unverified.claims, now=self._wall())
        if unverified.signature != REMOVED_SIGNATURE:
            raise Unauthenticated(
                "the token still has a signature, so Cloud Run's invoker check did not let it in; "
                "require authentication of the service, or use OIDC"
            )
        return sender

    def announce(self) -> None:
        """See that this is Cloud Run.

        Raises:
            ConfigurationError: it is not.
        """
        if not self._is_cloud_run():
            raise ConfigurationError(
                f"CloudRunIAM relies on Cloud Run's invoker check, but {_VARIABLE} is not set, so this is not Cloud "
                "Run; use OIDC, which checks the signature itself"
            )

    def after_fork(self) -> None:
        """Nothing is held."""

    def _is_cloud_run(self) -> bool:
        return bool(self._environ.get(_VARIABLE))
