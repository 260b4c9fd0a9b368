"""The ASGI skin: a middleware with the push route, and the check at the start of each request. No framework.

What may block runs on daemon threads, never on the event loop: verifying may download keys, and applying an event
reads from Secret Manager. A request that finds nothing new costs one comparison.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from .auth import Auth
from .cache import SecretCache
from .errors import Answer
from .events import MAX_BODY
from .gate import folded
from .handler import push_handler
from .operators import LARGEST, Operators, Reply
from .structured import ASGI_SCOPE
from .threads import spawn
from .worker import CATCH_UP


Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Route = Callable[[Scope, Receive, Send], Awaitable[None]]

#: How many pushes are worked on at the same time; others wait, and hold up nothing but themselves.
PUSHES: Final = 16

_T = TypeVar("_T")


@dataclass(slots=True)
class _Here:
    """What belongs to one event loop."""

    loop: asyncio.AbstractEventLoop
    slots: asyncio.Semaphore
    fence: "asyncio.Future[None] | None" = None


class RefreshMiddleware:
    """Keep `cache` up to date in an ASGI application.

    It answers Pub/Sub's pushes at `POST path`, and lets a worker that a push passed over catch up before each HTTP
    request and WebSocket of the application. Everything else is the application's.

    Args:
        app: the application.
        cache: whose entries follow the events.
        auth: who may push; there is no default. None for a cache that only pulls: there is no push route then.
        operators: who may ask `GET /secrets/status` and `POST /secrets/refresh`, the routes beside `path`; without it
            there are no such routes.
        path: the route, which is the push subscription's endpoint.

    Raises:
        ValueError: nobody may push, and the cache does not pull instead.
    """

    def __init__(
        self,
        app: App,
        cache: SecretCache,
        *,
        auth: Auth | None,
        operators: Auth | None = None,
        path: str = "/secrets/events",
    ) -> None:
        self._app = app
        self._cache = cache
        handler = push_handler(cache, auth)
        self._routes: dict[tuple[str, str], Route] = {}
        if handler is not None:
            self._handler = handler
            self._routes["POST", path] = self._push
        if operators is not None:
            self._people = Operators(
                cache, operators, pushes=lambda: handler.answers if handler is not None else Counter()
            )
            beside = path.rpartition("/")[0]
            self._routes["GET", f"{beside}/status"] = self._status
            self._routes["POST", f"{beside}/refresh"] = self._refresh
        self._state: _Here | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a push, or hand on to the application what is none."""
        route = self._route(scope)
        if route is not None:
            await route(scope, receive, send)
            return
        if scope["type"] in {"http", "websocket"} and not self._cache.current:
            await self._catch_up()
        ASGI_SCOPE.set(scope)
        await self._app(scope, receive, send)

    def _route(self, scope: Scope) -> "Route | None":
        if scope["type"] != "http":
            return None
        method, path = scope["method"], scope["path"]
        # Servers disagree on whether the path begins with the prefix under which the application is mounted.
        return self._routes.get((method, path)) or self._routes.get(
            (method, path.removeprefix(scope.get("root_path", "")))
        )

    async def _push(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        length = headers.get("content-length", "")
        slots = self._here().slots
        async with slots:
            push = await _on_a_thread(lambda: self._handler.admit(headers, int(length) if _is_short(length) else None))
        if isinstance(push, Answer):
            answer = push
        else:
            body = await _body(receive, MAX_BODY + 1)
            if body is None:
                return  # nobody is there to be answered
            async with slots:
                answer = await _on_a_thread(lambda: push(body))
        ended = [] if answer.status == Answer.APPLIED.status else [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": answer.status, "headers": ended})
        await send({"type": "http.response.body", "body": b""})

    async def _status(self, scope: Scope, _: Receive, send: Send) -> None:
        authorization = _headers(scope).get("authorization")
        await _reply(send, await _on_a_thread(lambda: self._people.status(authorization)))

    async def _refresh(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorization = _headers(scope).get("authorization")
        refused = await _on_a_thread(lambda: self._people.refused(authorization))
        if refused is not None:
            await _reply(send, refused)
            return
        body = await _body(receive, LARGEST + 1)
        if body is not None:
            await _reply(send, await _on_a_thread(lambda: self._people.refresh(authorization, None, lambda _: body)))

    async def _catch_up(self) -> None:
        """Wait for a fence that began after now, `CATCH_UP` seconds at most.

        All requests share one: one that is under way may have read the board before the latest news, so who finds
        one waits for it, and for the next where that did not suffice.
        """
        here = self._here()
        deadline = here.loop.time() + CATCH_UP
        own = False
        while not own and not self._cache.current:
            own = here.fence is None
            fence = here.fence or self._fence(here)
            await asyncio.wait({fence}, timeout=max(0.0, deadline - here.loop.time()))
            if not fence.done():
                return
            fence.result()

    def _fence(self, here: _Here) -> "asyncio.Future[None]":
        fence = here.fence = _on_a_thread(self._cache.fence)

        def ended(_: "asyncio.Future[None]") -> None:
            here.fence = None
            fence.exception()  # nobody may be waiting any more

        fence.add_done_callback(ended)
        return fence

    def _here(self) -> _Here:
        loop = asyncio.get_running_loop()
        if self._state is None or self._state.loop is not loop:
            self._state = _Here(loop, asyncio.Semaphore(PUSHES))
        return self._state


def _on_a_thread(work: Callable[[], _T]) -> "asyncio.Future[_T]":
    """Run `work` on a daemon thread; the loop's own would be waited for when the process ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        try:
            settle(done.set_result, work())
        except BaseException as exc:  # noqa: BLE001  # it is raised where the future is awaited
            settle(done.set_exception, exc)

    def settle(how: Callable[[Any], None], outcome: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lambda: None if done.done() else how(outcome))

    spawn(run, name="asgi")
    return done


def _headers(scope: Scope) -> dict[str, str]:
    return folded((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])


async def _reply(send: Send, reply: Reply) -> None:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **reply.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.body})


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The first `limit` bytes of a request's body; None where the client has gone."""
    kept = bytearray()
    more = True
    while more and len(kept) < limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        kept += message.get("body", b"")[: limit - len(kept)]
        more = message.get("more_body", False)
    return bytes(kept)


def _is_short(length: str) -> bool:
    return length.isascii() and length.isdecimal() and len(length) < 20
