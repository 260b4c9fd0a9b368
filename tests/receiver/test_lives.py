"""Found by the simulation: secrets that are young or re-created, and answers that are older than the news.

Each test is one schedule in small; `tests/simulation` finds them again where the fix is taken out.
"""

import time
from dataclasses import replace
from functools import reduce

import pytest

from receiver import SecretCache
from receiver.entry import Access, Adopt, Adopted, Asked, Entry, Held, Missing, Refused, Told, Verdict
from receiver.knowledge import SECOND, Claim, Knowledge
from receiver.names import SecretName
from receiver.rundir import RunDir, _make
from receiver.step import step
from receiver.testing import InMemorySource, push, rotate
from tests.properties.test_step import HOUR, Model, drive, refreshed, started, with_versions


pytestmark = pytest.mark.promise("any order")


def young(*states):
    """A secret that was created a minute and a half ago; returns its model and the news of its creation."""
    model = Model()
    born = Knowledge.born(model.tick())
    for number, state in enumerate(states, 1):
        model.versions[number] = state
        model.events.append(Knowledge.version(number, model.tick(), usable=True, claim=Claim.ADDED))
    model.tick(90 * SECOND)
    return model, born


def told(entry, news, model):
    return step(entry, Told(news), now=model.now)[0]


def test_a_creation_that_is_heard_of_late_moves_nothing_back():
    """A service started after the secret was made; ADD 1 and the creation come late, ADD 2 goes to somebody else."""
    model, born = young("enabled", "enabled")
    entry, _ = started(model)

    for news in (model.events[0], born):
        entry, rest = refreshed(entry, news, model)

    assert (2, Verdict.SERVED) == (entry.held.number, rest.verdict)


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize(("state", "verdict"), [("enabled", Verdict.SERVED), ("disabled", Verdict.NONE_USABLE)])
def test_a_worker_starts_in_a_life_of_which_nobody_has_heard(state, verdict):
    """The board tells of the life before, in which version 1 was disabled: what is there now is served."""
    model = Model()
    for _ in range(3):
        model.add()
    model.set(1, "disabled")
    told = reduce(Knowledge.merge, model.events)
    model.recreate()
    model.versions[1] = state
    model.stale = (model.now, {1: "enabled"})

    entry, rest = drive(Entry()._replace(knowledge=told), Asked(read=True), model)
    served = entry.held and entry.held.number
    model.add()
    for news in model.events[4:]:
        entry, _ = refreshed(entry, news, model)

    assert (1 if state == "enabled" else None, verdict) == (served, rest.verdict)
    assert 2 == entry.held.number


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize("pin", ["latest", "live"])
def test_a_worker_starts_where_only_the_creation_is_known(pin):
    """What is read in a secret's first six hours counts, or whoever knows of its creation could not start in them."""
    model, born = young("enabled", "enabled")
    model.aliases["live"] = 2

    entry, rest = drive(Entry(pin=pin)._replace(knowledge=born), Asked(read=True), model)

    assert (2, Verdict.SERVED) == (entry.held.number, rest.verdict)


@pytest.mark.promise("nobody left behind")
@pytest.mark.parametrize("when", range(9))
def test_a_worker_starts_whenever_it_is_told_of_the_creation(when):
    """A replay begins while it reads: what was read before is void, and is looked for once more."""
    model, born = young("disabled", "disabled", "enabled", "disabled")

    entry, rest = drive(Entry(), Asked(read=True), model, during=[*[Knowledge()] * when, born])

    assert (3, Verdict.SERVED) == (entry.held.number, rest.verdict)


@pytest.mark.promise("nobody left behind")
def test_a_worker_starts_with_the_alias_that_it_read():
    """Where all that is known of an alias leads to a disabled version, a start serves what it has just read."""
    model = with_versions("enabled", "disabled", "enabled")
    model.aliases["live"] = 3
    known = Knowledge.whole_alias_map({"live": 2}, model.tick())
    known = known.merge(Knowledge.version(2, model.tick(), usable=False))

    entry, _ = drive(Entry(pin="live")._replace(knowledge=known), Asked(read=True), model)

    assert 3 == entry.held.number


@pytest.mark.promise("acked means done")
@pytest.mark.parametrize("held", [None, Held(1, fetched=0, life=-1)], ids=["a start", "a fork's last good"])
@pytest.mark.parametrize("lags", [1, 0], ids=["at a disabled version", "unset"])
def test_a_read_in_vain_does_not_outweigh_what_was_told_of_an_alias(held, lags):
    """A lagging alias still leads nowhere: what an event said of it, and others acknowledged, is served."""
    model = with_versions("disabled", "enabled")
    model.aliases["live"] = lags
    known = Knowledge.whole_alias_map({"live": 2}, model.tick())

    entry, rest = drive(Entry(pin="live", knowledge=known, held=held), Asked(read=True), model)

    assert (2, Verdict.SERVED) == (entry.held.number, rest.verdict)


@pytest.mark.promise("last good")
def test_a_read_in_vain_is_tried_again_where_the_alias_is_known_to_lead_to_what_is_held():
    """An alias that Secret Manager says leads to a disabled version keeps the last good value."""
    model = with_versions("enabled", "disabled")
    model.aliases["live"] = 1
    entry, _ = started(model, pin="live")
    model.aliases["live"] = 2

    entry, rest = drive(entry, Asked(read=True), model)

    assert (1, Verdict.FAILED) == (entry.held.number, rest.verdict)


@pytest.mark.promise("last good")
@pytest.mark.parametrize("settles", [True, False], ids=["a start", "a fork"])
def test_a_start_does_not_wait_for_what_was_enabled_and_is_refused(settles):
    """The disabling after it went to another instance: a start serves what is below, a fork what it inherited."""
    model = with_versions("enabled", "disabled", "enabled", "enabled")
    known = model.set(3, "enabled").merge(model.set(4, "enabled"))
    model.versions[3] = model.versions[4] = "disabled"

    entry, rest = drive(Entry(knowledge=known), Asked(read=True, settle=settles), model)
    served = entry.held and entry.held.number
    model.versions[4] = "enabled"
    entry, _ = drive(entry, Asked(read=True), model)

    assert ((1, Verdict.HELD_BACK) if settles else (None, Verdict.FAILED)) == (served, rest.verdict)
    assert 4 == entry.held.number


def test_reads_of_a_young_secret_count_in_their_order():
    """A number that was not there yet is served once it is, though both reads are weaker than any event."""
    model, born = young("enabled", "disabled")
    entry, _ = drive(Entry()._replace(knowledge=born), Asked(read=True), model)
    assert 1 == entry.held.number
    model.versions[2] = "enabled"
    model.tick(60 * SECOND)

    entry, _ = drive(entry, Asked(read=True), model)

    assert 2 == entry.held.number


def test_a_read_after_a_deletion_revives_nothing():
    """Reads may lag behind a deletion for hours, so only an event brings a deleted secret back."""
    model = with_versions("enabled")
    entry, _ = started(model)
    entry, _ = refreshed(entry, Knowledge.deleted(model.tick()), model)

    entry, rest = drive(entry, Asked(read=True), model)

    assert Verdict.NONE_USABLE is rest.verdict


def test_the_end_of_a_climb_is_no_proof_of_a_new_life():
    """An ADD that looks like a re-created secret's comes while a climb asks for a number that does not exist."""
    model = with_versions("enabled", "enabled", "enabled")
    entry, _ = started(model)
    entry = entry._replace(held=Held(3, fetched=entry.held.fetched, life=0))
    entry, effect = step(entry, Asked(climb=True), now=model.now)
    late = Knowledge.version(2, entry.held.fetched + SECOND, usable=True, claim=Claim.ADDED)

    entry = told(entry, late, model)
    entry, effect = step(entry, model.answer(effect), now=model.now)
    for _ in range(9):
        if not isinstance(effect, Access | Adopt):
            break
        happened = Adopted(effect.held) if isinstance(effect, Adopt) else model.answer(effect)
        entry, effect = step(entry, happened, now=model.now)

    assert 3 == entry.held.number


@pytest.mark.promise("nobody left behind")
def test_the_slow_end_of_a_climb_that_was_given_up_is_no_word_on_what_was_added_since():
    """The number that a climb asked for is added, the one above it disabled, and a wake check begins, all meanwhile."""
    model = with_versions("enabled", "enabled", "enabled")
    entry, effect = step(Entry(), Asked(read=True), now=model.now)
    entry, effect = step(entry, model.answer(effect), now=model.now)
    end = model.answer(effect)
    model.add()
    model.add()
    entry = told(entry, model.set(5, "disabled"), model)
    entry, _ = step(entry, Asked(read=True), now=model.now)

    entry, rest = drive(entry, end, model)

    assert (4, Verdict.SERVED) == (entry.held.number, rest.verdict)


def test_an_answer_that_was_asked_for_before_the_doubt_does_not_end_it():
    """A held number that was confirmed before the re-creation is asked for once more."""
    model = with_versions("enabled", "enabled")
    entry, _ = started(model)
    first = Knowledge.version(1, entry.held.fetched + SECOND, usable=True, claim=Claim.ADDED)
    entry, effect = step(told(entry, first, model), Asked(), now=model.now)
    found = model.answer(effect)

    again = Knowledge.version(1, entry.held.fetched + 2 * SECOND, usable=True, claim=Claim.ADDED)
    entry, effect = step(told(entry, again, model), found, now=model.now)

    assert "2" == effect.version


def test_another_value_under_the_number_held_is_another_life():
    """A secret that was re-created with as many versions as before: the number says nothing, the payload does."""
    model = with_versions("enabled")
    entry, _ = started(model)
    entry, effect = step(entry, Asked(read=True), now=model.now)
    entry, effect = step(entry, replace(model.answer(effect), differs=True), now=model.now)
    entry, effect = step(entry, model.answer(effect), now=model.now)

    assert isinstance(effect, Adopt)
    assert 1 == effect.held.number


def test_what_was_fetched_just_before_a_re_creation_is_not_served_after_it():
    """The newest version is in hand when the number held turns out to be of a new life, which has no such version."""
    model = with_versions("enabled", "enabled")
    entry, _ = started(model)
    entry, effect = step(told(entry, model.add(), model), Asked(), now=model.now)
    third = model.answer(effect)
    model.recreate()
    entry = told(entry, model.add(), model)
    entry, effect = step(entry, third, now=model.now)
    entry, effect = step(entry, replace(model.answer(effect), differs=True), now=model.now)
    assert "3" == effect.version

    entry, rest = drive(entry, model.answer(effect), model)

    assert (2, Verdict.SERVED) == (entry.held.number, rest.verdict)


@pytest.mark.promise("last good")
@pytest.mark.parametrize("versions", [1, 3])
def test_a_bad_version_of_a_new_life_does_not_keep_what_is_of_a_life_that_is_over(versions):
    """The good version below it is served, whether its number is lower than the one held or the same."""
    model = with_versions(*["enabled"] * versions)
    entry, _ = started(model)
    model.tick(HOUR)
    model.recreate()
    model.add()
    news = reduce(Knowledge.merge, model.events)

    entry, rest = refreshed(entry, news, model, broken={2})

    assert (1, True, Verdict.HELD_BACK) == (entry.held.number, entry.current, rest.verdict)


@pytest.mark.promise("last good")
def test_a_forked_child_serves_what_it_read_below_a_bad_version():
    """What it inherited differs from what it has read under the same number, and it holds neither yet."""
    model = with_versions("enabled", "enabled")
    model.stale = (0, {1: "enabled"})
    entry, effect = step(Entry(), Asked(read=True), now=model.now)

    entry, rest = drive(entry, replace(model.answer(effect), differs=True), model, broken={2})

    assert (1, True, Verdict.HELD_BACK) == (entry.held.number, entry.current, rest.verdict)


def test_what_was_enabled_is_asked_for_again_after_a_pause_also_where_another_life_is_suspected():
    """The version held is refused although it was enabled last, while an ADD came late: not four tries at once."""
    model = with_versions("enabled")
    entry, _ = started(model)
    model.versions[1] = "disabled"
    late = Knowledge.version(1, model.tick(2 * SECOND), usable=True, claim=Claim.ADDED)
    enabled = Knowledge.version(1, model.tick(), usable=True, claim=Claim.ENABLED)
    entry, effect = step(told(told(entry, late, model), enabled, model), Asked(), now=model.now)
    pauses = [effect.pause]
    while len(pauses) < 4:
        assert effect.suspect is not None
        entry, effect = step(entry, model.answer(effect), now=model.now)
        pauses.append(effect.pause)

    assert [0.0, 0.5, 1.0, 2.0] == pauses


def test_a_lagging_read_of_the_life_before_is_not_taken_for_a_newer_one():
    """Within the window of a creation that was heard of, a read may still show the life before it."""
    model = with_versions("enabled")
    entry, _ = started(model)
    entry, _ = refreshed(entry, Knowledge.born(model.tick()), model)
    entry, _ = refreshed(entry, Knowledge.version(1, model.tick(), usable=True, claim=Claim.ADDED), model)
    entry, effect = step(entry, Asked(read=True), now=model.now)

    entry, effect = step(entry, replace(model.answer(effect), differs=True), now=model.now)
    entry, effect = step(entry, model.answer(effect), now=model.now)

    assert not isinstance(effect, Adopt)


@pytest.mark.parametrize("answer", [Missing, lambda access: Refused(access, began=0)], ids=["missing", "refused"])
def test_a_refusal_does_not_refute_what_came_meanwhile(answer):
    """A climb's probe is refused, and while its answer travels the ADD of that very number is heard, and a refresh."""
    model = with_versions("enabled")
    entry, _ = started(model)
    entry, effect = step(entry, Asked(climb=True), now=model.now)
    assert "2" == effect.version
    model.add()

    entry = told(entry, model.events[-1], model)
    entry, _ = step(entry, Asked(), now=model.now)
    entry, effect = step(entry, answer(effect), now=model.now)

    assert ("2", False) == (effect.version, entry.knowledge.word(2).unusable)


def test_a_climb_that_meets_a_version_enabled_lately_does_not_refute_it():
    """Enabling is only eventually consistent, also for whoever climbs over the version."""
    model = with_versions("enabled", "disabled")
    entry, _ = started(model)
    only_one = Knowledge.version(1, model.now - 9 * HOUR, usable=True)
    entry, effect = step(entry._replace(knowledge=only_one), Asked(climb=True), now=model.now)
    enable = Knowledge.version(2, model.tick(), usable=True, claim=Claim.ENABLED)
    assert "2" == effect.version

    entry, _ = step(told(entry, enable, model), model.answer(effect), now=model.now)

    assert not entry.knowledge.word(2).unusable


def test_what_was_refused_is_refused_for_siblings_that_read_it_since():
    """One worker's refusal counts more than the read that another made before it and after the first one's own."""
    model = with_versions("enabled", "enabled")
    first, _ = started(model)
    model.tick(60 * SECOND)
    second, _ = started(model)
    model.tick(60 * SECOND)
    model.versions[2] = "disabled"

    first, _ = drive(first, Asked(read=True), model)
    second, _ = refreshed(second, first.knowledge, model)

    assert (1, 1) == (first.held.number, second.held.number)


def test_a_number_that_is_added_after_its_destruction_is_of_another_life():
    """The destruction of a version 2 and the ADD of the next life's are heard, and nothing of what was between."""
    knowledge = Knowledge.destruction(2, 10 * HOUR).merge(
        Knowledge.version(2, 11 * HOUR, usable=True, claim=Claim.ADDED)
    )

    assert 2 == knowledge.wanted("latest")


def test_a_new_life_is_inferred_where_nothing_is_known_of_it():
    """Deleted, and then a read shows a lower number while the one held is gone: that is a new life, and no error."""
    model = with_versions("enabled", "enabled", "enabled")
    entry, _ = started(model)
    entry = told(entry, Knowledge.deleted(model.tick()), model)
    model.versions = {1: "enabled"}

    entry, rest = drive(entry, Asked(read=True), model)

    assert (1, Verdict.SERVED) == (entry.held.number, rest.verdict)


@pytest.fixture
def source():
    return InMemorySource({"API_KEY": "one"})


@pytest.fixture
def cache(source, tmp_path):
    cache = SecretCache("any-project", source=source, run_dir=str(tmp_path))
    yield cache
    cache.close()


@pytest.mark.promise("last good")
def test_a_worker_starts_where_its_container_missed_that_a_version_was_disabled_again(cache, source, tmp_path):
    """The container was told of an enabling, and the disabling after it went to another instance of the service."""
    kept = cache.secret("API_KEY")
    cache.load()
    source.add("API_KEY", "two")
    source.disable("API_KEY", 2)
    source.enable("API_KEY", 2)
    push(source, cache)
    source.disable("API_KEY", 2)
    later = SecretCache("any-project", source=source, run_dir=str(tmp_path), pause=lambda _: None)
    started = later.secret("API_KEY")
    later.load()
    later.close()

    assert ("two", "one") == (kept.value, started.value)


def test_callbacks_hear_of_the_value_that_ends_a_revocation(cache, source):
    """What a service has bound to the value from before must be bound to the one after."""
    key, heard = cache.secret("API_KEY", on_revoked="raise"), []
    key.on_change(lambda held: heard.append(held.value))
    cache.load()
    source.disable("API_KEY", 1)
    push(source, cache)

    rotate(cache, source, "API_KEY", "two")

    assert ["two"] == heard


def test_a_value_of_a_new_life_is_a_change_though_its_number_is_the_same(cache, source):
    """A safety read finds the secret re-created, with as many versions as before and nothing announced."""
    key, heard = cache.secret("API_KEY"), []
    key.on_change(lambda held: heard.append((held.version, held.value)))
    cache.load()
    source.delete("API_KEY")
    source.add("API_KEY", "another")
    source.pushes()

    cache.refresh(deadline=time.monotonic() + 5)
    entry = cache._registry.all()[0]
    entry.callbacks.wait(time.monotonic() + 5)

    assert ("another", [(1, "another")]) == (key.value, heard)


@pytest.mark.promise("acked means done")
def test_who_was_stopped_while_a_secret_was_re_created_looks_before_its_next_request(cache, source):
    """The board tells of an ADD alone, of the number that this worker serves: other workers have acknowledged it."""
    key = cache.secret("API_KEY")
    cache.load()
    source.delete("API_KEY")
    source.add("API_KEY", "another")
    name = SecretName(source.project_number, "API_KEY")
    again = Knowledge.version(1, time.time_ns(), usable=True, claim=Claim.ADDED)
    cache._worker.membership.container._publish(name, again)

    cache.fence()

    assert "another" == key.value


@pytest.mark.promise("nobody left behind")
def test_a_worker_starts_while_the_last_one_removes_the_directory(tmp_path):
    """With one worker per container and `--max-requests`, the next one starts while the last one leaves."""
    removed = []

    class Vanishing(RunDir):
        def _check(self):
            if not removed:
                removed.append(self.path.rmdir())
            super()._check()

    run_dir = Vanishing(tmp_path / "workers")
    _make(run_dir)

    assert ([None], True) == (removed, run_dir.path.is_dir())
