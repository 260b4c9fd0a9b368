"""What a push costs in the application itself, part by part; `serving` has it over the network."""

import json
import logging

from bare import capture
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.algorithms import RSAAlgorithm
from jwt.utils import base64url_decode
from place import AUDIENCE, local_cloud, new_app, new_cache, push_auth, request
from timing import Call, Pair, Plan, Row, compare, once

from notifier.local.cloud import LocalCloud
from receiver import refresh_blueprint
from receiver.events import decode_push


def rows(plan: Plan) -> list[Row]:
    # Entries are made, and go nowhere: what a service does with them is its own.
    logger = logging.getLogger("keyturn")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.NullHandler())
    app = new_app()
    with local_cloud() as cloud, new_cache() as cache:
        cloud.create_secret("PUSHED", topic="events")
        headers, body = capture(lambda url: _add(cloud, url))
        cache.secret("PUSHED")
        cache.load()
        auth = push_auth()
        app.register_blueprint(refresh_blueprint(cache, auth=auth))
        return compare(
            plan,
            {
                "a known push": once(request(app, "POST", "/secrets/events", status=204, headers=headers, body=body)),
                "a stranger's push": once(request(app, "POST", "/secrets/events", status=401, body=body)),
                "a bare route that reads the body": once(
                    request(app, "POST", "/bare", status=204, headers=headers, body=body)
                ),
                "the token": once(lambda: auth.verify(headers["Authorization"])),
                "RSA verification alone": _bare_verification(cloud, headers["Authorization"]),
                "reading the event": once(lambda: decode_push(body, received=0)),
                "json.loads": once(lambda: json.loads(body)),
            },
            [
                Pair("a known push", "a bare route that reads the body"),
                Pair("a stranger's push", "a bare route that reads the body"),
                Pair("the token", "RSA verification alone"),
                Pair("reading the event", "json.loads"),
            ],
            rounds=5_000,
        )


def _add(cloud: LocalCloud, url: str) -> None:
    cloud.push_to(url, topic="events", audience=AUDIENCE)
    cloud.add_version("PUSHED", b"value")


def _bare_verification(cloud: LocalCloud, authorization: str) -> Call:
    (jwk,) = json.loads(cloud.issuer.serve()[2])["keys"]
    key = RSAAlgorithm.from_jwk(jwk)
    if not isinstance(key, RSAPublicKey):
        raise TypeError("the issuer published a private key")
    signed, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
    raw, content, padding, digest = base64url_decode(signature), signed.encode(), PKCS1v15(), SHA256()
    return once(lambda: key.verify(raw, content, padding, digest))
