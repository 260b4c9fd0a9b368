"""The Flask skin: a blueprint with the push route, and the check at the start of each request."""

from collections import Counter
from typing import cast

from flask import Blueprint, Flask, Response, request
from flask.blueprints import BlueprintSetupState

from .auth import Auth
from .cache import SecretCache
from .handler import PushHandler, push_handler
from .operators import Operators, Reply


def refresh_blueprint(
    cache: SecretCache, *, auth: Auth | None, operators: Auth | None = None, path: str = "/secrets/events"
) -> Blueprint:
    """Make the blueprint that keeps `cache` up to date in a Flask application.

    It answers Pub/Sub's pushes at `POST path`, and lets a worker that a push passed over catch up before each
    request of the whole application. Register it once per application.

    Args:
        cache: whose entries follow the events.
        auth: who may push; there is no default. None for a cache that only pulls: there is no push route then.
        operators: who may ask `GET /secrets/status` and `POST /secrets/refresh`, the routes beside `path`; without it
            there are no such routes.
        path: the route, which is the push subscription's endpoint.

    Raises:
        ValueError: nobody may push, and the cache does not pull instead.
    """
    handler = push_handler(cache, auth)
    blueprint = Blueprint("keyturn", __name__)

    def fence(state: BlueprintSetupState) -> None:
        # Not `before_app_request`: what the application registered before the blueprint would run first and could read
        # an old value, and Flask asks of each such function at each request whether it is a coroutine.
        app = cast(Flask, state.app)
        app.wsgi_app = cache.fenced(app.wsgi_app)  # type: ignore[method-assign, assignment]  # Flask's own way to wrap it

    blueprint.record(fence)
    if handler is not None:
        _add_push(blueprint, handler, path)
    if operators is not None:
        people = Operators(cache, operators, pushes=lambda: handler.answers if handler is not None else Counter())
        _add_routes(blueprint, people, path.rpartition("/")[0])
    return blueprint


def _add_push(blueprint: Blueprint, handler: PushHandler, path: str) -> None:
    def push() -> Response:
        answer = handler(dict(request.headers), request.content_length, request.stream.read)
        return Response(status=answer.status)

    blueprint.add_url_rule(path, "push", push, methods=["POST"])


def _add_routes(blueprint: Blueprint, people: Operators, beside: str) -> None:
    def status() -> Response:
        return _response(people.status(request.headers.get("Authorization")))

    def refresh() -> Response:
        authorization = request.headers.get("Authorization")
        return _response(people.refresh(authorization, request.content_length, request.stream.read))

    blueprint.add_url_rule(f"{beside}/status", "status", status, methods=["GET"])
    blueprint.add_url_rule(f"{beside}/refresh", "refresh", refresh, methods=["POST"])


def _response(reply: Reply) -> Response:
    # Not to be kept anywhere: what is served now says nothing of later.
    headers = {"Cache-Control": "no-store", **reply.headers}
    return Response(reply.body, status=reply.status, headers=headers, mimetype="application/json")
