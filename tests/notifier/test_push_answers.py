"""What endpoints answer that is hard to read, slow, too much, or nothing."""

import socket
import time

import pytest

from notifier.local import exchange
from notifier.local.cloud import LocalCloud


AT_ONCE = (0.0, 0.0)
GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n", 200),
        (b"HTTP/1.1 204\r\n\r\n", 204),
        (b"HTTP/1.1 202 Accepted\n\n", 202),
        (b"HTTP/1.1 102 Processing\r\n\r\n", 102),
        (HEAD + b"Content-Length: 9000000\r\n\r\nand no more", 200),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + GOOD, 204),
        ([b"HTTP/1.1 100 Continue\r\n\r", b"\nHTTP/1", b".1 201 Created\r\nA: b\r", b"\n\r", b"\n"], 201),
        (HEAD + b"A: " + b"a" * 40_000 + b"\r\n\r\n", 200),
    ],
    ids=["1.0", "no reason", "bare lines", "102", "half a body", "chunked", "interim", "in pieces", "a large head"],
)
def test_answers_that_are_read(cloud, wire, answer, status, pushed):
    """An answer acknowledges by its status as soon as its head is there, however it comes and whatever follows."""
    assert [status] == pushed(cloud, wire(answer).url)
    assert 0 == cloud.pubsub.undelivered("projects/demo/subscriptions/push")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"\r\n\r\n" + GOOD,
        b"\x16\x03\x01\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nSSH\r\n",
        HEAD + b"A: b\r\n" * 20_000,
        b"a" * (exchange.LONGEST_HEAD + 1),
        [b"HTTP/1.1 204 No Content\r\nA: b\r\n", None],
        [HEAD.rstrip(), None],
        [None],
    ],
    ids=[
        "another protocol", "four digits", "another version", "no status", "no first line", "binary", "interim only",
        "many headers", "one long line", "cut off", "cut off at once", "nothing",
    ],
)  # fmt: skip
def test_answers_that_are_none(cloud, wire, answer, pushed):
    """What is no answer of HTTP, is cut off before its head ends or is too long is none: the message comes again."""
    endpoint = wire(answer)

    assert [None, 204] == pushed(cloud, endpoint.url, count=2)
    assert 2 == len(endpoint.requests)


def test_an_answer_that_trickles(wire, pushed):
    """The deadline is for the whole answer: one that comes byte by byte, each in time, is given up."""
    endpoint = wire([HEAD, *[b"a"] * 2000])
    with LocalCloud(project="demo", push_timeout=0.2) as cloud:
        assert [None, 204] == pushed(cloud, endpoint.url, count=2)
        assert 0.2 <= cloud.pubsub.pushes()[0].seconds < 5.0


def test_one_that_hangs_holds_up_no_other(cloud, wire):
    """While requests get no answer, the other messages of the subscription are pushed, in the room that is left."""
    endpoint = wire(*[[b""] * 2] * 4)
    cloud.push_to(endpoint.url, topic="news")
    for _ in range(40):
        cloud.pubsub.publish(cloud.topic("news"), b"x", {})

    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 36)
    assert {204} == {push.status for push in cloud.pubsub.pushes()}


def test_a_refused_connection_is_paced(wire):
    """An endpoint where nobody listens is left alone like one that refuses, also with many messages that wait."""
    with LocalCloud(project="demo", longest_pause=60.0) as cloud, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        subscription = cloud.push_to(f"http://127.0.0.1:{taken.getsockname()[1]}", topic="news", backoff=(60, 60))
        cloud.subscriber().modify_push_config(subscription=subscription, push_config={})
        for _ in range(200):
            cloud.pubsub.publish(cloud.topic("news"), b"x", {})
        cloud.subscriber().modify_push_config(
            subscription=subscription, push_config={"push_endpoint": f"http://127.0.0.1:{taken.getsockname()[1]}"}
        )
        assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) >= 10)
        endpoint = wire()
        cloud.push_to(endpoint.url, topic="news", name="other")
        cloud.pubsub.publish(cloud.topic("news"), b"x", {})
        assert cloud.pubsub.wait_for_pushes(lambda pushes: any(push.acknowledged for push in pushes))

        assert 15 >= len(cloud.pubsub.pushes()) - 1


def test_the_last_lease_of_a_message_runs_out(cloud, wire):
    """A message whose last lease ran out while its request hung is buried, and what comes after it is pushed."""
    endpoint = wire(*[b"HTTP/1.1 503 x\r\n\r\n"] * 4, [b"", b""])
    cloud.create_topic("graves")
    cloud.push_to(endpoint.url, topic="news", backoff=AT_ONCE, dead_letter=("graves", 5))
    last = cloud.create_topic("graves")
    grave = cloud.subscriber().create_subscription(name="projects/demo/subscriptions/grave", topic=last).name
    cloud.pubsub.publish(cloud.topic("news"), b"x", {})
    assert cloud.pubsub.wait_for_pushes(lambda pushes: len(pushes) == 4)
    _until(lambda: len(endpoint.requests) == 5)
    cloud.advance(600.0)
    _until(lambda: cloud.pubsub.undelivered(grave) == 1)
    cloud.pubsub.publish(cloud.topic("news"), b"y", {})

    assert cloud.pubsub.wait_for_pushes(lambda pushes: pushes[-1].acknowledged)


def _until(true):
    end = time.monotonic() + 8
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)
