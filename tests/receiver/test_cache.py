"""The cache with a source in memory: what is promised of one process, without a network."""

import logging
import os
import threading
import time

import pytest

from receiver import SecretCache, SecretRevoked, SecretUnavailable
from receiver.cache import BACKSTOP
from receiver.errors import AccessFailed
from receiver.events import decode_push
from receiver.knowledge import Claim, Knowledge
from receiver.names import SecretName
from receiver.spread import Spread
from receiver.testing import InMemorySource, push, rotate


WAIT = 5.0


class Clock:
    """Monotonic seconds that a test can move; they go on by themselves, so that every bounded wait ends."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source():
    return InMemorySource({"API_KEY": "one", "OTHER_KEY": "other", "WALLET_PRIVATE_KEY": "wallet"})


@pytest.fixture
def make(source, clock, tmp_path):
    """Make caches, each a container of its own unless it is told where to meet; all are closed at the end."""
    made = []

    def cache(**kwargs):
        kwargs = {"run_dir": str(tmp_path / str(len(made))), "jitter": lambda: 0.5, "clock": clock} | kwargs
        made.append(SecretCache("any-project", source=source, **kwargs))
        return made[-1]

    yield cache
    for one in made:
        one.close()


@pytest.fixture
def cache(make):
    return make()


def in_threads(count, work):
    """Run `work` in so many threads at once and return what each gave."""
    given, ready = [], threading.Barrier(count)

    def run():
        ready.wait(WAIT)
        given.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    return given


def tick(cache):
    """What the listener does each second, now."""
    cache._worker._tick()
    for thread in threading.enumerate():
        if thread.name.startswith("keyturn-") and thread.name != "keyturn-siblings":
            thread.join(WAIT)


def awake(clock, seconds, *caches):
    """Let so many seconds go by in which the caches' processes run."""
    clock.ahead += seconds
    for cache in caches:
        cache._worker._rounds.wake.started()


def added(number, stamp):
    return Knowledge.version(number, stamp, usable=True, claim=Claim.ADDED)


class Gate:
    """Let a source's accesses wait until the test lets them go on."""

    def __init__(self, source):
        self.source = source

    def __enter__(self):
        self.source.block()
        return self.source

    def __exit__(self, *_):
        self.source.release()


@pytest.mark.promise("one fetch")
def test_64_threads_that_ask_for_a_cold_entry_cause_one_load(cache, source):
    """All share the answer of one: `latest` is read once, and the number above it is asked for once."""
    key = cache.secret("API_KEY")
    source.block()
    release = threading.Thread(target=lambda: source.until_blocked() and source.release())
    release.start()

    assert ["one"] * 64 == in_threads(64, lambda: key.value)
    release.join(WAIT)
    assert [("API_KEY", "latest"), ("API_KEY", "2")] == source.calls


@pytest.mark.promise("one fetch")
def test_many_who_announce_one_version_cause_one_fetch(cache, source):
    """However many pushes of one event arrive at once, the version is fetched once."""
    key = cache.secret("API_KEY")
    cache.load()
    source.add("API_KEY", "two")
    name = SecretName(source.project_number, "API_KEY")
    news = added(2, time.time_ns())
    before = len(source.calls)

    spreads = in_threads(16, lambda: cache.announce(name, news, deadline=time.monotonic() + WAIT))

    assert {Spread.SETTLED, Spread.KNOWN} >= set(spreads)
    assert [("API_KEY", "2")] == source.calls[before:]
    assert ("two", 2) == (key.value, key.version)


@pytest.mark.promise("one fetch")
def test_each_who_waits_has_its_own_deadline(make, source):
    """One whose time is up goes on with the last good value while the fetch is still under way for the others."""
    cache = make()
    key = cache.secret("API_KEY")
    cache.load()
    source.add("API_KEY", "two")
    name, news = SecretName(source.project_number, "API_KEY"), added(2, time.time_ns())
    with Gate(source):
        patient = threading.Thread(
            target=lambda: cache.announce(name, news, deadline=time.monotonic() + WAIT), daemon=True
        )
        patient.start()
        assert source.until_blocked()
        entry = cache._registry.all()[0]
        rest = entry.refresh(deadline=time.monotonic(), path="test")
        assert ("FAILED", True, "one") == (rest.verdict.name, rest.transient, key.value)
    patient.join(WAIT)
    assert "two" == key.value


@pytest.mark.promise("targeted")
def test_an_event_refetches_the_entry_that_it_names_and_nothing_else(cache, source):
    """Other entries are not fetched, and a secret that nobody declared costs no call."""
    cache.secret("API_KEY")
    cache.secret("OTHER_KEY")
    cache.load()
    before = len(source.calls)
    source.add("UNUSED", "x")

    rotate(cache, source, "API_KEY", "two")

    assert [("API_KEY", "2")] == source.calls[before:]


@pytest.mark.promise("targeted")
def test_one_secret_declared_twice_follows_in_both_entries(cache, source):
    """An entry for text and one for an alias of the same secret follow the same events, each its own pin."""
    source.set_aliases("API_KEY", {"live": 1})
    text, live = cache.secret("API_KEY"), cache.secret("API_KEY", pin="live")
    raw = cache.secret("API_KEY", type="bytes")
    cache.load()
    rotate(cache, source, "API_KEY", "two")
    assert ("two", "one", b"two") == (text.value, live.value, raw.value)

    source.set_aliases("API_KEY", {"live": 2})
    push(source, cache)

    assert "two" == live.value


@pytest.mark.promise("exact")
def test_a_stale_latest_is_never_read_in_answer_to_an_event(cache, source):
    """`latest` stands still for hours; the event's number is fetched all the same."""
    key = cache.secret("API_KEY")
    cache.load()
    source.lag("API_KEY")

    rotate(cache, source, "API_KEY", "two")

    assert "two" == key.value
    assert ("API_KEY", "latest") not in source.calls[2:]


@pytest.mark.promise("any order")
def test_a_late_event_does_not_move_a_value_back(cache, source):
    """The event of version 2 arrives after that of version 3."""
    key = cache.secret("API_KEY")
    cache.load()
    name = SecretName(source.project_number, "API_KEY")
    source.add("API_KEY", "two")
    source.add("API_KEY", "three")
    now = time.time_ns()

    cache.announce(name, added(3, now), deadline=time.monotonic() + WAIT)
    cache.announce(name, added(2, now - 1), deadline=time.monotonic() + WAIT)

    assert ("three", 3) == (key.value, key.version)


@pytest.mark.promise("any order")
def test_disabling_what_is_served_steps_back_and_enabling_returns(cache, source):
    """The served version is disabled: the one before it serves; it is enabled: it serves again."""
    key = cache.secret("API_KEY")
    cache.load()
    rotate(cache, source, "API_KEY", "two")

    source.disable("API_KEY", 2)
    push(source, cache)
    assert ("one", 1) == (key.value, key.version)
    source.enable("API_KEY", 2)
    push(source, cache)

    assert ("two", 2) == (key.value, key.version)


@pytest.mark.promise("last good")
@pytest.mark.parametrize("transient", [True, False])
def test_a_failure_keeps_the_last_good_value_and_is_retried(cache, source, clock, transient):
    """Whatever fails, the value stays; the retry comes after a jittered pause and takes the new one."""
    key = cache.secret("API_KEY")
    cache.load()
    source.add("API_KEY", "two")
    source.fail(AccessFailed("no", transient=transient))
    spread = cache.announce(
        SecretName(source.project_number, "API_KEY"), added(2, time.time_ns()), deadline=clock() + WAIT
    )
    assert (Spread.UNSETTLED if transient else Spread.HELD_BACK, "one") == (spread, key.value)

    tick(cache)
    assert "one" == key.value
    clock.ahead += 1.0
    tick(cache)

    assert "two" == key.value


@pytest.mark.promise("acked means done")
def test_a_re_creation_is_looked_into_until_something_answers(cache, source):
    """Of a new life only the ADD is heard, during an outage: its repeat is not answered by what was held before."""
    key = cache.secret("API_KEY")
    cache.load()
    source.delete("API_KEY")
    source.add("API_KEY", "another")
    event = decode_push(source.pushes()[-1], received=0)
    source.fail(times=1)
    spreads = [cache.announce(event.secret, event.knowledge(), deadline=time.monotonic() + WAIT) for _ in range(2)]

    assert ([Spread.UNSETTLED, Spread.SETTLED], "another") == (spreads, key.value)


@pytest.mark.promise("last good")
def test_a_look_for_newer_versions_that_failed_is_made_again(cache, source, clock):
    """A safety read or a wake check that met an outage is not over with it: what was looked for is looked for anew."""
    key = cache.secret("API_KEY")
    cache.load()
    source.add("API_KEY", "two")
    source.fail(times=1)
    cache.refresh(deadline=time.monotonic() + WAIT)
    before = key.value

    clock.ahead += 1.0
    tick(cache)

    assert ("one", "two") == (before, key.value)


@pytest.mark.promise("last good")
def test_a_value_that_does_not_parse_never_becomes_current(cache, source, caplog):
    """The last good value stays, the log says why without the value, and a good version mends it."""
    source.add("LIMITS", '{"most": 5}')
    limits = cache.secret("LIMITS", type="json")
    cache.load()
    with caplog.at_level(logging.ERROR, "keyturn"):
        rotate(cache, source, "LIMITS", "canary-not-json")
    assert ({"most": 5}, 1) == (dict(limits.value), limits.version)
    assert ["held_back" in caplog.text, "canary" in caplog.text] == [True, False]

    rotate(cache, source, "LIMITS", '{"most": 6}')

    assert 3 == limits.version


@pytest.mark.promise("last good")
def test_a_bad_version_does_not_keep_a_worker_from_starting(cache, source, caplog):
    """A worker that starts while the newest version does not parse serves the one that its siblings kept."""
    for value in ("[1]", "[2]", "canary-not-json", "{"):
        source.add("LIMITS", value)
    limits = cache.secret("LIMITS", type="json")
    fixed = cache.secret("LIMITS", type="json", pin=2)

    with caplog.at_level(logging.ERROR, "keyturn"):
        cache.load()

    assert ((2,), 2, (2,)) == (limits.value, limits.version, fixed.value)
    assert ["held_back" in caplog.text, "canary" in caplog.text] == [True, False]
    rotate(cache, source, "LIMITS", "[5]")
    assert (5,) == limits.value


@pytest.mark.promise("static stays static")
def test_a_static_entry_ignores_every_event(cache, source):
    """Its version is superseded, then destroyed: it keeps its value, and the answer says that it is fixed."""
    wallet = cache.secret("WALLET_PRIVATE_KEY", static=True)
    cache.load()
    before = len(source.calls)
    source.add("WALLET_PRIVATE_KEY", "wallet-2")
    spread = cache.announce(
        SecretName(source.project_number, "WALLET_PRIVATE_KEY"), added(2, time.time_ns()), deadline=time.monotonic() + 1
    )
    source.destroy("WALLET_PRIVATE_KEY", 1)
    push(source, cache)

    assert (Spread.FIXED, "wallet", before) == (spread, wallet.value, len(source.calls))


@pytest.mark.promise("static stays static")
@pytest.mark.parametrize("name", ["HOST_WALLET_PRIVATE_KEY", "jwt-signing-key", "walletMnemonic", "SEED_PHRASE"])
def test_names_of_signing_keys_must_say_whether_they_may_change(cache, name):
    """A name that looks like a private or signing key is static, or has an overlap and says why it is hot."""
    with pytest.raises(ValueError, match="static=True"):
        cache.secret(name)
    for half in ({"hot_because": " ", "overlap": 60}, {"hot_because": "it may"}, {"overlap": 60}):
        with pytest.raises(ValueError, match="static=True"):
            cache.secret(name, **half)

    assert cache.secret(name, static=True) is cache.secret(name, static=True)
    cache.secret(f"{name}-2", overlap=3600, hot_because="both ends accept the old one for an hour")


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "yaml"},
        {"pin": 0},
        {"pin": True},
        {"pin": "7"},
        {"pin": "a b"},
        {"on_revoked": "explode"},
        {"static": True, "hot_because": "x"},
        {"static": True, "fallback": "environment"},
        {"static": True, "overlap": 60},
        {"overlap": 0},
        {"overlap": float("inf")},
        {"overlap": True},
        {"overlap": "a while"},
        {"parse": "int"},
        {"validate": 7},
        {"validate_timeout": 0},
        {"validate_timeout": 31},
        {"fallback": "file"},
        {"location": "Not A Region"},
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_where_it_is_made(cache, wrong):
    """Bad input is refused at once, with the secret's name."""
    with pytest.raises(ValueError, match="API_KEY"):
        cache.secret("API_KEY", **wrong)


def test_a_contradicting_declaration_is_refused(cache):
    """One secret cannot be static in one module and hot in another."""
    cache.secret("API_KEY")
    with pytest.raises(ValueError, match="declared otherwise"):
        cache.secret("API_KEY", static=True)


def test_when_nothing_is_usable_the_last_good_value_stays_or_reads_raise(make, source, caplog):
    """`on_revoked` decides; an added version ends it for both."""
    keeping, raising = make(), make()
    kept, raised = keeping.secret("API_KEY"), raising.secret("API_KEY", on_revoked="raise")
    keeping.load()
    raising.load()
    source.disable("API_KEY", 1)
    with caplog.at_level(logging.ERROR, "keyturn"):
        push(source, keeping, raising)

    assert "one" == kept.value
    with pytest.raises(SecretRevoked, match="API_KEY"):
        _ = raised.value
    assert "revoked" in caplog.text

    source.add("API_KEY", "two")
    push(source, keeping, raising)
    assert ("two", "two") == (kept.value, raised.value)


@pytest.mark.promise("nobody left behind")
def test_a_first_read_in_vain_does_not_outlast_its_reason(cache, source):
    """No answer has shown the project's number, so no event counts yet: the next read asks anew, by number too."""
    key = cache.secret("API_KEY")
    source.add("API_KEY", "two")
    source.disable("API_KEY", 1)
    source.disable("API_KEY", 2)
    with pytest.raises(SecretUnavailable):
        _ = key.value
    source.enable("API_KEY", 1)
    push(source, cache)

    assert "one" == key.value


def test_load_says_which_failed_why_and_what_to_do(cache, source):
    """It fails fast, and names every entry that has no value."""
    cache.secret("API_KEY")
    cache.secret("MISSING_KEY")
    cache.secret("OTHER_KEY")
    source.fail(AccessFailed("OTHER_KEY: permission denied", transient=False), name="OTHER_KEY")

    with pytest.raises(SecretUnavailable, match=r"2 of .*MISSING_KEY.*permission denied.*secretAccessor") as raised:
        cache.load()

    assert "projects/any-project/secrets/API_KEY" not in str(raised.value)


def test_load_ends_in_time_when_nothing_answers(cache, source):
    """A Secret Manager that hangs costs the timeout and no more."""
    for number in range(80):
        source.add(f"KEY_{number}", "x")
        cache.secret(f"KEY_{number}")
    began = time.monotonic()
    with Gate(source), pytest.raises(SecretUnavailable, match="80 of"):
        cache.load(timeout=0.2)

    assert time.monotonic() - began < 2


def test_news_heard_before_the_first_answer_counts(cache, source):
    """An event that comes before the project's number is known is joined with the first answer."""
    key = cache.secret("API_KEY")
    source.lag("API_KEY")
    rotate(cache, source, "API_KEY", "two")
    rotate(cache, source, "API_KEY", "three")

    assert ("three", 3) == (key.value, key.version)


def test_news_during_the_first_load_counts(cache, source):
    """An event that arrives while `latest` is being read is not lost."""
    key = cache.secret("API_KEY")
    source.block()
    loading = threading.Thread(target=cache.load, daemon=True)
    loading.start()
    assert source.until_blocked()
    source.lag("API_KEY")
    rotate(cache, source, "API_KEY", "two")
    source.release()
    loading.join(WAIT)

    assert "two" == key.value


def test_another_projects_secret_of_the_same_name_is_none_of_ours(cache, source):
    """Once the project's number is known, an event of another project's secret means nothing."""
    cache.secret("API_KEY")
    cache.load()

    spread = cache.announce(SecretName("123", "API_KEY"), added(9, time.time_ns()), deadline=time.monotonic() + 1)

    assert Spread.NOT_OURS is spread


@pytest.mark.promise("nobody left behind")
def test_a_worker_that_was_not_told_catches_up_before_its_next_request(make, source, tmp_path):
    """What a sibling wrote to the board is applied by the check at the start of a request, a revocation's end too."""
    told, untold = make(run_dir=str(tmp_path / "meet")), make(run_dir=str(tmp_path / "meet"))
    keys = [cache.secret("API_KEY", on_revoked="raise") for cache in (told, untold)]
    told.load()
    untold.load()
    source.disable("API_KEY", 1)
    push(source, told)
    with pytest.raises(SecretRevoked):
        _ = keys[1].value
    untold._worker.membership.container._siblings.leave()  # as if it were stopped: nobody can tell it anything

    rotate(told, source, "API_KEY", "two")
    assert not untold.current
    untold.fence()

    assert (["two", "two"], True) == ([key.value for key in keys], untold.current)


@pytest.mark.promise("acked means done")
def test_a_repeat_is_answered_after_the_callbacks_of_what_a_read_has_found(cache, source):
    """In a forked child the first read may find what was announced before; its callbacks are waited for then too."""
    key, called, go = cache.secret("API_KEY"), threading.Event(), threading.Event()
    key.on_change(lambda held: (called.set(), go.wait(WAIT)))
    cache.load()
    cache.after_fork()
    source.pushes()
    source.add("API_KEY", "two")
    event = decode_push(source.pushes()[0], received=0)
    cache.announce(event.secret, event.knowledge(), deadline=time.monotonic() + WAIT)
    assert "two" == key.value
    assert called.wait(WAIT)
    threading.Timer(0.1, go.set).start()

    cache.announce(event.secret, event.knowledge(), deadline=time.monotonic() + WAIT)

    assert go.is_set()


@pytest.mark.promise("acked means done")
def test_the_answer_comes_after_the_callbacks(cache, source):
    """`announce` returns when the callbacks have run."""
    seen = []
    key = cache.secret("API_KEY")
    cache.load()

    @key.on_change
    def rebuild(held):
        seen.append((held.version, held.value, key.value))

    rotate(cache, source, "API_KEY", "two")

    assert [(2, "two", "two")] == seen


def test_a_child_process_is_told_of_what_changed_since_it_was_forked(cache, source):
    """A callback registered before the fork runs in the child when its first look finds another version."""
    told_r, told_w = os.pipe()
    key = cache.secret("API_KEY")
    cache.load()
    key.on_change(lambda held: os.write(told_w, str(held.version).encode()))
    source.add("API_KEY", "two")

    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if (key.value, key.version) == ("two", 2) else 2
            cache._registry.all()[0].callbacks.wait(time.monotonic() + WAIT)
            cache.close()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert (0, b"2", 1) == (os.waitstatus_to_exitcode(status), os.read(told_r, 8), key.version)
    os.close(told_r)
    os.close(told_w)


@pytest.mark.promise("nobody left behind")
def test_a_child_forked_in_the_middle_of_the_first_swap_looks_for_itself(cache, source):
    """Another thread had swapped the value in and had not said so yet: the child does not take it as it is."""
    key = cache.secret("API_KEY")
    cache.load()
    cache._registry.all()[0].loaded = False
    source.add("API_KEY", "two")

    cache.after_fork()

    assert "two" == key.value


@pytest.mark.promise("last good")
def test_a_child_serves_what_it_inherited_while_nothing_answers(cache, source, clock):
    """The first read after a fork looks; where nothing answers the inherited value serves, and is replaced later."""
    key = cache.secret("API_KEY")
    cache.load()
    source.add("API_KEY", "two")
    cache.after_fork()
    source.fail(times=1)
    assert "one" == key.value

    clock.ahead += 1.0
    tick(cache)

    assert "two" == key.value


def test_a_child_does_not_serve_what_was_revoked_when_reads_are_to_raise(cache, source):
    """What it inherited stands in for what does not answer, never for what is revoked; a new version ends that."""
    key, heard = cache.secret("API_KEY", on_revoked="raise"), []
    key.on_change(lambda held: heard.append(held.version))
    cache.load()
    source.disable("API_KEY", 1)
    cache.after_fork()

    with pytest.raises(SecretRevoked, match="API_KEY"):
        _ = key.value
    source.add("API_KEY", "two")
    push(source, cache)

    assert ("two", [2]) == (key.value, heard)


def test_a_child_tells_its_callbacks_of_the_value_that_follows_a_revocation(cache, source):
    """Forked while reads raise, it finds the secret created anew: the number is the same, the value is another."""
    key, heard = cache.secret("API_KEY", on_revoked="raise"), []
    key.on_change(lambda held: heard.append((held.version, held.value)))
    cache.load()
    source.disable("API_KEY", 1)
    push(source, cache)
    cache.after_fork()
    source.delete("API_KEY")
    source.add("API_KEY", "another")
    push(source, cache)

    value = key.value
    cache._registry.all()[0].callbacks.wait(time.monotonic() + WAIT)

    assert ("another", [(1, "another")]) == (value, heard)


def test_a_child_waits_as_its_parent_does_while_a_secret_is_created_anew(cache, source):
    """Between a creation and its first version the value from before stays, in a process that forks then too."""
    key = cache.secret("API_KEY", on_revoked="raise")
    cache.load()
    source.delete("API_KEY")
    news = Knowledge.born(time.time_ns())
    cache.announce(SecretName("any-project", "API_KEY"), news, deadline=time.monotonic() + WAIT)
    parent_s = key.value

    cache.after_fork()

    assert ("one", "one") == (parent_s, key.value)


class TestFallback:
    """Degraded starts: the environment stands in where the declaration allows it."""

    def test_it_stands_in_and_is_replaced(self, make, source, clock, caplog):
        """It is said in the log, and replaced as soon as Secret Manager answers."""
        cache = make(environ={"API_KEY": "from-the-environment"})
        key, told = cache.secret("API_KEY", fallback="environment"), []
        key.on_change(lambda held: told.append(held.version))
        source.fail(AccessFailed("down", transient=True))
        with caplog.at_level(logging.ERROR, "keyturn"):
            cache.load()
        assert ("from-the-environment", 0) == (key.value, key.version)
        assert ["fallback_served" in caplog.text, "from-the-environment" in caplog.text] == [True, False]

        clock.ahead += 1.0
        tick(cache)

        assert ("one", [1]) == (key.value, told)

    def test_an_event_replaces_it_at_once(self, make, source):
        """A push does not wait for the backoff."""
        cache = make(environ={"API_KEY": "from-the-environment"})
        key = cache.secret("API_KEY", fallback="environment")
        source.fail(AccessFailed("down", transient=True))
        cache.load()

        rotate(cache, source, "API_KEY", "two")

        assert ("two", 2) == (key.value, key.version)

    @pytest.mark.parametrize("environ", [{}, {"API_KEY": ""}, {"API_KEY": "not json"}])
    def test_where_it_gives_nothing_the_start_fails(self, make, source, environ):
        """No variable, an empty one, or one that is not of the type: as without."""
        cache = make(environ=environ)
        cache.secret("API_KEY", type="json", fallback="environment")
        source.fail(AccessFailed("down", transient=True))

        with pytest.raises(SecretUnavailable, match="down") as raised:
            cache.load()

        assert "not json" not in str(raised.value)

    def test_it_is_not_used_where_the_declaration_does_not_allow_it(self, make, source):
        """A variable of the name alone changes nothing."""
        cache = make(environ={"API_KEY": "from-the-environment"})
        cache.secret("API_KEY")
        source.fail(AccessFailed("down", transient=True))

        with pytest.raises(SecretUnavailable):
            cache.load()


class TestModes:
    """Freezing and observing."""

    @pytest.mark.parametrize("value", ["1", "true", "yes", "please"])
    def test_frozen_nothing_changes_after_the_start(self, make, source, caplog, value):
        """Events are acknowledged and change nothing; the log says so once at the start."""
        cache = make(environ={"KEYTURN_FREEZE": value})
        key = cache.secret("API_KEY")
        with caplog.at_level(logging.WARNING, "keyturn"):
            cache.load()
        assert 1 == caplog.text.count("frozen:")
        before = len(source.calls)

        rotate(cache, source, "API_KEY", "two")
        cache.fence()

        assert ("one", before) == (key.value, len(source.calls))

    @pytest.mark.parametrize("value", ["", "0", "false", "No", "off"])
    def test_not_frozen(self, make, source, value):
        """Off is off."""
        cache = make(environ={"KEYTURN_FREEZE": value})
        key = cache.secret("API_KEY")
        cache.load()

        rotate(cache, source, "API_KEY", "two")

        assert "two" == key.value

    def test_observing_fetches_says_and_does_not_swap(self, make, source, caplog):
        """The log says what would be served; what was loaded at the start is served, and callbacks rest."""
        cache, told = make(observe=True), []
        key = cache.secret("API_KEY", on_revoked="raise")
        key.on_change(told.append)
        cache.load()
        with caplog.at_level(logging.INFO, "keyturn"):
            rotate(cache, source, "API_KEY", "two")
            source.disable("API_KEY", 1)
            source.disable("API_KEY", 2)
            push(source, cache)

        assert ("one", [], 1) == (key.value, told, caplog.text.count("would_refresh:"))


class TestBackstop:
    """The safety read."""

    def test_it_finds_what_no_event_announced(self, make, source, clock, caplog):
        """About an hour later one worker reads, climbs, and says what it found."""
        cache = make()
        key, other = cache.secret("API_KEY"), cache.secret("OTHER_KEY")
        cache.load()
        source.lag("API_KEY")
        source.add("API_KEY", "two")
        tick(cache)
        assert "one" == key.value

        awake(clock, BACKSTOP + 1, cache)
        with caplog.at_level(logging.INFO, "keyturn"):
            tick(cache)

        assert ("two", "other", 1) == (key.value, other.value, caplog.text.count("backstop_found:"))

    def test_one_worker_of_a_container_makes_it_for_all(self, make, source, clock, tmp_path):
        """The other worker hears of what was found, and does not look for itself."""
        meet = str(tmp_path / "meet")
        caches = [make(run_dir=meet) for _ in range(2)]
        keys = [cache.secret("API_KEY") for cache in caches]
        for cache in caches:
            cache.load()
        source.add("API_KEY", "two")
        before = len(source.calls)
        awake(clock, BACKSTOP + 1, *caches)
        for cache in caches:
            tick(cache)

        assert ["two", "two"] == [key.value for key in keys]
        assert 1 == [asked for _, asked in source.calls[before:]].count("latest")

    def test_it_can_be_off(self, make, source, clock):
        """`None` switches it off; less than a minute is refused."""
        cache = make(backstop=None)
        key = cache.secret("API_KEY")
        cache.load()
        source.add("API_KEY", "two")
        awake(clock, 10 * BACKSTOP, cache)
        tick(cache)
        assert "one" == key.value

        with pytest.raises(ValueError, match="backstop"):
            make(backstop=5)


def test_looking_finds_versions_without_numbers(cache, source):
    """An event that says only that a secret changed is answered by climbing."""
    key = cache.secret("API_KEY")
    cache.load()
    source.lag("API_KEY")
    source.add("API_KEY", "two")

    spread = cache.look(SecretName("any-project", "API_KEY"), deadline=time.monotonic() + WAIT)

    assert (Spread.SETTLED, "two") == (spread, key.value)


def test_nothing_is_touched_before_it_is_needed(source, tmp_path):
    """A cache that is only declared makes no directory, thread or call."""
    threads = threading.active_count()
    cache = SecretCache("any-project", source=source, run_dir=str(tmp_path / "run"))
    cache.secret("API_KEY")

    assert ([], False, threads) == (source.calls, (tmp_path / "run").exists(), threading.active_count())
    assert "<SecretCache any-project: 1 entries>" == repr(cache)
