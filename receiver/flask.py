"""The Flask skin: a blueprint with the push route, and the check at the start of each request."""

from flask import Blueprint, Response, request

from .auth import Auth
from .cache import SecretCache
from .handler import PushHandler


def refresh_blueprint(cache: SecretCache, *, auth: Auth, path: str = "/secrets/events") -> Blueprint:
    """Make the blueprint that keeps `cache` up to date in a Flask application.

    It answers Pub/Sub's pushes at `POST path`, and lets a worker that a push passed over catch up before each
    request of the whole application. Register it once per application.

    Args:
        cache: whose entries follow the events.
        auth: who may push; there is no default.
        path: the route, which is the push subscription's endpoint.
    """
    handler = PushHandler(cache, auth)
    blueprint = Blueprint("keyturn", __name__)

    def push() -> Response:
        answer = handler(dict(request.headers), request.content_length, request.stream.read)
        return Response(status=answer.status)

    def fence() -> None:
        cache.fence()

    blueprint.add_url_rule(path, "push", push, methods=["POST"])
    blueprint.before_app_request(fence)
    return blueprint
