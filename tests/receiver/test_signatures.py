"""Signatures and credentials at the moment of a change."""

import base64
import hashlib
import hmac
import threading

import pytest

from receiver import retry_on_auth_error, verify_hmac
from receiver.testing import rotate


BODY = b'{"order": 1}'


def signed(key, digest="sha256"):
    return hmac.new(key.encode(), BODY, digest)


@pytest.fixture
def key(cache):
    key = cache.secret("API_KEY", overlap=60)
    cache.load()
    return key


def test_what_was_signed_just_before_a_change_is_accepted(cache, source, key, wall):
    """Both values verify within the overlap, in each spelling of a signature; afterwards the newest alone."""
    rotate(cache, source, "API_KEY", "two")
    for value in ("one", "two"):
        made = signed(value)
        raw, text = made.digest(), made.hexdigest()
        for signature in (raw, text, text.upper(), base64.b64encode(raw).decode()):
            assert verify_hmac(key, BODY, signature)
    assert not verify_hmac(key, BODY, signed("three").hexdigest())
    wall.ahead += 61

    assert [False, True] == [verify_hmac(key, BODY, signed(value).hexdigest()) for value in ("one", "two")]


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
def test_the_hash_function_is_the_senders(key, digest):
    """Each of the usual ones, and a signature by another is none."""

    assert verify_hmac(key, BODY, signed("one", digest).hexdigest(), digest=digest)
    assert not verify_hmac(key, BODY, signed("one", "md5").hexdigest(), digest=digest)


@pytest.mark.parametrize("junk", ["", "zz" * 32, "ü" * 64, b"", b"x" * 32, "====", "0x" + "0" * 62, "a", "0" * 63])
def test_junk_is_no_signature_and_no_error(key, junk):
    """Whatever a stranger sends in place of a signature is refused."""

    assert not verify_hmac(key, BODY, junk)


def test_an_empty_value_signs_nothing(cache, source):
    """Anybody can sign with an empty key, so such a value verifies nothing."""
    source.add("EMPTY", "\n")
    empty = cache.secret("EMPTY")
    assert "" == empty.value

    assert not verify_hmac(empty, BODY, hmac.new(b"", BODY, hashlib.sha256).hexdigest())


def test_a_value_that_is_no_key_is_a_mistake(cache, source):
    """JSON is no key."""
    source.add("SETTINGS", "{}")

    with pytest.raises(TypeError, match="SETTINGS"):
        verify_hmac(cache.secret("SETTINGS", type="json"), BODY, "00")


class Refused(Exception):
    """What the provider of these tests raises."""


class Provider:
    """Takes one key, and counts who comes."""

    def __init__(self, takes):
        self.takes = takes
        self.seen = []

    def __call__(self, value):
        self.seen.append(value)
        if value != self.takes:
            raise Refused
        return f"welcome {value}"


def test_a_refused_credential_is_tried_once_more_with_the_newer_one(cache, source, key):
    """The old one is refused before its news have come: one access finds the new one, and the call succeeds."""
    source.add("API_KEY", "two")
    provider, before = Provider("two"), len(source.calls)

    assert "welcome two" == retry_on_auth_error(key, provider, refused=Refused)
    assert ["one", "two"] == provider.seen
    assert [("API_KEY", "2"), ("API_KEY", "3")] == source.calls[before:], "the new one, and that there is none above"


def test_where_there_is_nothing_newer_the_refusal_is_the_answer(source, key):
    """The call is not repeated with what has just been refused, and a storm of refusals costs few accesses."""
    provider, before = Provider("nothing"), len(source.calls)
    for _ in range(200):
        with pytest.raises(Refused):
            retry_on_auth_error(key, provider, refused=(Refused, ValueError))

    assert 200 == len(provider.seen)
    assert len(source.calls) - before <= 3


def test_other_failures_are_not_taken_for_a_refusal(source, key):
    """No access is made for them, and a function may tell them apart."""
    before = len(source.calls)

    def call(_value):
        raise RuntimeError("status 500")

    with pytest.raises(RuntimeError):
        retry_on_auth_error(key, call, refused=Refused)
    with pytest.raises(RuntimeError):
        retry_on_auth_error(key, call, refused=lambda exc: "401" in str(exc))
    assert before == len(source.calls)


def test_many_who_are_refused_at_once_cost_one_access(source, key):
    """They share the look of the first, and each goes on with what it found."""
    source.add("API_KEY", "two")
    provider, before = Provider("two"), len(source.calls)
    ready, answers = threading.Barrier(16), []

    def run():
        def call(value):
            if value == "one":
                ready.wait(5)
            return provider(value)

        answers.append(retry_on_auth_error(key, call, refused=Refused))

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert ["welcome two"] * 16 == answers
    assert [("API_KEY", "2"), ("API_KEY", "3")] == source.calls[before:]
