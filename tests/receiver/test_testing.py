"""The source in memory, as the author of a service uses it in tests."""

import flask
import pytest

from receiver import Insecure, SecretCache, SecretRevoked, SecretUnavailable, refresh_blueprint
from receiver.errors import AccessFailed
from receiver.testing import InMemorySource, push, rotate


@pytest.fixture
def source():
    return InMemorySource({"KEY": "one"})


@pytest.fixture
def cache(source, tmp_path):
    made = SecretCache(project="p", source=source, run_dir=str(tmp_path))
    yield made
    made.close()


def test_a_rotation(cache, source):
    """A rotated secret is what the service reads next, at the number that `rotate` returns."""
    key = cache.secret("KEY")
    assert "one" == key.value

    number = rotate(cache, source, "KEY", "two")

    assert (2, 2, "two") == (number, key.version, key.value)


def test_nothing_changes_before_the_push(cache, source):
    """A change shows when it is pushed, as in production; all that were made are pushed together, in order."""
    key = cache.secret("KEY")
    cache.load()
    source.add("KEY", "two")
    source.add("KEY", "three")
    assert "one" == key.value

    push(source, cache)
    assert "three" == key.value
    source.disable("KEY", 3)
    push(source, cache)
    assert "two" == key.value
    source.enable("KEY", 3)
    push(source, cache)
    assert "three" == key.value


def test_an_alias_moves(cache, source):
    """An entry that follows an alias moves with it."""
    source.add("KEY", "two")
    source.set_aliases("KEY", {"live": 1})
    key = cache.secret("KEY", pin="live")
    cache.load()
    source.set_aliases("KEY", {"live": 2})
    push(source, cache)

    assert "two" == key.value


def test_a_secret_that_is_revoked(cache, source):
    """Destroying the only version revokes the value where the declaration says so."""
    key = cache.secret("KEY", on_revoked="raise")
    cache.load()
    source.destroy("KEY", 1)
    push(source, cache)

    with pytest.raises(SecretRevoked):
        _ = key.value


def test_a_regional_secret_by_its_handle(cache, source):
    """A handle's `name` names its secret here too, regional ones included."""
    key = cache.secret("KEY", location="europe-west4")
    source.add(key.name, "regional")
    assert "regional" == key.value

    rotate(cache, source, key.name, b"new")

    assert "new" == key.value


def test_the_bodies_reach_the_route(cache, source):
    """What `pushes` returns is what Pub/Sub posts: the service's own route takes it."""
    key = cache.secret("KEY")
    cache.load()
    app = flask.Flask(__name__)
    app.register_blueprint(refresh_blueprint(cache, auth=Insecure("a test")))
    source.add("KEY", "two")

    answers = [app.test_client().post("/secrets/events", data=body).status_code for body in source.pushes()]

    assert ([204], "two", []) == (answers, key.value, source.pushes())


def test_two_tests_do_not_meet(source, tmp_path):
    """What is announced of one source means nothing to a cache of another, even where they share a run directory."""
    other = InMemorySource({"KEY": "other"})
    caches = [SecretCache("p", source=each, run_dir=str(tmp_path)) for each in (source, other)]
    keys = [cache.secret("KEY") for cache in caches]
    assert ["one", "other"] == [key.value for key in keys]
    source.disable("KEY", 1)
    rotate(caches[0], source, "KEY", "two")
    for cache in caches:
        cache.fence()

    assert ["two", "other"] == [key.value for key in keys]
    for cache in caches:
        cache.close()


def test_an_outage(cache, source):
    """A service can be shown what an outage at its start is, and that it passes."""
    key = cache.secret("KEY")
    source.fail(AccessFailed("all is down", transient=True), times=2)
    with pytest.raises(SecretUnavailable, match="all is down"):
        cache.load()
    source.fail(name="OTHER")

    with pytest.raises(SecretUnavailable, match="all is down"):
        cache.load()
    cache.load()
    assert "one" == key.value


def test_reads_that_lag_a_disabling(source):
    """On demand access by number too is served what it was before the last changes; what was added is there."""
    secret = SecretCache("p", source=source).secret("KEY").name
    source.lag("KEY", numbers=True)
    source.disable("KEY", 1)
    source.add("KEY", "two")

    assert [b"one", b"two", b"one"] == [
        source.access(secret, version, timeout=1).data for version in ("1", "2", "latest")
    ]
    source.destroy("KEY", 2)
    assert [("KEY", "1"), ("KEY", "2"), ("KEY", "latest")] == source.calls


def test_blocked_accesses_can_be_waited_for(cache, source):
    """A test sees that somebody waits upstream, and lets them go on."""
    from threading import Thread

    key = cache.secret("KEY")
    source.block("KEY")
    reader = Thread(target=lambda: key.value)
    reader.start()
    assert source.until_blocked()
    source.release()
    reader.join(10)

    assert "one" == key.value
    assert not source.until_blocked(timeout=0)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda source: source.add("KEY", ""),
        lambda source: source.disable("NONE", 1),
        lambda source: source.disable("KEY", 2),
        lambda source: source.destroy("KEY", 0),
        lambda source: source.set_aliases("KEY", {"live": 2}),
        lambda source: source.delete("NONE"),
        lambda source: source.lag("NONE"),
        lambda source: source.add("no name", "x"),
    ],
)
def test_mistakes_are_said(source, mistake):
    """What a test names and does not exist is a ValueError, not a silence."""
    with pytest.raises(ValueError, match=r"\w"):
        mistake(source)


def test_what_is_destroyed_stays_so(source):
    """Nothing undoes a destruction."""
    source.destroy("KEY", 1)

    for undo in (source.enable, source.disable, source.destroy):
        with pytest.raises(ValueError, match="nothing undoes"):
            undo("KEY", 1)
