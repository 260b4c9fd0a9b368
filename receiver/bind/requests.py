"""requests authentication that follows a secret: `session.auth = HeaderKey(secret, "x-api-key")`, `Bearer`, `Basic`.

The newest value is written into each request as it is sent. Where the provider answers 401, a newer value is looked for
once and the request is sent again with it, if there is one.
"""

from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from ..retrying import newer_than
from ..secret import HeldValue
from .followed import Followed
from .headers import Header, basic, bearer, plain


class _Following(AuthBase):
    def __init__(self, secret: Followed[Any], header: Header) -> None:
        self._secret = secret
        self._header = header

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        held = self._secret.held
        self._write(request, held)
        body: Any = request.body
        start = body.tell() if hasattr(body, "tell") else None
        repeatable = start is not None or body is None or isinstance(body, bytes | str)
        where = _origin(request)

        def again(response: Response, **settings: Any) -> Response:
            # Only to whom it was meant for: a redirection may have led elsewhere.
            if response.status_code != 401 or not repeatable or _origin(response.request) != where:
                return response
            return self._resend(response, start, settings) if self._is_replaced(held) else response

        request.hooks["response"].append(again)
        return request

    def _is_replaced(self, held: HeldValue[Any]) -> bool:
        return newer_than(self._secret, held, timeout=2.0)

    def _write(self, request: PreparedRequest, held: HeldValue[Any]) -> None:
        name, value = self._header(held.value)
        request.headers[name] = value

    def _resend(self, response: Response, start: Any, settings: dict[str, Any]) -> Response:
        _ = response.content  # read to the end, so that its connection can be used again
        response.close()
        request = response.request.copy()
        request.hooks = {**request.hooks, "response": []}  # once: its answer is the answer
        if start is not None:
            body: Any = request.body
            body.seek(start)
        self._write(request, self._secret.held)
        answer = response.connection.send(request, **settings)
        answer.history.append(response)
        answer.request = request
        return answer


def _origin(request: PreparedRequest) -> tuple[str, str]:
    parts = urlsplit(request.url or "")
    return parts.scheme, parts.netloc


class HeaderKey(_Following):
    """Send a secret's value in a header.

    requests sends it on to wherever a redirection leads (of all headers it takes off Authorization alone), so switch
    redirections off where the provider has no business redirecting.

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
