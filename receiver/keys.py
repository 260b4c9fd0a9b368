"""The issuer's public keys, downloaded rarely and never because a stranger asks."""

import ipaddress
import json
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .errors import ConfigurationError, KeysUnavailable, Unauthenticated


#: Google's keys as a JWK set [accounts.google.com/.well-known/openid-configuration, jwks_uri].
GOOGLE_KEYS: Final = "https://www.googleapis.com/oauth2/v3/certs"
KEYS_VARIABLE: Final = "KEYTURN_OIDC_KEYS_URL"

#: Seconds: how long keys are kept where the answer does not say, and the bounds of what it may say.
_AGE, _AGE_LEAST, _AGE_MOST = 3600.0, 60.0, 86_400.0
#: Seconds before an unknown key id, or a download that failed, may cause another download.
COOLDOWN: Final = 60.0
_FAILURE_COOLDOWN: Final = 5.0
_TIMEOUT: Final = 2.0
_LARGEST: Final = 256 * 1024
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])")


@dataclass(frozen=True, slots=True)
class _Known:
    keys: Mapping[str, Any]
    until: float


class PublishedKeys:
    """Find keys by their id. Thread-safe; no lock is held over a download, and one download serves all who wait.

    Args:
        url: where the JWK set is; the variable KEYTURN_OIDC_KEYS_URL, read at the first use, or Google's where it is
            not given. https, or http to a loopback address.
        clock: monotonic seconds.
    """

    def __init__(self, url: str | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        if url is not None:
            _trusted(url)
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._known = _Known({}, until=float("-inf"))
        self._not_before = float("-inf")
        self._download: threading.Event | None = None

    def find(self, kid: str) -> Any:
        """The public key with this id.

        Raises:
            Unauthenticated: the issuer publishes no such key, as far as may be asked now.
            KeysUnavailable: the keys could not be downloaded.
            ConfigurationError: the address of the keys is not to be trusted.
        """
        for _ in range(2):
            now = self._clock()
            known = self._known
            if now < known.until and kid in known.keys:
                return known.keys[kid]
            if not self._renew(now):
                break
        known = self._known
        if self._clock() >= known.until:
            raise KeysUnavailable("the keys that tokens are signed with could not be downloaded")
        if kid not in known.keys:
            raise Unauthenticated("the token is signed with a key that its issuer does not publish")
        return known.keys[kid]

    def after_fork(self) -> None:
        """In a forked child: new locks, and no download that nobody is making."""
        self._lock = threading.Lock()
        self._download = None

    def _renew(self, now: float) -> bool:
        """Download, or wait for whoever does; False where a cooldown forbids it."""
        with self._lock:
            under_way = self._download
            if under_way is None:
                if now < self._not_before:
                    return False
                under_way = self._download = threading.Event()
                mine = True
            else:
                mine = False
        if not mine:
            under_way.wait(_TIMEOUT + 1)
            return True
        known = None
        try:
            known = self._fetch()
        finally:
            with self._lock:
                if known is not None:
                    self._known = known
                self._not_before = self._clock() + (COOLDOWN if known is not None else _FAILURE_COOLDOWN)
                self._download = None
            under_way.set()
        return True

    def _fetch(self) -> _Known | None:
        url = self._url or os.environ.get(KEYS_VARIABLE) or GOOGLE_KEYS
        _trusted(url)
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(url, timeout=_TIMEOUT) as answer:
                body = answer.read(_LARGEST + 1)
                age = _age(answer.headers.get("Cache-Control", ""))
        except (OSError, urllib.error.URLError, ValueError):
            return None
        keys = _keys(body) if len(body) <= _LARGEST else {}
        return _Known(keys, self._clock() + age) if keys else None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _trusted(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            "the address of the token issuer's keys must be https, or http to a loopback address; see "
            f"keys_url and {KEYS_VARIABLE}"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _age(cache_control: str) -> float:
    found = _MAX_AGE.search(cache_control.lower())
    return min(max(float(found[1]), _AGE_LEAST), _AGE_MOST) if found else _AGE


def _keys(body: bytes) -> dict[str, Any]:
    import jwt

    try:
        published = json.loads(body)["keys"]
        rsa = [key for key in published if key.get("kty") == "RSA" and isinstance(key.get("kid"), str)]
        return {key["kid"]: jwt.PyJWK(key, algorithm="RS256") for key in rsa}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, jwt.PyJWTError):
        return {}
