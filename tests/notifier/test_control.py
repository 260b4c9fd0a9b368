"""The control endpoint, as another process uses it."""

import http.client
import json
from urllib.parse import urlsplit

import jwt
import pytest
from google.api_core import exceptions

from notifier.local.names import project_number


DB = f"projects/{project_number('demo')}/secrets/db"


@pytest.fixture
def control(cloud):
    """Call the control endpoint; returns (status, body)."""
    where = urlsplit(cloud.environment()["KEYTURN_LOCAL_CONTROL"]).netloc

    def call(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(where, timeout=5)
        sent = {"Content-Type": "application/json", **headers}
        content = body if isinstance(body, str | None) else json.dumps(body)
        connection.request(method, path, body=content, headers=sent)
        answer = connection.getresponse()
        read = json.loads(answer.read())
        connection.close()
        return answer.status, read

    return call


@pytest.fixture(autouse=True)
def db(cloud):
    cloud.create_secret("db", b"canary", topic="news")


def test_calls(control, client):
    """Accesses are told with their counts, of one secret under either spelling, and can be forgotten."""
    client.access_secret_version(name=f"{DB}/versions/latest")
    status, told = control("GET", "/calls?secret=projects/demo/secrets/db")

    assert 200 == status
    assert [{"secret": DB, "asked": "latest", "served": 1, "count": 1}] == told["counts"]
    assert {"secret", "asked", "served", "status", "at", "peer", "user_agent", "api_client"} == set(told["calls"][0])
    assert "canary" not in json.dumps(told)
    assert ([], 1) == (control("GET", f"/calls?secret={DB}x")[1]["calls"], len(control("GET", "/calls")[1]["calls"]))
    control("POST", "/calls/clear", {})
    assert {"calls": [], "counts": []} == control("GET", "/calls")[1]


def test_faults_of_reads(cloud, control, client):
    """Reads fail, hang, are damaged and lag on demand, and heal."""
    name = f"{DB}/versions/latest"
    control("POST", "/secrets/fail", {"secret": DB, "code": "PERMISSION_DENIED", "message": "no"})
    with pytest.raises(exceptions.PermissionDenied):
        client.access_secret_version(name=name)
    control("POST", "/secrets/slow", {"secret": DB})
    with pytest.raises(exceptions.DeadlineExceeded):
        client.access_secret_version(name=name, retry=None, timeout=0.05)
    control("POST", "/secrets/heal", {"secret": DB})
    control("POST", "/secrets/lag", {"secret": DB, "changes": 0})
    cloud.add_version("db", b"two")
    assert b"canary" == client.access_secret_version(name=name).payload.data
    control("POST", "/secrets/catch-up", {"secret": DB})
    assert b"two" == client.access_secret_version(name=name).payload.data


def test_faults_of_delivery(cloud, control, endpoint):
    """Messages are repeated and duplicated on demand, and pushes are told."""
    topic = cloud.topic("news")
    cloud.push_to(endpoint.url, topic=topic)
    control("POST", "/pubsub/duplicate", {"topic": topic, "new_id": True})
    cloud.add_version("db", b"two")
    endpoint.wait_for(2)
    again = control("POST", "/pubsub/repeat", {"topic": topic})[1]["id"]
    endpoint.wait_for(3)

    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 3)
    told = control("GET", "/pushes")[1]["pushes"]
    assert {204} == {push["status"] for push in told}
    assert again in {push["message"] for push in told}


def test_faults_of_pushes(cloud, control, endpoint):
    """Pushes break on demand, by count and by chance, until they are healed."""
    topic = cloud.topic("news")
    subscription = cloud.push_to(endpoint.url, topic=topic, backoff=(0.0, 0.0))
    control("POST", "/pubsub/reorder", {"topic": topic})
    control("POST", "/pubsub/break", {"subscription": subscription, "fault": "down", "times": 2})
    control("POST", "/pubsub/follow", {"seed": 1, "lose_answer": 1.0})
    cloud.pubsub.publish(topic, b"x", {})
    endpoint.wait_for(2)
    control("POST", "/pubsub/heal", {})

    assert cloud.pubsub.wait_for_pushes(lambda _: cloud.pubsub.undelivered(subscription) == 0)
    told = [push["status"] for push in control("GET", "/pushes")[1]["pushes"]]
    assert ([None] * 4, 204) == (told[:4], told[-1])


def test_tokens_and_keys(cloud, control):
    """Tokens with any claims are signed on demand, good or forged."""
    good = control("POST", "/sign", {"claims": {"aud": "a"}})[1]["token"]
    forged = control("POST", "/sign", {"claims": {"aud": "a"}, "forged": True})[1]["token"]
    _, keys = control("GET", "/certs")

    key = jwt.PyJWK(keys["keys"][0])
    assert {"aud": "a"} == jwt.decode(good, key, algorithms=["RS256"], audience="a")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, key, algorithms=["RS256"], audience="a")
    assert {"fetches": 1, "kid": cloud.issuer.kid} == control("GET", "/keys")[1]
    control("POST", "/keys/rotate", {})
    assert 2 == len(control("GET", "/certs")[1]["keys"])


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/none", None, {}, 404),
        ("POST", "/calls", {}, {}, 404),
        ("GET", "/calls?secret=db", None, {}, 400),
        ("POST", "/secrets/fail", {"secret": DB, "code": "NONE"}, {}, 400),
        ("POST", "/secrets/lag", {"secret": f"{DB}x"}, {}, 400),
        ("POST", "/secrets/slow", {}, {}, 400),
        ("POST", "/secrets/slow", {"secret": DB, "colour": 1}, {}, 400),
        ("POST", "/pubsub/delay", {"topic": "t", "seconds": "x"}, {}, 400),
        ("POST", "/pubsub/duplicate", {"topic": "t", "copies": "x"}, {}, 400),
        ("POST", "/pubsub/break", {"subscription": "s", "fault": "flood"}, {}, 400),
        ("POST", "/pubsub/break", {"subscription": "s", "fault": "down", "times": "x"}, {}, 400),
        ("POST", "/pubsub/follow", {"seed": 1, "down": "x"}, {}, 400),
        ("POST", "/pubsub/follow", {"seed": 1, "flood": 1}, {}, 400),
        ("POST", "/sign", {}, {}, 400),
        ("POST", "/sign", "{", {}, 400),
        ("POST", "/sign", "[]", {}, 400),
        ("POST", "/sign", '{"claims":' * 20_000, {}, 400),
        ("POST", "/sign", {"claims": {"iss": 5}}, {}, 400),
        ("POST", "/sign", {"claims": {}}, {"Content-Length": "9" * 5000}, 413),
        ("POST", "/sign", {"claims": {}}, {"Content-Type": "text/plain"}, 415),
        ("POST", "/sign", "x" * 300_000, {}, 413),
        ("GET", "/calls", None, {"Host": "keyturn.example:80"}, 403),
    ],
)
def test_bad_requests(control, method, path, body, headers, status):
    """A request that cannot be answered is told why; one from a browser's page gets nothing."""
    answered, told = control(method, path, body, **headers)

    assert status == answered
    assert told["error"]


def test_switches(cloud, control, client):
    """Quotas, topics that may not be published to, Data Access and the clock are switched from outside."""
    assert 200 == control("POST", "/audit", {})[0]
    client.get_secret(name=DB)
    assert 200 == control("POST", "/audit", {"reads": False})[0]
    client.get_secret(name=DB)
    assert 1 == len(cloud.secret_manager.audit.entries(method="GetSecret"))

    assert 200 == control("POST", "/secrets/forbid", {"topic": cloud.topic("news")})[0]
    with pytest.raises(exceptions.PermissionDenied):
        client.update_secret(
            secret={"name": DB, "topics": [{"name": cloud.topic("news")}]}, update_mask={"paths": ["topics"]}
        )

    before = cloud.clock()
    assert 200 == control("POST", "/clock/advance", {"seconds": 3600})[0]
    assert cloud.clock() >= before + 3600
    assert [400] * 3 == [
        control("POST", "/clock/advance", {"seconds": wrong})[0] for wrong in (-1, "soon", float("nan"))
    ]

    assert 200 == control("POST", "/secrets/limit", {})[0]

    def add(times):
        for _ in range(times):
            client.add_secret_version(parent=DB, payload={"data": b"x"})

    # However slow this machine is, a minute has 120 of them at most.
    with pytest.raises(exceptions.ResourceExhausted):
        add(121)
    assert 200 == control("POST", "/secrets/limit", {"on": False})[0]
    add(3)
