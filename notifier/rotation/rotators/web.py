"""`http`: credentials that a provider makes and ends, by requests that the manifest describes."""

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from ..rotator import BadSettings, Job, Overlap, RotatorError, only


#: Bytes of an answer.
_LARGEST: Final = 64 * 1024
_PLACE = re.compile(r"\{(administrator|candidate|old|candidate\.id|old\.id)\}")
_KNOWN: Final = {"method", "url", "headers", "json", "status"}


class Web:
    """Ask a provider for a new credential, try it, and end the old one.

    Each request is a mapping with `method`, `url`, `headers`, `json` and `status` (what counts as done). In the values
    of headers and JSON, `{administrator}`, `{candidate}` and `{old}` stand for the credentials; in the URL, only
    `{candidate.id}` and `{old.id}`, since addresses are logged everywhere. Redirects are not followed.

    A provider makes the credential before it can be saved. Where a crash comes between the two, it has made one that
    nobody knows; with `idempotency_header`, the same request brings the same credential again.

    Args:
        create: the request that makes a credential, with `value`: where it stands in the answer, as a JSON pointer;
            and `id`, likewise, where it has one that the provider needs to end it.
        verify: the request that uses it.
        revoke: the request that ends the old one; without it nothing does.
        administrator: the secret that lets create and revoke.
        idempotency_header: the header that carries the key of the rotation.
    """

    overlap: Overlap = "until revoked"
    one_at_a_time = False

    def __init__(
        self,
        *,
        create: Mapping[str, Any] | None = None,
        verify: Mapping[str, Any] | None = None,
        revoke: Mapping[str, Any] | None = None,
        administrator: str = "",
        idempotency_header: str = "",
    ) -> None:
        if not create or not verify:
            raise BadSettings("http: create and verify are needed")
        only("http: create", create, _KNOWN | {"value", "id"})
        only("http: verify", verify, _KNOWN)
        only("http: revoke", revoke or {}, _KNOWN)
        for request in (create, verify, revoke or create):
            _check_url(str(request.get("url", "")))
        if not str(create.get("value", "")).startswith("/"):
            raise BadSettings("http: create needs value, a JSON pointer such as /data/key")
        self._create, self._verify, self._revoke = create, verify, revoke
        self._administrator = administrator
        self._header = idempotency_header

    def create(self, job: Job) -> bytes:
        """See `Rotator.create`."""
        headers = {self._header: job.key} if self._header else {}
        answer = self._send("create", self._create, job, {}, headers)
        try:
            made = json.loads(answer)
            value = str(_at(made, self._create["value"]))
            if "id" not in self._create:
                return value.encode()
            return json.dumps({"id": str(_at(made, self._create["id"])), "key": value}).encode()
        except (ValueError, LookupError, TypeError, RecursionError):
            raise RotatorError("the provider's answer to create holds no credential where the manifest says") from None

    def apply(self, _job: Job, _candidate: bytes) -> None:
        """Nothing: the provider made it valid."""

    def test(self, job: Job, candidate: bytes) -> None:
        """Use the candidate at the provider."""
        self._send("verify", self._verify, job, _fields("candidate", candidate), {})

    def revoke(self, job: Job, old: bytes) -> None:
        """End the old credential at the provider."""
        if self._revoke is not None:
            self._send("revoke", self._revoke, job, _fields("old", old), {})

    def _send(
        self, what: str, request: Mapping[str, Any], job: Job, known: dict[str, str], headers: dict[str, str]
    ) -> bytes:
        import requests
        import urllib3

        if self._administrator:
            known = {**known, "administrator": job.read(self._administrator).decode().strip()}
        ids = {name: quote(text, safe="") for name, text in known.items() if name.endswith(".id")}
        try:
            with requests.request(
                str(request.get("method", "POST")),
                _filled(str(request["url"]), ids),
                headers={**_filled(dict(request.get("headers", {})), known), **headers},
                json=_filled(request.get("json"), known),
                timeout=(5.0, job.timeout / 2),
                allow_redirects=False,
                stream=True,
                auth=lambda prepared: prepared,  # or ~/.netrc would take the place of the credential that is tried
            ) as answer:
                wanted = request.get("status", [200, 201, 204])
                if answer.status_code not in wanted:
                    refused = answer.status_code in {401, 403}
                    raise RotatorError(f"the provider answered {answer.status_code} to {what}", refused=refused)
                body: bytes = answer.raw.read(_LARGEST + 1, decode_content=True)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            raise RotatorError(f"no answer of the provider to {what} ({type(exc).__name__})") from None
        if len(body) > _LARGEST:
            raise RotatorError(f"the provider's answer to {what} is larger than {_LARGEST} bytes")
        return body


def _fields(name: str, value: bytes) -> dict[str, str]:
    text = value.decode(errors="replace")
    try:
        held = json.loads(text)
        return {name: str(held["key"]), f"{name}.id": str(held["id"])}
    except (ValueError, LookupError, TypeError, RecursionError):
        return {name: text}


def _filled(template: Any, known: Mapping[str, str]) -> Any:
    if isinstance(template, str):
        return _PLACE.sub(lambda found: _given(known, found[1]), template)
    if isinstance(template, Mapping):
        return {name: _filled(value, known) for name, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, known) for value in template]
    return template


def _given(known: Mapping[str, str], name: str) -> str:
    if name not in known:
        raise RotatorError(f"the manifest's request uses {{{name}}}, which there is none of here")
    return known[name]


def _at(document: Any, pointer: str) -> Any:
    for part in pointer.removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    if not isinstance(document, str | int):
        raise TypeError
    return document


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if any(found[1] in {"administrator", "candidate", "old"} for found in _PLACE.finditer(url)):
        raise BadSettings("http: no credential stands in a URL, which is logged everywhere; use a header")
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        raise BadSettings("http: each request needs a url, https (or http to a loopback address)")
