"""Faults of the local Secret Manager, and what it tells of its calls."""

import threading

import google_crc32c
import grpc
import pytest
from google.api_core import exceptions

from notifier.local.cloud import LocalCloud
from notifier.local.names import project_number
from notifier.local.rpc import Refusal


DB = f"projects/{project_number('demo')}/secrets/db"


@pytest.fixture(autouse=True)
def db(cloud):
    cloud.create_secret("db", b"one")
    cloud.create_secret("other", b"other")
    return DB


def value(client, asked, **more):
    return client.access_secret_version(name=f"{DB}/versions/{asked}", **more).payload.data


def test_latest_stands_still(cloud, client):
    """A lag of no changes shows `latest` as it was, however many versions come; by number all are there."""
    cloud.secret_manager.lag(DB, changes=0)
    cloud.add_version("db", b"two")
    cloud.add_version("db", b"three")

    assert [b"one", b"two", b"three"] == [value(client, asked) for asked in ("latest", "2", "3")]
    cloud.secret_manager.catch_up(DB)
    assert b"three" == value(client, "latest")


def test_latest_as_before_the_last_changes(cloud, client):
    """A lag of one change hides the last one: a version, a state or an alias."""
    cloud.add_version("db", b"two")
    cloud.secret_manager.set_aliases(DB, {"blue": 1})
    cloud.secret_manager.set_aliases(DB, {"blue": 2})
    cloud.secret_manager.lag(DB, changes=1)
    assert b"one" == value(client, "blue")

    cloud.secret_manager.disable_version(DB, 2)
    cloud.secret_manager.lag(DB, changes=1)

    assert b"two" == value(client, "latest")
    with pytest.raises(exceptions.FailedPrecondition):
        value(client, "2")


def test_latest_as_it_was_some_time_ago(wall):
    """A lag by time shows what was that long ago, and never less than a first version."""
    with LocalCloud(project="demo", wall=wall) as cloud:
        client = cloud.secret_manager_client()
        cloud.create_secret("db", b"one")
        cloud.secret_manager.lag(DB, seconds=3600)
        wall.now += 10
        cloud.add_version("db", b"two")

        assert b"one" == value(client, "latest")
        wall.now += 3601
        assert b"two" == value(client, "latest")


def test_failures_as_many_as_asked(cloud, client):
    """The next accesses of one secret fail with the status asked for, and no other secret's do."""
    cloud.secret_manager.fail_accesses(DB, times=2, code=grpc.StatusCode.RESOURCE_EXHAUSTED, message="quota")

    for _ in range(2):
        with pytest.raises(exceptions.ResourceExhausted):
            value(client, "1", retry=None)
        assert b"other" == client.access_secret_version(name="projects/demo/secrets/other/versions/1").payload.data
    assert b"one" == value(client, "1", retry=None)


def test_accesses_hang_until_released(cloud, client):
    """An access that was slowed hangs until it is let go, and is then answered."""
    cloud.secret_manager.slow_accesses(DB)
    served = []
    reading = threading.Thread(target=lambda: served.append(value(client, "1")))
    reading.start()
    assert cloud.secret_manager.log.wait_for_arrivals(DB, 1)

    assert [] == served
    cloud.secret_manager.heal(DB)
    reading.join(5)
    assert [b"one"] == served


def test_as_many_hang_as_asked(cloud, client):
    """Only so many accesses hang as was asked for, and a caller's own deadline still holds."""
    cloud.secret_manager.slow_accesses(DB, times=1)

    with pytest.raises(exceptions.DeadlineExceeded):
        value(client, "1", retry=None, timeout=0.05)
    assert b"one" == value(client, "1")


def test_hanging_accesses_do_not_hold_up_the_end(cloud, client):
    """The cloud ends at once even where an access hangs."""
    cloud.secret_manager.slow_accesses(DB)
    ended = []

    def read():
        try:
            value(client, "1", retry=None)
        except exceptions.GoogleAPICallError as exc:
            ended.append(exc)

    reading = threading.Thread(target=read)
    reading.start()
    assert cloud.secret_manager.log.wait_for_arrivals(DB, 1)

    cloud.stop()
    reading.join(5)

    assert 1 == len(ended)


def test_damaged_answers(cloud, client):
    """A damaged answer carries a checksum that does not fit; the next one fits again."""
    cloud.secret_manager.damage_accesses(DB)

    fits = [
        google_crc32c.value(answer.payload.data) == answer.payload.data_crc32c
        for answer in (client.access_secret_version(name=f"{DB}/versions/1") for _ in range(2))
    ]

    assert [False, True] == fits


def test_every_access_is_counted(cloud, client):
    """Accesses are told by what was asked, what was served and by whom; values are not."""
    value(client, "latest")
    value(client, "latest")
    with pytest.raises(exceptions.NotFound):
        value(client, "7")
    client.get_secret_version(name=f"{DB}/versions/latest")

    log = cloud.secret_manager.log
    assert {(DB, "latest", 1): 2, (DB, "7", None): 1} == log.counts()
    first = log.calls(DB)[0]
    assert ("latest", 1, "OK") == (first.asked, first.served, first.status)
    assert first.peer.startswith("ipv4:127.0.0.1:")
    assert "grpc-python" in first.user_agent
    assert "gapic" in first.api_client
    assert "NOT_FOUND" == log.calls(DB)[-1].status
    log.clear()
    assert {} == log.counts()


def test_refusals_inside_the_process_name_their_status(cloud):
    """What is refused over the wire is refused inside the process, with the same status."""
    with pytest.raises(Refusal) as refused:
        cloud.add_version("none", b"x")

    assert grpc.StatusCode.NOT_FOUND == refused.value.code
