"""The issuer's public keys, downloaded rarely and never because a stranger asks.

A token of an unknown key may be a stranger's, or the first one after the issuer changed keys. So an unknown id does
cost a download, and the next one not before `COOLDOWN`. Whoever keeps showing unknown ids, with our claims, can spend
that one download just before a new key is published: tokens of that key are then refused (401, which Pub/Sub sends
again) until the cooldown has passed, and no longer, since after it the stranger's own next token brings the new key
in. As a rule nobody notices, for the issuer publishes keys before it signs with them.
"""

import json
import os
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .errors import ConfigurationError, KeysUnavailable, Unauthenticated


#: Google's keys as a JWK set [accounts.google.com/.well-known/openid-configuration, jwks_uri].
GOOGLE_KEYS: Final = "https://www.googleapis.com/oauth2/v3/certs"
KEYS_VARIABLE: Final = "KEYTURN_OIDC_KEYS_URL"

#: Seconds: how long keys are kept where the answer does not say, and the bounds of what it may say.
_AGE, _AGE_LEAST, _AGE_MOST = 3600.0, 60.0, 86_400.0
#: Seconds after a download before an unknown key id may cause another.
COOLDOWN: Final = 60.0
#: Seconds after a download that failed before another is tried.
FAILURE_COOLDOWN: Final = 5.0
#: Seconds for a download; a push is answered within 6.
_TIMEOUT: Final = 2.0
_LARGEST: Final = 256 * 1024
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])")
#: Bits: RS256 asks for this much [RFC 7518, 3.3].
_SMALLEST_KEY: Final = 2048


@dataclass(frozen=True, slots=True)
class _Known:
    """A downloaded set: renewed from `until` on, and used until `last` while it cannot be."""

    keys: Mapping[str, Any]
    at: float
    until: float
    last: float


_NEVER = float("-inf")


class PublishedKeys:
    """Find keys by their id. Thread-safe; no lock is held over a download, and one download serves all who wait.

    A set is kept for as long as its answer said, within bounds; while no newer one can be had it serves on, up to a
    day after it was downloaded.

    Args:
        url: where the JWK set is; the variable KEYTURN_OIDC_KEYS_URL, read at the first use, or Google's where it is
            not given. https, or http to a loopback address.
        clock: monotonic seconds.
        timeout: seconds for a download, in all; callers wait hardly longer.

    Raises:
        ConfigurationError: the URL is not to be trusted.
    """

    def __init__(
        self, url: str | None = None, *, clock: Callable[[], float] = time.monotonic, timeout: float = _TIMEOUT
    ) -> None:
        if url is not None:
            _trusted(url)
        self._url = url
        self._clock = clock
        self._timeout = timeout
        self._lock = threading.Lock()
        self._known = _Known({}, _NEVER, _NEVER, _NEVER)
        self._failed_until = _NEVER
        self._download: threading.Event | None = None

    def address(self) -> str:
        """Where the keys are.

        Raises:
            ConfigurationError: the variable's address is not to be trusted.
        """
        url = self._url or os.environ.get(KEYS_VARIABLE) or GOOGLE_KEYS
        _trusted(url)
        return url

    def find(self, kid: str) -> Any:
        """The public key with this id, at once or after one download.

        Raises:
            Unauthenticated: the issuer published no such key when it was asked last, less than `COOLDOWN` ago.
            KeysUnavailable: the keys could not be downloaded.
        """
        now = self._clock()
        known = self._known
        if now < known.until and kid in known.keys:
            return known.keys[kid]
        self._renew(now)
        known, now = self._known, self._clock()
        if now < known.last and kid in known.keys:
            return known.keys[kid]
        if now >= known.until or now < self._failed_until:
            raise KeysUnavailable("the keys that tokens are signed with could not be downloaded")
        raise Unauthenticated(
            "the token is signed with a key that its issuer did not publish when it was last asked, "
            f"which is every {COOLDOWN:.0f} s at most"
        )

    def after_fork(self) -> None:
        """In a forked child: new locks, and no download that nobody is making."""
        self._lock = threading.Lock()
        self._download = None

    def _renew(self, now: float) -> None:
        """Download, or wait for whoever does; nothing where a cooldown forbids it."""
        with self._lock:
            under_way = self._download
            if under_way is None:
                if now < self._not_before(now):
                    return
                mine = self._download = threading.Event()
        if under_way is not None:
            under_way.wait(self._timeout + 1)  # the download itself ends in time
            return
        known = None
        try:
            known = self._fetch()
        finally:
            with self._lock:
                if known is not None:
                    self._known = known
                self._failed_until = _NEVER if known is not None else self._clock() + FAILURE_COOLDOWN
                self._download = None
            mine.set()

    def _not_before(self, now: float) -> float:
        # Keys that are to be renewed are asked for at once; an unknown id is not worth that.
        unknown_id = self._known.at + COOLDOWN if now < self._known.until else _NEVER
        return max(unknown_id, self._failed_until)

    def _fetch(self) -> _Known | None:
        try:
            url = self.address()
        except ConfigurationError as exc:
            raise KeysUnavailable(str(exc)) from None
        from .download import download

        answer = download(url, timeout=self._timeout, largest=_LARGEST)
        keys = _keys(answer.body) if answer is not None else {}
        if answer is None or not keys:
            return None
        at = self._clock()
        return _Known(keys, at, at + _age(answer.cache_control), at + _AGE_MOST)


def _trusted(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if host and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        return
    raise ConfigurationError(
        "the address of the token issuer's keys must be https, or http to a loopback address; see "
        f"keys_url and {KEYS_VARIABLE}"
    )


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _age(cache_control: str) -> float:
    found = _MAX_AGE.search(cache_control.lower())
    return min(max(float(found[1]), _AGE_LEAST), _AGE_MOST) if found else _AGE


def _keys(body: bytes) -> dict[str, Any]:
    """The keys of a set that RS256 can use; whatever else it holds is passed over."""
    try:
        published = json.loads(body)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    found = {}
    for jwk in published if isinstance(published, list) else []:
        key = _key(jwk) if isinstance(jwk, dict) else None
        if key is not None:
            found[jwk["kid"]] = key
    return found


def _key(jwk: Mapping[str, Any]) -> Any:
    import jwt

    if not isinstance(jwk.get("kid"), str) or jwk.get("alg", "RS256") != "RS256" or jwk.get("use", "sig") != "sig":
        return None
    public = {name: jwk.get(name) for name in ("kty", "n", "e")}
    if public["kty"] != "RSA" or not all(isinstance(part, str) for part in public.values()):
        return None
    try:
        key = jwt.PyJWK(public, algorithm="RS256")
    except (ValueError, TypeError, OverflowError, jwt.PyJWTError):
        return None
    return key if key.key.key_size >= _SMALLEST_KEY else None
