"""Push, seen from the endpoint."""

import base64
import socket
import threading
import time

import jwt
import pytest
from google.api_core import exceptions

from notifier.local.cloud import SENDER, LocalCloud
from notifier.local.push import Endpoint as Target
from notifier.local.push_pace import FIRST, MOST


AT_ONCE = (0.0, 0.0)


@pytest.fixture
def news(cloud):
    return cloud.create_topic("news")


def test_the_request(cloud, news, endpoint):
    """A push is a POST with the headers and the keys that the real service sends."""
    subscription = cloud.push_to(endpoint.url, topic=news)
    sent = cloud.pubsub.publish(news, "grüße".encode(), {"a": "é"})
    (request,) = endpoint.wait_for(1)

    assert "/push?token=abc" == request.path
    assert ("application/json", "CloudPubSub-Google") == (
        request.headers["Content-Type"],
        request.headers["User-Agent"],
    )
    assert subscription == request.body["subscription"]
    assert {"attributes", "data", "messageId", "message_id", "publishTime", "publish_time"} == set(request.message)
    assert (sent, sent) == (request.message["messageId"], request.message["message_id"])
    assert {"a": "é"} == request.message["attributes"]
    assert "grüße".encode() == base64.b64decode(request.message["data"])
    assert request.message["publishTime"] == request.message["publish_time"]


def test_no_attributes_no_key(cloud, news, endpoint):
    """A message without attributes is pushed without that key."""
    cloud.push_to(endpoint.url, topic=news)
    cloud.pubsub.publish(news, b"x", {})

    assert "attributes" not in endpoint.wait_for(1)[0].message


@pytest.mark.parametrize(("asked", "audience"), [("https://db.example", "https://db.example"), (None, None)])
def test_the_token(cloud, news, endpoint, asked, audience):
    """The token is signed with a published key and names audience and sender; the audience is else the endpoint."""
    cloud.push_to(endpoint.url, topic=news, audience=asked)
    cloud.pubsub.publish(news, b"x", {})
    kind, token = endpoint.wait_for(1)[0].headers["Authorization"].split(" ")

    key = jwt.PyJWKClient(cloud.environment()["KEYTURN_OIDC_KEYS_URL"]).get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=audience or endpoint.url)
    assert "Bearer" == kind
    assert (SENDER, True, "https://accounts.google.com") == (claims["email"], claims["email_verified"], claims["iss"])
    assert 3600 == claims["exp"] - claims["iat"]
    assert claims["azp"] == claims["sub"]
    assert {"aud", "azp", "email", "email_verified", "exp", "iat", "iss", "sub"} == set(claims)


def test_the_signature_is_stripped_on_demand(cloud, news, endpoint):
    """Where it was asked for, a token comes as Cloud Run hands it on: as it was signed, but for its signature."""
    cloud.push_to(endpoint.url, topic=news, audience="https://db.example", strip_signature=True)
    cloud.pubsub.publish(news, b"x", {})
    token = endpoint.wait_for(1)[0].headers["Authorization"].removeprefix("Bearer ")
    signed = cloud.issuer.token(audience="https://db.example", email=SENDER)

    assert f"{signed.rpartition('.')[0]}.SIGNATURE_REMOVED_BY_GOOGLE" == token


def test_a_filter(cloud, news, endpoint):
    """What the filter does not let through is not pushed, and counts as acknowledged."""
    subscription = cloud.push_to(endpoint.url, topic=news, filter='attributes.eventType != "TOPIC_CONFIGURED"')
    cloud.pubsub.publish(news, b"", {"eventType": "TOPIC_CONFIGURED"})
    cloud.pubsub.publish(news, b"x", {"eventType": "SECRET_VERSION_ADD"})

    assert ["SECRET_VERSION_ADD"] == endpoint.events(1)
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 1)
    assert 0 == cloud.pubsub.undelivered(subscription)


def test_dead_letters(cloud, news, endpoint):
    """A message that is refused as often as agreed goes to the dead letter topic and says where it comes from."""
    endpoint.answers = [503] * 5
    cloud.push_to(endpoint.url, topic=news, backoff=AT_ONCE, dead_letter=("graves", 5))
    cloud.push_to(endpoint.url, topic="graves", name="visitor")
    sent = cloud.pubsub.publish(news, b"x", {"a": "b"})
    *tries, buried = endpoint.wait_for(6)

    assert [1, 2, 3, 4, 5] == [request.body["deliveryAttempt"] for request in tries]
    assert {sent} == {request.message["messageId"] for request in tries}
    assert sent != buried.message["messageId"]
    assert "deliveryAttempt" not in buried.body
    assert {
        "a": "b",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "push",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "demo",
        "CloudPubSubDeadLetterSourceTopicPublishTime": tries[0].message["publishTime"].replace("Z", "+00:00"),
    } == buried.message["attributes"]
    assert 0 == cloud.pubsub.undelivered("projects/demo/subscriptions/push")


def test_unwrapped(cloud, news, endpoint):
    """An unwrapped push is the data, byte by byte, and says nothing of the message."""
    cloud.push_to(endpoint.url, topic=news, unwrapped=True)
    cloud.pubsub.publish(news, b"\xff\x00{}", {"a": "b", "Content-Type": "text/plain"})
    (request,) = endpoint.wait_for(1)

    assert b"\xff\x00{}" == request.raw
    assert {"Host", "Content-Length", "User-Agent", "Accept", "Authorization"} == set(request.headers)


def test_unwrapped_with_metadata(cloud, news, endpoint):
    """With metadata, attributes are headers beside the message's id and time; what cannot be one is left out."""
    name = cloud.push_to(endpoint.url, topic=news, unwrapped=True, write_metadata=True)
    attributes = {
        "eventType": "SECRET_ROTATE",
        "Content-Type": "text/plain",
        "no header": "x",
        "k": "a\nb",
        "Host": "x",
    }
    sent = cloud.pubsub.publish(news, b"", attributes)
    headers = endpoint.wait_for(1)[0].headers

    assert b"" == endpoint.received[0].raw
    assert ("SECRET_ROTATE", "text/plain") == (headers["eventType"], headers["Content-Type"])
    assert (name, sent) == (headers["x-goog-pubsub-subscription-name"], headers["x-goog-pubsub-message-id"])
    assert headers["x-goog-pubsub-publish-time"].endswith("Z")
    assert not {"no header", "k", "x-goog-pubsub-ordering-key"} & set(headers)
    assert headers["Host"] in endpoint.url


def test_no_sender_no_token(cloud, news, endpoint):
    """Without a sender no token is sent."""
    cloud.push_to(endpoint.url, topic=news, sender=None)
    cloud.pubsub.publish(news, b"x", {})

    assert "Authorization" not in endpoint.wait_for(1)[0].headers


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_acknowledging_answers(cloud, news, endpoint, status):
    """These answers acknowledge the message."""
    endpoint.answers = [status]
    subscription = cloud.push_to(endpoint.url, topic=news, backoff=AT_ONCE)
    cloud.pubsub.publish(news, b"x", {})

    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 1)
    assert 0 == cloud.pubsub.undelivered(subscription)


@pytest.mark.parametrize("answer", [203, 206, (302, {"Location": "/elsewhere"}), 400, 401, 404, 429, 500, 503])
def test_refusing_answers(cloud, news, endpoint, answer):
    """Every other answer has the message come again, and redirects are not followed."""
    endpoint.answers = [answer]
    subscription = cloud.push_to(endpoint.url, topic=news, backoff=AT_ONCE)
    sent = cloud.pubsub.publish(news, b"x", {})
    both = endpoint.wait_for(2)

    assert ["/push?token=abc"] * 2 == [request.path for request in both]
    assert [sent, sent] == [request.message["messageId"] for request in both]
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 2)
    assert [False, True] == [push.acknowledged for push in cloud.pubsub.pushes()]
    assert [1, 2] == [push.attempt for push in cloud.pubsub.pushes()]
    assert 0 == cloud.pubsub.undelivered(subscription)


def test_waits_between_attempts():
    """Refused messages wait longer each time, up to a minute; a retry policy sets both ends."""
    assert [0.1, 0.2, 0.4] == [Target("http://x", 10).wait(attempt) for attempt in (1, 2, 3)]
    assert 60.0 == Target("http://x", 10).wait(50)
    assert [10.0, 20.0, 30.0] == [Target("http://x", 10, backoff=(10, 30)).wait(attempt) for attempt in (1, 2, 3)]


def test_an_endpoint_that_comes_up_late(cloud, news, endpoint):
    """A message for an endpoint that does not listen arrives once it does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        subscription = cloud.push_to(url, topic=news, backoff=(0.01, 0.01))
        cloud.pubsub.publish(news, b"x", {})
        assert cloud.pubsub.wait_for_pushes(lambda pushes: pushes and pushes[0].status is None)

    cloud.subscriber().modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})

    assert 1 == len(endpoint.wait_for(1))


def test_a_url_that_cannot_be_requested(cloud, news, endpoint):
    """A URL that no request can be made of fails each attempt, and pushing goes on once it is mended."""
    subscription = cloud.push_to(f"{endpoint.url}ü", topic=news, backoff=(0.01, 0.01))
    cloud.pubsub.publish(news, b"x", {})
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) >= 2)

    cloud.subscriber().modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})

    assert 1 == len(endpoint.wait_for(1))


def test_an_answer_that_does_not_come(news, endpoint):
    """A request without an answer in time is given up, and the message comes again."""
    endpoint.hold = threading.Event()
    with LocalCloud(project="demo", push_timeout=0.1) as cloud:
        cloud.push_to(endpoint.url, topic="news", backoff=AT_ONCE)
        cloud.pubsub.publish(cloud.topic("news"), b"x", {})
        both = endpoint.wait_for(2)
        endpoint.hold.set()

    assert both[0].message["messageId"] == both[1].message["messageId"]


def test_many_in_flight(cloud, news, endpoint):
    """A few requests are under way at once at first, and more with each success, but not any number."""
    subscription = cloud.push_to(endpoint.url, topic=news)

    def publish(count):
        for number in range(count):
            cloud.pubsub.publish(news, str(number).encode(), {})

    endpoint.hold = threading.Event()
    publish(10)
    endpoint.wait_for(FIRST)
    assert FIRST == endpoint.under_way
    endpoint.hold.set()
    publish(MOST - 10)
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == MOST)

    endpoint.hold = threading.Event()
    publish(50)
    endpoint.wait_for(2 * MOST)
    assert MOST == endpoint.under_way
    endpoint.hold.set()
    endpoint.wait_for(MOST + 50)
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == MOST + 50)
    assert 0 == cloud.pubsub.undelivered(subscription)


def test_one_slow_subscription_holds_up_no_other(cloud, news, endpoint):
    """What hangs in one subscription leaves the others alone."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cloud.push_to(f"http://127.0.0.1:{silent.getsockname()[1]}", topic=news, name="silent")
        cloud.push_to(endpoint.url, topic=news, name="quick")
        for _ in range(40):
            cloud.pubsub.publish(news, b"x", {})

        assert 40 == len(endpoint.wait_for(40))


def test_at_once(cloud, news, endpoint):
    """A push leaves when its message is published, not at the next look: well under Google's emulator's 100 ms."""
    cloud.push_to(endpoint.url, topic=news)
    took = []
    for count in range(1, 21):
        began = time.monotonic()
        cloud.pubsub.publish(news, b"x", {})
        endpoint.wait_for(count)
        took.append(time.monotonic() - began)

    assert sorted(took)[10] < 0.05


def test_paused_and_resumed(cloud, news, endpoint):
    """An empty configuration pauses pushes, messages wait, and a new one resumes with them."""
    subscription = cloud.push_to(endpoint.url, topic=news)
    subscriber = cloud.subscriber()
    subscriber.modify_push_config(subscription=subscription, push_config={})
    cloud.pubsub.publish(news, b"x", {})

    assert 1 == cloud.pubsub.undelivered(subscription)
    assert [] == endpoint.received
    subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})
    assert 1 == len(endpoint.wait_for(1))


@pytest.mark.parametrize("new_id", [False, True])
def test_duplicates_on_demand(cloud, news, endpoint, new_id):
    """The next message comes as often as asked, under one id or several, and the one after it once."""
    cloud.push_to(endpoint.url, topic=news)
    cloud.pubsub.duplicate(news, copies=2, new_id=new_id)
    cloud.pubsub.publish(news, b"first", {})
    endpoint.wait_for(3)
    cloud.pubsub.publish(news, b"second", {})

    ids = [request.message["messageId"] for request in endpoint.wait_for(4)]
    assert 3 if new_id else 1 == len(set(ids[:3]))
    assert ids[3] not in ids[:3]


@pytest.mark.parametrize("new_id", [False, True])
def test_the_last_message_again(cloud, news, endpoint, new_id):
    """The last message can be sent again, as Pub/Sub repeats it or as its publisher would."""
    cloud.push_to(endpoint.url, topic=news)
    sent = cloud.pubsub.publish(news, b"x", {})
    endpoint.wait_for(1)
    again = cloud.pubsub.repeat(news, new_id=new_id)

    assert [sent, again] == [request.message["messageId"] for request in endpoint.wait_for(2)]
    assert new_id == (sent != again)
    assert cloud.pubsub.repeat("projects/demo/topics/none") is None


def test_delays_on_demand(cloud, news, endpoint):
    """A delayed message is overtaken by the next one and tells its true publish time."""
    cloud.push_to(endpoint.url, topic=news)
    cloud.pubsub.delay(news, 60)
    late = cloud.pubsub.publish(news, b"late", {})
    early = cloud.pubsub.publish(news, b"early", {})
    endpoint.wait_for(1)
    cloud.advance(60)
    first, second = endpoint.wait_for(2)

    assert [early, late] == [request.message["messageId"] for request in (first, second)]
    assert second.message["publishTime"] <= first.message["publishTime"]


def test_the_end_is_bounded(news, endpoint):
    """The cloud ends within a second or so while requests hang, and leaves no thread."""
    endpoint.hold = threading.Event()
    before = set(threading.enumerate())
    cloud = LocalCloud(project="demo").start()
    cloud.push_to(endpoint.url, topic="news")
    for _ in range(5):
        cloud.pubsub.publish(cloud.topic("news"), b"x", {})
    endpoint.wait_for(5)
    began = time.monotonic()
    cloud.stop()

    assert time.monotonic() - began < 3
    left = [t.name for t in set(threading.enumerate()) - before if t.name.startswith("local-")]
    assert [] == left


@pytest.mark.parametrize(
    ("push", "error"),
    [
        ({"push_endpoint": "ftp://x"}, exceptions.InvalidArgument),
        ({"push_endpoint": "x"}, exceptions.InvalidArgument),
        ({"push_endpoint": "http://x:99999"}, exceptions.InvalidArgument),
        ({"push_endpoint": "http:///push"}, exceptions.InvalidArgument),
        ({"push_endpoint": "http://x", "oidc_token": {"audience": "a"}}, exceptions.InvalidArgument),
    ],
)
def test_bad_endpoints_are_refused(cloud, news, push, error):
    """An endpoint that cannot be pushed to is refused at once."""
    with pytest.raises(error):
        cloud.subscriber().create_subscription(name="projects/demo/subscriptions/bad", topic=news, push_config=push)
