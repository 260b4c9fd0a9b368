"""The local issuer: its keys over HTTP, and the tokens that tests forge with it."""

import json
import re
import urllib.error
import urllib.request

import jwt
import pytest

from notifier.local.cloud import LocalCloud


CLAIMS = {"audience": "https://db.example", "email": "pusher@demo.example"}


@pytest.fixture
def keys(cloud):
    """Fetch the keys as a verifier does."""

    def fetch():
        with urllib.request.urlopen(cloud.environment()["KEYTURN_OIDC_KEYS_URL"]) as answer:
            return answer.headers, json.load(answer)["keys"]

    return fetch


def believed(token, published):
    """The claims of a token, checked against published keys as a verifier would."""
    named = {key["kid"]: jwt.PyJWK(key) for key in published}
    key = named[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["RS256"], audience=CLAIMS["audience"])


def test_keys_are_published_as_google_does(cloud, keys):
    """The keys are a JWKS with Google's members, may be kept for a time that is told, and fetches are counted."""
    headers, published = keys()

    assert [{"alg", "e", "kid", "kty", "n", "use"}] == [set(key) for key in published]
    assert re.fullmatch("[0-9a-f]{40}", published[0]["kid"])
    assert "max-age=3600" in headers["Cache-Control"]
    assert 1 == cloud.issuer.fetches


def test_the_age_can_be_set():
    """How long the keys may be kept is set where the cloud is made."""
    with LocalCloud(keys_max_age=7) as cloud, urllib.request.urlopen(
        cloud.environment()["KEYTURN_OIDC_KEYS_URL"]
    ) as answer:  # fmt: skip
        assert "max-age=7" in answer.headers["Cache-Control"]


def test_a_good_token(cloud, keys):
    """A token of the issuer is believed, and is the same for some minutes."""
    token = cloud.issuer.token(**CLAIMS)

    assert CLAIMS["email"] == believed(token, keys()[1])["email"]
    assert token == cloud.issuer.token(**CLAIMS)
    assert token != cloud.issuer.token(**{**CLAIMS, "audience": "other"})


def test_a_new_token_in_time(wall):
    """A token is made anew long before it expires."""
    with LocalCloud(wall=wall) as cloud:
        first = cloud.issuer.token(**CLAIMS)
        wall.now += 301

        assert first != cloud.issuer.token(**CLAIMS)


def test_a_forged_token_is_not_believed(cloud, keys):
    """A forged token bears the id of the published key and is signed with another."""
    token = cloud.issuer.forge(cloud.issuer.claims(**CLAIMS))

    assert cloud.issuer.kid == jwt.get_unverified_header(token)["kid"]
    with pytest.raises(jwt.InvalidSignatureError):
        believed(token, keys()[1])


def test_any_claims_can_be_signed(cloud, keys):
    """Claims can be changed or left out, and the key's id too, to try a verifier."""
    issuer = cloud.issuer
    claims = issuer.claims(**CLAIMS, email_verified=False, sub=None)

    assert (False, None) == (
        (said := believed(issuer.sign(claims), keys()[1]))["email_verified"],
        said.get("sub"),
    )
    assert "other" == jwt.get_unverified_header(issuer.sign(claims, kid="other"))["kid"]
    assert "kid" not in jwt.get_unverified_header(issuer.sign(claims, kid=""))


@pytest.mark.parametrize(("keep", "count"), [(True, 2), (False, 1)])
def test_keys_rotate(cloud, keys, keep, count):
    """After a rotation tokens have a new key; the old one stays published where that was asked for."""
    before = cloud.issuer.token(**CLAIMS)
    cloud.issuer.rotate(keep=keep)
    published = keys()[1]

    assert count == len(published)
    assert believed(cloud.issuer.token(**CLAIMS), published)
    assert keep == (jwt.get_unverified_header(before)["kid"] in {key["kid"] for key in published})


def test_fetches_fail_on_demand(cloud, keys):
    """As many fetches of the keys fail as was asked for, and count."""
    cloud.issuer.fail_fetches(1)

    with pytest.raises(urllib.error.HTTPError) as failed:
        keys()
    failed.value.close()
    assert 500 == failed.value.code
    assert 1 == len(keys()[1])
    assert 2 == cloud.issuer.fetches
