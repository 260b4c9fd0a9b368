"""The rotator as a service: a Flask application that SECRET_ROTATE is pushed to."""

import logging
from collections.abc import Callable
from typing import Any, Final

from flask import Flask, Response, jsonify, request

from receiver import Answer, Auth, Gate, SecretEvent

from .machine import Outcome
from .report import all_reports
from .rotations import Rotations
from .telemetry import entry as log
from .vault import VaultError


#: Pub/Sub's own words for what is not done yet: it sends again, with the subscription's backoff.
_AGAIN: Final = 503
_ROTATE: Final = "SECRET_ROTATE"


def create_app(
    rotations: Rotations,
    *,
    auth: Auth,
    operators: Auth | None = None,
    paused: bool = False,
    tick: Callable[[], object] | None = None,
) -> Flask:
    """Make the application.

    `POST /rotation/events` takes what the subscription pushes, and answers when the new version is there or when it
    is sure to come. Where `operators` are named, `GET /rotation/status` says where every rotation stands, and
    `POST /rotation/tick` does what is due, for a scheduler where the platform lets no timers run.

    Args:
        rotations: of the manifest.
        auth: who may push.
        operators: who may look and act; None leaves those routes out.
        paused: whether nothing is begun; what is pushed is noted, since Pub/Sub gives up after a hundred attempts.
        tick: does what is due.
    """
    app = Flask(__name__)
    gate = Gate(auth)
    auth.announce()

    @app.post("/rotation/events")
    def events() -> Response:
        opened = gate.admit(dict(request.headers), request.content_length)
        if isinstance(opened, Answer):
            return Response(status=opened.status)
        event = opened(request.stream.read(gate.READ_AT_MOST))
        if isinstance(event, Answer):
            return Response(status=event.status)
        return Response(status=answer(rotations, event, paused=paused))

    if operators is not None:
        _add_routes(app, rotations, operators, tick)
    return app


def answer(rotations: Rotations, event: SecretEvent, *, paused: bool = False) -> int:
    """Do what an event asks for, and return the status of the answer to its push.

    204 is for what is done, is none of ours, or is noted and waits for a time that a redelivery cannot bring nearer;
    503 for what is to be tried again within minutes.
    """
    if event.type != _ROTATE:
        return 204
    try:
        machine = rotations.heard(event)
    except VaultError as exc:
        log(logging.ERROR, "rotation_failed", str(exc), secret=str(event.secret), step="ask")
        return _AGAIN
    if machine is None:
        log(logging.INFO, "rotation_not_ours", f"nothing here rotates {event.secret}", secret=str(event.secret))
        return 204
    if paused:
        return 204
    done = rotations.advance(machine)
    return _AGAIN if done.outcome in {Outcome.BUSY, Outcome.FAILED} else 204


def _add_routes(app: Flask, rotations: Rotations, operators: Auth, tick: Callable[[], object] | None) -> None:
    from receiver import KeyturnError

    operators.announce()

    def refused() -> tuple[Response, int] | None:
        try:
            operators.verify(request.headers.get("Authorization"))
        except KeyturnError as exc:
            log(logging.WARNING, "push_refused", str(exc))
            return jsonify(error="not an operator"), 403
        return None

    @app.get("/rotation/status")
    def status() -> Any:
        return refused() or jsonify(all_reports(rotations))

    @app.post("/rotation/tick")
    def due() -> Any:
        no = refused()
        if no is None and tick is not None:
            tick()
        return no or ("", 204)
