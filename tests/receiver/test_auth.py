"""Who may push: every way in which a token is not one of ours, and what each costs."""

import base64
import json
import logging
import math
import traceback

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.local.issuer import Issuer, SigningKey
from notifier.local.web import Reply, WebServer
from receiver import OIDC, CloudRunIAM, Insecure
from receiver.errors import Answer, ConfigurationError, Forbidden, KeysUnavailable, PushRefused, Unauthenticated


pytestmark = pytest.mark.promise("only the sender")

AUDIENCE = "https://db.example/secrets/events"
SENDER = "pusher@demo.example"
NOW = 1_790_917_413

#: Seconds that the clocks of issuer and verifier may differ by.
SKEW = 10
DAY = 86_400

#: What Cloud Run puts in place of a signature.
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"


class Clock:
    """A clock that a test moves."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


class Published:
    """An issuer whose keys are served, and verifiers that ask it. RSA keys are slow to make, so it is made once."""

    def __init__(self):
        self.stranger = SigningKey()
        self.issuer = Issuer(wall=lambda: NOW)
        self.web = WebServer({("GET", "/certs"): self._serve}, port=0)
        self.url = f"{self.web.url}/certs"

    def _serve(self, _):
        status, headers, body = self.issuer.serve()
        return Reply(body, status, headers)

    def oidc(self, **changed):
        """A verifier of its own, which has no keys yet."""
        given = {"audience": AUDIENCE, "sender": SENDER, "keys_url": self.url, "clock": Clock(0.0), "wall": Clock(NOW)}
        return OIDC(**{**given, **changed})

    def claims(self, **changed):
        return {**self.issuer.claims(audience=AUDIENCE, email=SENDER), **changed}

    def token(self, header=None, claims=None, *, key=None):
        """Sign anything: objects, or the bytes of what should have been one."""
        head = {"alg": "RS256", "kid": self.issuer.kid, "typ": "JWT"} if header is None else header
        said = self.claims() if claims is None else claims
        signed = f"{encoded(head)}.{encoded(said)}"
        signer = (key or self.issuer._keys[-1]).private
        return f"{signed}.{encoded(signer.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def stripped(self, claims=None):
        """A token as Cloud Run hands it on."""
        return f"{self.token(claims=claims).rpartition('.')[0]}.{REMOVED}"

    def header(self, **changed):
        return {"alg": "RS256", "kid": self.issuer.kid, "typ": "JWT", **changed}


def encoded(part):
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def published():
    made = Published()
    yield made
    made.web.stop()


def without(claims, name):
    return {key: value for key, value in claims.items() if key != name}


def swapped(p):
    """The signature of one good token under the claims of another."""
    head, _, signature = p.token().split(".")
    return f"{head}.{encoded(p.claims(exp=NOW + 3000))}.{signature}"


def flipped(p):
    head, claims, signature = p.token().split(".")
    middle = len(signature) // 2
    return f"{head}.{claims}.{signature[:middle]}{'A' if signature[middle] != 'A' else 'B'}{signature[middle + 1 :]}"


def hs256(p):
    """HMAC with the public key as its secret: what a verifier that believes `alg` would take."""
    pem = (
        p.issuer._keys[-1]
        .private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    signed = f"{encoded(p.header(alg='HS256'))}.{encoded(p.claims())}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signed.encode(), pem)
    return f"{signed}.{encoded(signature)}"


def es256(p):
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(p.claims(), key, algorithm="ES256", headers={"kid": p.issuer.kid})


def duplicated(claims, name, first):
    """The JSON of claims that name one twice: first something else, then the truth."""
    return json.dumps({name: first})[:-1].encode() + b"," + json.dumps(claims).encode()[1:]


# What is shown, how it is refused, and how many downloads of keys it may cost a verifier that has none.
HEADERS = {
    "no header": (lambda p: None, Unauthenticated, 0),
    "empty": (lambda p: "", Unauthenticated, 0),
    "scheme only": (lambda p: "Bearer", Unauthenticated, 0),
    "no token": (lambda p: "Bearer ", Unauthenticated, 0),
    "other scheme": (lambda p: f"Basic {p.token()}", Unauthenticated, 0),
    "no scheme": (lambda p: p.token(), Unauthenticated, 0),
    "not ascii": (lambda p: f"Bearer {p.token()}é", Unauthenticated, 0),
    "digits of other scripts": (lambda p: "Bearer ٣.٣.٣", Unauthenticated, 0),
    "two spaces": (lambda p: f"Bearer  {p.token()}", Unauthenticated, 0),
    "tab": (lambda p: f"Bearer\t{p.token()}", Unauthenticated, 0),
    "space before": (lambda p: f" Bearer {p.token()}", Unauthenticated, 0),
    "space after": (lambda p: f"Bearer {p.token()} ", Unauthenticated, 0),
    "line end after": (lambda p: f"Bearer {p.token()}\n", Unauthenticated, 0),
    "space within": (lambda p: "Bearer " + p.token().replace(".", " .", 1), Unauthenticated, 0),
    "two tokens": (lambda p: f"Bearer {p.token()}, Bearer {p.token()}", Unauthenticated, 0),
    "longer than any token": (
        lambda p: "Bearer " + p.token(claims=p.claims(padding="x" * 9000)),
        Unauthenticated,
        0,
    ),
    "very long": (lambda p: "Bearer " + "x" * 10_000_000, Unauthenticated, 0),
}

TOKENS = {
    "no JWT": (lambda p: "canary", Unauthenticated, 0),
    "dots": (lambda p: "..", Unauthenticated, 0),
    "two parts": (lambda p: p.token().rpartition(".")[0], Unauthenticated, 0),
    "four parts": (lambda p: p.token() + ".x", Unauthenticated, 0),
    "encrypted form": (lambda p: "a.b.c.d.e", Unauthenticated, 0),
    "no JSON": (lambda p: p.token(claims=b"canary"), Unauthenticated, 0),
    "no object": (lambda p: p.token(claims=["canary"]), Unauthenticated, 0),
    "header no object": (lambda p: p.token("canary"), Unauthenticated, 0),
    "deep": (lambda p: p.token(claims=b"[" * 4000), Unauthenticated, 0),
    "deep object": (lambda p: p.token(claims=b'{"a":' * 800), Unauthenticated, 0),
    "not UTF-8": (lambda p: p.token(claims=b'{"iss":"\xff"}'), Unauthenticated, 0),
    "UTF-16": (lambda p: p.token(claims=json.dumps(p.claims()).encode("utf-16")), Unauthenticated, 0),
    "claims with more behind": (
        lambda p: p.token(claims=json.dumps(p.claims()).encode() + b"{}"),
        Unauthenticated,
        0,
    ),
    "data after base64": (
        lambda p: p.token().replace(".", "=canary.", 1),
        Unauthenticated,
        0,
    ),
    "padded base64": (lambda p: p.token(claims=p.claims(pad="xx")).replace(".", "=.", 1), Unauthenticated, 0),
    "not base64": (lambda p: p.token().replace(".", "!.", 1), Unauthenticated, 0),
    "the other base64": (lambda p: p.token().replace(".", "+/.", 1), Unauthenticated, 0),
    "one name twice": (
        lambda p: p.token(claims=duplicated(p.claims(), "email", "other@demo.example")),
        Unauthenticated,
        0,
    ),
    "alg twice": (
        lambda p: p.token(duplicated(p.header(), "alg", "none")),
        Unauthenticated,
        0,
    ),
    "alg none": (lambda p: f"{encoded(p.header(alg='none'))}.{encoded(p.claims())}.", Unauthenticated, 0),
    "alg None": (lambda p: f"{encoded(p.header(alg='None'))}.{encoded(p.claims())}.", Unauthenticated, 0),
    "alg absent": (lambda p: p.token(without(p.header(), "alg")), Unauthenticated, 0),
    "alg a list": (lambda p: p.token(p.header(alg=["RS256"])), Unauthenticated, 0),
    "alg in small letters": (lambda p: p.token(p.header(alg="rs256")), Unauthenticated, 0),
    "HS256 with the public key": (hs256, Unauthenticated, 0),
    "ES256": (es256, Unauthenticated, 0),
    "kid absent": (lambda p: p.token(without(p.header(), "kid")), Unauthenticated, 0),
    "kid a number": (lambda p: p.token(p.header(kid=1)), Unauthenticated, 0),
    "kid a list": (lambda p: p.token(p.header(kid=[p.issuer.kid])), Unauthenticated, 0),
    "kid null": (lambda p: p.token(p.header(kid=None)), Unauthenticated, 0),
    "kid unknown": (lambda p: p.token(p.header(kid="other")), Unauthenticated, 1),
    "kid empty": (lambda p: p.token(p.header(kid="")), Unauthenticated, 1),
    "crit": (lambda p: p.token(p.header(crit=["exp"])), Unauthenticated, 0),
    "crit empty": (lambda p: p.token(p.header(crit=[])), Unauthenticated, 0),
    "b64 false": (lambda p: p.token(p.header(b64=False)), Unauthenticated, 1),
    "its own key": (
        lambda p: p.token(p.header(jwk=p.stranger.jwk()), key=p.stranger),
        Unauthenticated,
        1,
    ),
    "signed by a stranger": (lambda p: p.token(key=p.stranger), Unauthenticated, 1),
    "signature flipped": (flipped, Unauthenticated, 1),
    "signature empty": (lambda p: p.token().rpartition(".")[0] + ".", Unauthenticated, 0),
    "signature short": (lambda p: p.token()[:-8], Unauthenticated, 1),
    "signature long": (lambda p: p.token() + "AAAA", Unauthenticated, 1),
    "claims swapped": (swapped, Unauthenticated, 1),
}

NO_TIMES = [
    math.nan,
    math.inf,
    -math.inf,
    True,
    None,
    "",
    "1790917413",
    [],
    {},
    -1,
    0,
    1e12,
    1e308,
    10**300,
    -(10**300),
]

CLAIMS = {
    "no claims": ({}, Unauthenticated),
    "iss other": ({"iss": "https://evil.example"}, Unauthenticated),
    "iss with a slash": ({"iss": "https://accounts.google.com/"}, Unauthenticated),
    "iss http": ({"iss": "http://accounts.google.com"}, Unauthenticated),
    "iss a list": ({"iss": ["https://accounts.google.com"]}, Unauthenticated),
    "iss an object": ({"iss": {}}, Unauthenticated),
    "iss absent": ({"iss": ...}, Unauthenticated),
    "aud other": ({"aud": "https://other.example"}, Forbidden),
    "aud a part": ({"aud": AUDIENCE[:-1]}, Forbidden),
    "aud with a slash": ({"aud": AUDIENCE + "/"}, Forbidden),
    "aud in capitals": ({"aud": AUDIENCE.upper()}, Forbidden),
    "aud a list": ({"aud": [AUDIENCE]}, Forbidden),
    "aud two": ({"aud": [AUDIENCE, "https://other.example"]}, Forbidden),
    "aud an object": ({"aud": {AUDIENCE: 1}}, Forbidden),
    "aud half a character": ({"aud": "\ud800"}, Forbidden),
    "aud empty": ({"aud": ""}, Forbidden),
    "aud absent": ({"aud": ...}, Forbidden),
    "email other": ({"email": "other@demo.example"}, Forbidden),
    "email in capitals": ({"email": SENDER.upper()}, Forbidden),
    "email a list": ({"email": [SENDER]}, Forbidden),
    "email empty": ({"email": ""}, Forbidden),
    "email absent": ({"email": ...}, Forbidden),
    "email verified as text": ({"email_verified": "true"}, Forbidden),
    "email verified as a number": ({"email_verified": 1}, Forbidden),
    "email not verified": ({"email_verified": False}, Forbidden),
    "email verified absent": ({"email_verified": ...}, Forbidden),
    "iat absent": ({"iat": ...}, Unauthenticated),
    "iat to come": ({"iat": NOW + SKEW + 1}, Unauthenticated),
    "exp absent": ({"exp": ...}, Unauthenticated),
    "exp past": ({"exp": NOW - SKEW - 1, "iat": NOW - 3600}, Unauthenticated),
    "exp before iat": ({"exp": NOW - 5, "iat": NOW}, Unauthenticated),
    "exp at iat": ({"exp": NOW, "iat": NOW}, Unauthenticated),
    "more than a day": ({"exp": NOW + DAY + 1, "iat": NOW}, Unauthenticated),
    **{f"{name} {value!r:.12}": ({name: value}, Unauthenticated) for name in ("iat", "exp") for value in NO_TIMES},
}


def changed(claims, changes):
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...} if changes else {}


CASES = {
    **HEADERS,
    **{
        name: ((lambda p, make=make: f"Bearer {make(p)}"), refusal, downloads)
        for name, (make, refusal, downloads) in TOKENS.items()
    },
    **{
        name: ((lambda p, changes=changes: f"Bearer {p.token(claims=changed(p.claims(), changes))}"), refusal, 0)
        for name, (changes, refusal) in CLAIMS.items()
    },
}


@pytest.mark.parametrize(("make", "refusal", "downloads"), CASES.values(), ids=CASES.keys())
def test_what_is_refused(published, make, refusal, downloads):
    """What is not our sender's token is refused as it should be, and what the claims settle costs no download."""
    oidc = published.oidc()
    shown = make(published)
    before = published.issuer.fetches

    with pytest.raises(PushRefused) as refused:
        oidc.verify(shown)

    assert refusal is type(refused.value)
    assert downloads == published.issuer.fetches - before


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "1"},
        {"iss": "accounts.google.com"},
        {"iat": NOW + SKEW},
        {"iat": NOW - 3600, "exp": NOW - SKEW},
        {"iat": NOW - 10, "exp": NOW - 10 + DAY},
        {"iat": NOW - 0.5, "exp": NOW + 3599.5},
        {"nonce": "é\ud83d\ude00"},
    ],
    ids=str,
)
def test_what_is_let_in(published, changes):
    """The sender's token is let in, up to the edges of what its times may be."""
    oidc = published.oidc()

    assert SENDER == oidc.verify(f"Bearer {published.token(claims=changed(published.claims(), changes))}")
    assert SENDER == oidc.verify(f"bearer {published.token()}")


def test_one_download_serves_many(published):
    """The keys are downloaded for the first token and kept for the others."""
    oidc = published.oidc()
    before = published.issuer.fetches

    assert {SENDER} == {oidc.verify(f"Bearer {published.token()}") for _ in range(20)}
    assert 1 == published.issuer.fetches - before


def test_a_token_grows_old(published):
    """A token that was let in is refused once it has expired: the verdict on a token is never kept."""
    wall = Clock(NOW)
    oidc = published.oidc(wall=wall)
    shown = f"Bearer {published.token()}"
    oidc.verify(shown)
    wall.now = NOW + 3600 + SKEW + 1

    with pytest.raises(Unauthenticated, match="expired"):
        oidc.verify(shown)


def test_an_issuer_that_is_down_is_neither_belief_nor_refusal(published):
    """While the keys cannot be had, a token of our sender is answered 503, so that it is sent again."""
    published.issuer.fail_fetches(1)

    with pytest.raises(KeysUnavailable) as refused:
        published.oidc().verify(f"Bearer {published.token()}")

    assert Answer.TRY_AGAIN is refused.value.answer


@pytest.mark.promise("silent")
@pytest.mark.parametrize("name", CASES)
def test_nothing_of_a_token_is_told(published, caplog, name):
    """No part of what was shown is in the exception, in what led to it, or in a log entry at any level."""
    caplog.set_level(logging.DEBUG)
    shown = CASES[name][0](published)
    with pytest.raises(PushRefused) as refused:
        published.oidc().verify(shown)

    told = "".join(traceback.format_exception(refused.value)) + repr(refused.value.args) + caplog.text
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert "canary" not in told
    for part in (shown or "").replace(" ", ".").split("."):
        assert len(part) < 20 or part not in told


_HEADERS = st.none() | st.text(max_size=40) | st.text(max_size=40).map("Bearer ".__add__)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(_HEADERS)
@example("Bearer " + "." * 2)
@example("Bearer \x00.\x00.\x00")
def test_any_header_is_refused(published, header):
    """Whatever the header is, it is refused as a push is refused, and with no download."""
    oidc = published.oidc(keys_url="https://never.invalid/")

    with pytest.raises(PushRefused):
        oidc.verify(header)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ", "x"]), _JSON),
    st.dictionaries(st.sampled_from(["iss", "aud", "email", "email_verified", "iat", "exp"]), _JSON),
    st.binary(max_size=40),
)
def test_any_token_is_let_in_or_refused(published, header, claims, signature):
    """Whatever stands in a token's parts, it is refused as a push is refused: nothing else is ever raised."""
    said = {**published.claims(), **claims}
    oidc = published.oidc()
    for head in (header, published.header(**without(without(header, "alg"), "kid"))):
        with pytest.raises(PushRefused):
            oidc.verify(f"Bearer {encoded(head)}.{encoded(said)}.{encoded(signature)}")


NO_NAMES = ["", " ", "a b", " a", "a\n", "a\u00a0", "a\0", [], (), [""], ["a", ""], ["a", " b"]]


@pytest.mark.parametrize("kind", [OIDC, CloudRunIAM])
@pytest.mark.parametrize("what", ["audience", "sender"])
def test_both_must_be_named(kind, what):
    """There is no verifier without an audience and a sender, and none with a blank in one, as a bad variable brings."""
    good = {"audience": AUDIENCE, "sender": SENDER}
    for name in NO_NAMES:
        with pytest.raises(ValueError, match=what):
            kind(**{**good, what: name})
    for name in (None, 1, b"a", [b"a"], [None], [["a"]]):
        with pytest.raises(TypeError):
            kind(**{**good, what: name})
    with pytest.raises(TypeError, match=what):
        kind(**without(good, what))


@pytest.mark.parametrize("kind", ["oidc", "cloud_run"])
def test_several_audiences_and_senders(published, kind):
    """For a move several of each may be named: each of them is let in and told, and nobody else."""
    names = {"audience": ["https://old.example", AUDIENCE], "sender": (SENDER, "new@demo.example")}
    if kind == "oidc":
        auth, token = published.oidc(**names), published.token
    else:
        auth = CloudRunIAM(**names, environ={"K_SERVICE": "db"}, wall=Clock(NOW))
        token = published.stripped
    let_in = {
        auth.verify(f"Bearer {token(claims=published.claims(aud=audience, email=sender))}")
        for audience in names["audience"]
        for sender in names["sender"]
    }

    assert {SENDER, "new@demo.example"} == let_in
    for other in ({"aud": names["audience"]}, {"aud": "https://new.example"}, {"email": "old@demo.example"}):
        with pytest.raises(Forbidden):
            auth.verify(f"Bearer {token(claims={**published.claims(), **other})}")


def test_what_is_expected_is_shown():
    """A verifier's repr says whom it lets in."""
    several = {"audience": ["a", "b"], "sender": "s"}

    assert "OIDC(audience='a', sender='s')" == repr(OIDC(audience="a", sender=["s"]))
    assert "CloudRunIAM(audience=['a', 'b'], sender='s')" == repr(CloudRunIAM(**several))


def test_a_removed_signature_is_refused_and_said(published, caplog):
    """OIDC refuses a token without a signature, and says at once which choice is made for where that is so."""
    before = published.issuer.fetches
    with pytest.raises(Unauthenticated):
        published.oidc().verify(f"Bearer {published.stripped()}")
    (record,) = caplog.records

    assert (logging.ERROR, "signature_removed") == (record.levelno, record.json_fields["event"])
    assert "CloudRunIAM" in record.getMessage()
    assert 0 == published.issuer.fetches - before


def test_a_removed_signature_of_somebody_else_is_not_said(published, caplog):
    """A stranger who writes such a token for another audience or sender raises no alarm."""
    for claims in (published.claims(aud="https://other.example"), published.claims(email="other@demo.example")):
        with pytest.raises(Forbidden):
            published.oidc().verify(f"Bearer {published.stripped(claims)}")

    assert [] == caplog.records


class TestCloudRun:
    """Behind Cloud Run's invoker check."""

    @pytest.fixture
    def auth(self):
        return CloudRunIAM(audience=AUDIENCE, sender=SENDER, environ={"K_SERVICE": "db"}, wall=Clock(NOW))

    def test_what_cloud_run_hands_on_is_let_in(self, published, auth):
        """A token of our sender with the marker in place of its signature is let in, and no key is asked for."""
        before = published.issuer.fetches
        auth.announce()
        auth.after_fork()

        assert SENDER == auth.verify(f"Bearer {published.stripped()}")
        assert 0 == published.issuer.fetches - before

    @pytest.mark.parametrize(("changes", "refusal"), CLAIMS.values(), ids=CLAIMS.keys())
    def test_every_claim_is_checked(self, published, auth, changes, refusal):
        """What the claims say is refused as OIDC refuses it."""
        with pytest.raises(PushRefused) as refused:
            auth.verify(f"Bearer {published.stripped(changed(published.claims(), changes))}")

        assert refusal is type(refused.value)

    @pytest.mark.parametrize(("make", "refusal", "_"), CASES.values(), ids=CASES.keys())
    def test_what_oidc_refuses_is_refused(self, published, auth, make, refusal, _):
        """Nothing that OIDC refuses for another reason than a removed signature is let in."""
        with pytest.raises(PushRefused) as refused:
            auth.verify(make(published))

        assert refusal is type(refused.value)

    @pytest.mark.parametrize(
        "end", ["", "AAAA", REMOVED.lower(), REMOVED[:-1], REMOVED + "A", REMOVED + "=", REMOVED + " ", f" {REMOVED}"]
    )
    def test_only_the_marker_will_do(self, published, auth, end):
        """Anything else in place of the signature is refused."""
        with pytest.raises(Unauthenticated):
            auth.verify(f"Bearer {published.stripped().removesuffix(REMOVED)}{end}")

    def test_a_signed_token_is_refused(self, published, auth):
        """A token whose signature is still there did not come through the check, and is refused, however good it is."""
        with pytest.raises(Unauthenticated, match="OIDC"):
            auth.verify(f"Bearer {published.token()}")

    @pytest.mark.parametrize("environ", [{}, {"K_SERVICE": ""}, {"K_REVISION": "db-1"}], ids=str)
    def test_nothing_passes_elsewhere(self, published, environ):
        """Where K_SERVICE is not set the route cannot be made, and no token passes, whatever it says."""
        auth = CloudRunIAM(audience=AUDIENCE, sender=SENDER, environ=environ, wall=Clock(NOW))
        for shown in (published.stripped(), published.token()):
            with pytest.raises(Unauthenticated, match="K_SERVICE"):
                auth.verify(f"Bearer {shown}")
        with pytest.raises(ConfigurationError, match="K_SERVICE is not set"):
            auth.announce()

    def test_the_environment_is_read_late(self, published, monkeypatch):
        """Construction reads no environment, so that it may stand at the top of a module."""
        monkeypatch.delenv("K_SERVICE", raising=False)
        auth = CloudRunIAM(audience=AUDIENCE, sender=SENDER, wall=Clock(NOW))
        monkeypatch.setenv("K_SERVICE", "db")
        auth.announce()

        assert SENDER == auth.verify(f"Bearer {published.stripped()}")


def test_being_insecure_is_said(caplog):
    """Letting everybody in needs a reason, and is warned of where it begins."""
    with pytest.raises(ValueError, match="reason"):
        Insecure(" ")
    auth = Insecure("a test")
    auth.announce()
    auth.after_fork()

    assert "anybody" == auth.verify(None)
    assert "Insecure('a test')" == repr(auth)
    assert ["auth_disabled"] == [record.json_fields["event"] for record in caplog.records]
