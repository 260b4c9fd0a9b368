"""The control endpoint: what was called, and faults on demand, for other processes than this one.

Bodies and answers are JSON objects; `secret` and `topic` are full names.

    GET  /calls?secret=S     accesses of S, or all: {"calls": [...], "counts": [...]}; POST /calls/clear forgets them
    GET  /pushes             pushes so far: {"pushes": [...]}
    GET  /keys               {"fetches": n, "kid": "..."}
    POST /secrets/fail       {"secret", "times"=1, "code"="UNAVAILABLE", "message"}
    POST /secrets/slow       {"secret", "seconds"=null (until healed), "times"=null (all)}
    POST /secrets/damage     {"secret", "times"=1}
    POST /secrets/lag        {"secret", "changes"=null, "seconds"=0}; POST /secrets/catch-up {"secret"} ends it
    POST /secrets/heal       {"secret"=null (all)}
    POST /secrets/limit      {"on"=true}: production's quotas
    POST /secrets/forbid     {"topic", "forbidden"=true}: Secret Manager may not publish to it
    POST /audit              {"reads"=true}: Data Access too
    POST /clock/advance      {"seconds"}: what is due by then happens
    POST /pubsub/duplicate   {"topic", "times"=1, "copies"=1, "new_id"=false}
    POST /pubsub/delay       {"topic", "seconds", "times"=1}
    POST /pubsub/reorder     {"topic", "times"=1}
    POST /pubsub/break       {"subscription", "fault" (see `PubSub.break_pushes`), "times"=1 (null: until healed)}
    POST /pubsub/follow      {"seed", and how likely each fault is: see `FaultPlan`}
    POST /pubsub/repeat      {"topic", "new_id"=false} -> {"id"}; POST /pubsub/heal {} ends all faults of Pub/Sub
    POST /logs               {"service", "lines": [...], "revision"="", "stream"="stdout"}: what a service printed
    POST /sign               {"claims", "forged"=false} -> {"token"}
    POST /keys/rotate        {"keep"=true}; POST /keys/fail {"times"=1}
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import grpc

from .audit import AuditLog
from .cloud_logging import Logging
from .fault_plan import FaultPlan
from .issuer import Issuer
from .names import secret_path
from .pubsub import PubSub
from .rpc import Refusal
from .secret_manager import SecretManager
from .secret_quotas import UNLIMITED, Limits
from .web import Bad, Reply, Route, told


_PRODUCTION = Limits()


class Control:
    """The routes of the control endpoint.

    Args:
        secret_manager: whose calls are told and whose faults are set.
        pubsub: likewise; None where it runs elsewhere.
        logging: keeps the lines that are handed in.
        issuer: signs tokens that are asked for.
        advance: moves the clock.
    """

    def __init__(
        self,
        secret_manager: SecretManager,
        pubsub: PubSub | None,
        logging: Logging,
        issuer: Issuer,
        *,
        advance: Callable[[float], None],
    ) -> None:
        self._secrets = secret_manager
        self._pubsub = pubsub
        self._logging = logging
        self._issuer = issuer
        self._advance = advance

    def routes(self) -> dict[tuple[str, str], Route]:
        """All routes, by method and path."""
        secrets, issuer = self._secrets, self._issuer
        return {
            ("GET", "/certs"): self._certs,
            ("GET", "/calls"): self._calls,
            ("POST", "/calls/clear"): _done(secrets.log.clear),
            ("GET", "/keys"): lambda _: told({"fetches": issuer.fetches, "kid": issuer.kid}),
            ("POST", "/secrets/fail"): self._fail,
            ("POST", "/secrets/slow"): _done(secrets.slow_accesses),
            ("POST", "/secrets/damage"): _done(secrets.damage_accesses),
            ("POST", "/secrets/lag"): _done(secrets.lag),
            ("POST", "/secrets/catch-up"): _done(secrets.catch_up),
            ("POST", "/secrets/heal"): _done(secrets.heal),
            ("POST", "/secrets/limit"): _done(lambda on=True: secrets.limit(_PRODUCTION if on else UNLIMITED)),
            ("POST", "/secrets/forbid"): _done(secrets.forbid_topic),
            ("POST", "/audit"): _done(lambda reads=True: _reads(secrets.audit, on=reads)),
            ("POST", "/clock/advance"): _done(lambda seconds: self._advance(float(seconds))),
            **({} if self._pubsub is None else _of_pubsub(self._pubsub)),
            ("POST", "/logs"): self._lines,
            ("POST", "/sign"): self._sign,
            ("POST", "/keys/rotate"): _done(issuer.rotate),
            ("POST", "/keys/fail"): _done(issuer.fail_fetches, times=1),
        }

    def _certs(self, _: Mapping[str, Any]) -> Reply:
        status, headers, body = self._issuer.serve()
        return Reply(body, status, headers)

    def _calls(self, given: Mapping[str, Any]) -> Reply:
        wanted = _secret(given["secret"]) if "secret" in given else None
        counts = [
            {"secret": secret, "asked": asked, "served": served, "count": count}
            for (secret, asked, served), count in self._secrets.log.counts().items()
            if wanted in {None, secret}
        ]
        return told({"calls": [asdict(call) for call in self._secrets.log.calls(wanted)], "counts": counts})

    def _fail(self, given: Mapping[str, Any]) -> Reply:
        code = str(given.get("code", "UNAVAILABLE"))
        if code not in grpc.StatusCode.__members__:
            raise Bad(f"`code` is not the name of a gRPC status: {code}")
        return _done(self._secrets.fail_accesses)({**given, "code": grpc.StatusCode[code]})

    def _lines(self, given: Mapping[str, Any]) -> Reply:
        lines = given.get("lines")
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise Bad("`lines` is missing, or no list of texts.")
        if given.get("stream", "stdout") not in {"stdout", "stderr"}:
            raise Bad("`stream` is `stdout` or `stderr`.")
        try:
            return _done(self._logging.take_lines)(given)
        except OSError as exc:
            raise Bad(f"The lines could not be kept: {exc}.", 503) from exc

    def _sign(self, given: Mapping[str, Any]) -> Reply:
        claims = given.get("claims")
        if not isinstance(claims, dict):
            raise Bad("`claims` is missing.")
        sign = self._issuer.forge if given.get("forged") else self._issuer.sign
        try:
            return told({"token": sign(claims)})
        except (TypeError, ValueError) as exc:
            raise Bad("A claim is of the wrong type.") from exc


def _of_pubsub(pubsub: PubSub) -> dict[tuple[str, str], Route]:
    def repeat(given: Mapping[str, Any]) -> Reply:
        return told({"id": pubsub.repeat(str(given.get("topic")), new_id=bool(given.get("new_id")))})

    return {
        ("GET", "/pushes"): lambda _: told({"pushes": [asdict(push) for push in pubsub.pushes()]}),
        ("POST", "/pubsub/duplicate"): _done(pubsub.duplicate),
        ("POST", "/pubsub/delay"): _done(pubsub.delay),
        ("POST", "/pubsub/reorder"): _done(pubsub.reorder),
        ("POST", "/pubsub/break"): _done(pubsub.break_pushes),
        ("POST", "/pubsub/follow"): _done(lambda **plan: pubsub.follow(FaultPlan(**plan))),
        ("POST", "/pubsub/repeat"): repeat,
        ("POST", "/pubsub/heal"): _done(pubsub.heal),
    }


def _done(call: Callable[..., None], **defaults: Any) -> Route:
    """A route that calls with the body's members as arguments and answers an empty object."""

    def route(given: Mapping[str, Any]) -> Reply:
        try:
            call(**{**defaults, **given})
        except Refusal as refusal:
            raise Bad(refusal.message) from refusal
        except (TypeError, ValueError) as exc:
            raise Bad("A member of the body is missing, unknown or of the wrong type.") from exc
        return told({})

    return route


def _reads(audit: AuditLog, *, on: bool) -> None:
    audit.switch_on() if on else audit.switch_off()


def _secret(path: str) -> str:
    try:
        return secret_path(path)
    except Refusal as refusal:
        raise Bad(refusal.message) from refusal
