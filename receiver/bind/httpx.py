"""httpx authentication that follows a secret: `httpx.Client(auth=HeaderKey(secret, "x-api-key"))`, `Bearer`, `Basic`.

The newest value is written into each request as it is sent. Where the provider answers 401, a newer value is looked for
once and the request is sent again with it, if there is one. For `Client` and `AsyncClient`.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx

from ..retrying import newer_than
from ..secret import HeldValue
from .followed import Followed
from .headers import Header, basic, bearer, plain
from .login import held_without_blocking


class _Following(httpx.Auth):
    def __init__(self, secret: Followed[Any], header: Header) -> None:
        self._secret = secret
        self._header = header

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        held = self._secret.held
        self._write(request, held)
        response = yield request
        if response.status_code == 401 and _is_repeatable(request) and newer_than(self._secret, held, timeout=2.0):
            response.read()
            self._write(request, self._secret.held)
            yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        held = await held_without_blocking(self._secret)
        self._write(request, held)
        response = yield request
        if response.status_code == 401 and _is_repeatable(request):
            await response.aread()
            if await asyncio.to_thread(newer_than, self._secret, held, timeout=2.0):
                self._write(request, self._secret.held)
                yield request

    def _write(self, request: httpx.Request, held: HeldValue[Any]) -> None:
        name, value = self._header(held.value)
        request.headers[name] = value


def _is_repeatable(request: httpx.Request) -> bool:
    # What is streamed once cannot be sent again; httpx makes bytes of everything else.
    return isinstance(request.stream, httpx.ByteStream)


class HeaderKey(_Following):
    """Send a secret's value in a header.

    Args:
        secret: a `Secret` whose value is text.
        name: the header's name, such as "x-api-key".
    """

    def __init__(self, secret: Followed[str], name: str) -> None:
        super().__init__(secret, plain(name))


class Bearer(_Following):
    """Send a secret's value as a bearer token [RFC 6750]; `secret` is one whose value is text."""

    def __init__(self, secret: Followed[str]) -> None:
        super().__init__(secret, bearer)


class Basic(_Following):
    """Send user and password [RFC 7617].

    Args:
        secret: a `Secret` or `Group`; its value is the password, or says both (see `receiver.bind.followed`).
        user: the user, where the secret does not say it.
    """

    def __init__(self, secret: Followed[Any], user: str | None = None) -> None:
        super().__init__(secret, basic(user))
