"""What is written of a worker's life and of a change: who, what, by which path, and how long it took."""

import logging
import os
import re
import threading

import pytest

from receiver import Insecure, SecretCache
from receiver.errors import AccessFailed
from receiver.handler import PushHandler
from receiver.names import SecretName
from receiver.report import say_substitute
from receiver.testing import InMemorySource, push, rotate
from tests.documents import TEXT
from tests.receiver.test_cache import WAIT, Clock


NAME = "projects/any-project/secrets/API_KEY"


@pytest.fixture
def source():
    return InMemorySource({"API_KEY": "one", "OTHER_KEY": "other"})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(source, clock, wall, tmp_path):
    made = []

    def cache(**kwargs):
        environ = {"K_SERVICE": "payments", "K_REVISION": "payments-7"} if "environ" not in kwargs else {}
        kwargs = {"run_dir": str(tmp_path), "jitter": lambda: 0.5, "environ": environ} | kwargs
        kwargs = {"clock": clock, "wall": wall} | kwargs
        made.append(SecretCache("any-project", source=source, **kwargs))
        return made[-1]

    yield cache
    for one in made:
        one.close()


@pytest.fixture
def said(caplog):
    """The fields of the entries of an event, oldest first."""
    caplog.set_level(logging.INFO, "keyturn")

    def of(*events):
        fields = [record.json_fields for record in caplog.records if hasattr(record, "json_fields")]
        return [one for one in fields if one["event"] in events]

    return of


def test_a_change_says_who_what_and_how_long(make, source, said):
    """An entry about a move names service, revision, instance and worker, both versions, the path and the times."""
    cache = make(environ={})
    cache.secret("API_KEY")
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    (moved,) = said("refreshed")

    assert (NAME, 2, 1, "push") == tuple(moved[key] for key in ("secret", "version", "previous", "path"))
    assert os.getpid() == moved["worker"]
    assert moved["instance"] == moved["container"]
    assert [moved["member"]] == moved["members"]
    assert all(0 <= moved[key] < 60_000 for key in ("event_ms", "arrival_ms", "fetch_ms"))


def test_a_first_load_has_no_event(make, said):
    """Nothing caused a first load but the start, so it says of no event how long ago it was."""
    cache = make()
    cache.secret("API_KEY")
    cache.load()
    (loaded,) = said("loaded")

    assert not {"previous", "event_ms", "arrival_ms"} & loaded.keys()
    assert "fetch_ms" in loaded
    assert ("payments", "payments-7") == (loaded["service"], loaded["revision"])


def test_a_worker_says_when_it_begins_and_ends(make, said):
    """The first worker of a container and the last are told apart from the others, and each names who lives."""
    first, second = make(), make()
    for cache in (first, second):
        cache.secret("API_KEY")
        cache.load()
    first.close()
    second.close()
    names = [fields["member"] for fields in said("instance_started", "worker_started")]

    assert ["instance_started", "worker_started", "worker_stopped", "instance_stopped"] == [
        fields["event"] for fields in said("instance_started", "worker_started", "worker_stopped", "instance_stopped")
    ]
    assert [names[:1], sorted(names)] == [
        sorted(fields["members"]) for fields in said("instance_started", "worker_started")
    ]
    assert [names[1:], []] == [fields["members"] for fields in said("worker_stopped", "instance_stopped")]


def test_who_never_joined_says_nothing_at_its_end(make, said):
    """A cache that was only declared has no life to tell of."""
    make().close()

    assert [] == said("worker_stopped", "instance_stopped")


def test_a_safety_read_is_a_sign_of_life(make, clock, wall, said):
    """About once an hour a worker says that it lives and what it serves; what never follows stands apart."""
    cache = make()
    cache.secret("API_KEY")
    cache.secret("OTHER_KEY", static=True)
    cache.load()
    clock.ahead += 3610
    wall.ahead += 3610
    cache.fence()
    (alive,) = said("alive")

    assert [f"{NAME}/versions/1"] == alive["serving"]
    assert ["projects/any-project/secrets/OTHER_KEY/versions/1"] == alive["fixed"]
    assert [alive["member"]] == alive["members"]


def test_an_entry_that_is_pinned_or_static_says_so(make, said):
    """Whoever reads the log must know who will never follow."""
    cache = make()
    cache.secret("API_KEY", pin=1)
    cache.secret("OTHER_KEY", static=True)
    cache.load()

    assert [{"pin": "1"}, {"static": True}] == [
        {key: fields[key] for key in ("pin", "static") if key in fields}
        for fields in sorted(said("loaded"), key=lambda fields: fields["secret"])
    ]


def test_a_step_back_counts_from_the_end_of_the_version(make, source, said):
    """The event of a step back is the one that disabled what was served."""
    cache = make()
    cache.secret("API_KEY")
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    source.disable("API_KEY", 2)
    push(source, cache)
    (back,) = said("stepped_back")

    assert (1, 2) == (back["version"], back["previous"])
    assert 0 <= back["event_ms"] < 60_000


def test_a_callback_says_when_it_has_run(make, source, said):
    """With the version, its name, and how long it took."""
    cache = make()
    ran = threading.Event()
    secret = cache.secret("API_KEY")

    @secret.on_change
    def rebuild(_):
        ran.set()

    cache.load()
    rotate(cache, source, "API_KEY", "two")

    assert ran.wait(WAIT)
    (ended,) = said("called_back")
    assert (2, rebuild.__qualname__) == (ended["version"], ended["callback"])
    assert 0 <= ended["callback_ms"] < 60_000


def test_an_answered_push_says_how_late_it_is(make, source, said):
    """Since the event itself, and since Pub/Sub took it in; with the living workers."""
    cache = make()
    cache.secret("API_KEY")
    cache.load()
    source.add("API_KEY", "two")
    PushHandler(cache, Insecure("a test of what is said"))({}, None, lambda _: source.pushes()[-1])
    (answered,) = said("push_answered")

    assert "APPLIED" == answered["answer"]
    assert all(0 <= answered[key] < 60_000 for key in ("event_ms", "publish_ms"))
    assert [answered["member"]] == answered["members"]


def test_what_stands_in_is_named(make, source, said):
    """An entry that falls back says which version stands in: 0 is the environment's."""
    cache = make(environ={"API_KEY": "stand-in"})
    cache.secret("API_KEY", fallback="environment")
    source.fail(AccessFailed("down", transient=True), times=5)
    cache.load(timeout=2.0)

    assert [0] == [fields["version"] for fields in said("fallback_served")]


def test_what_stands_in_for_an_answer_that_is_late_says_so():
    """Whoever gave up before the access did still says why."""
    texts = []
    name = SecretName("any-project", "API_KEY")
    say_substitute(lambda level, event, text, **fields: texts.append(text), name, "inherited", None, version=1)

    assert texts[0].endswith(": Secret Manager has given no value")


def test_every_field_is_explained(make, source, said):
    """What an entry of a change or of a life holds stands in the README's table of fields."""
    cache = make()
    cache.secret("API_KEY").on_change(lambda _: None)
    cache.secret("OTHER_KEY", static=True, pin=1)
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    cache.close()
    table = TEXT.split("| field | meaning |", 1)[1].split("\n\n", 1)[0]
    explained = set(re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:])))
    shown = {key for fields in said("loaded", "refreshed", "called_back", "instance_started") for key in fields}

    assert shown - {"event", "callback"} <= explained
    assert {"previous", "members", "callback_ms", "pin", "static"} <= shown
