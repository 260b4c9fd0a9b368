"""Promise 3 and 6 on the step function: driven by a model of Secret Manager, every schedule ends at the truth."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.entry import (
    Access,
    Adopt,
    Adopted,
    Asked,
    Entry,
    Failed,
    Found,
    Missing,
    Refused,
    Rejected,
    Rest,
    Told,
    Verdict,
)
from receiver.knowledge import LATEST, SECOND, Claim, Knowledge
from receiver.step import step


pytestmark = pytest.mark.promise("any order")

HOUR = 3600 * SECOND
START = 1_000 * HOUR


@dataclass
class Model:
    """A secret as Secret Manager has it: truth for numbers, a lagging answer for `latest` where told so."""

    now: int = START
    versions: dict[int, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    stale: tuple[int, dict[int, str]] | None = None
    events: list[Knowledge] = field(default_factory=list)
    accesses: list[str] = field(default_factory=list)

    def tick(self, nanoseconds=SECOND):
        self.now += nanoseconds
        return self.now

    def add(self):
        number = max(self.versions, default=0) + 1
        self.versions[number] = "enabled"
        self.events.append(Knowledge.version(number, self.tick(), usable=True, claim=Claim.ADDED))
        return self.events[-1]

    def set(self, number, state):
        if self.versions.get(number) in (None, "destroyed"):
            return None
        self.versions[number] = state
        stamp = self.tick()
        if state == "destroyed":
            self.events.append(Knowledge.destruction(number, stamp))
        elif state == "enabled":
            self.events.append(Knowledge.version(number, stamp, usable=True, claim=Claim.ENABLED))
        else:
            self.events.append(Knowledge.version(number, stamp, usable=False))
        return self.events[-1]

    def recreate(self):
        self.versions = {}
        self.stale = None
        self.events.append(Knowledge.deleted(self.tick()))
        self.events.append(Knowledge.born(self.tick()))
        self.add()

    def usable(self):
        return max((n for n, s in self.versions.items() if s == "enabled"), default=None)

    def answer(self, access):
        self.accesses.append(access.version)
        began, versions = self.tick(SECOND // 1000), self.versions
        number = access.version
        if number == LATEST:
            versions = self.stale[1] if self.stale else versions
            number = max(versions, default=0)
        elif not number.isdecimal():
            number = self.aliases.get(number, 0)
        match versions.get(int(number)):
            case "enabled":
                return Found(access, int(number), began)
            case None:
                return Missing(access)
            case state:
                return Refused(access, began, destroyed=state == "destroyed")


def drive(entry, happened, model, *, broken=frozenset(), during=()):
    """Carry effects out until the entry rests; `during` is told one by one while accesses are under way."""
    during = list(during)
    entry, effect = step(entry, happened, now=model.now)
    for _ in range(200):
        match effect:
            case Rest():
                return entry, effect
            case Adopt(held):
                happened = Rejected(held.number) if held.number in broken else Adopted(held)
            case Access():
                if during:
                    entry, _ = step(entry, Told(during.pop(0)), now=model.now)
                happened = model.answer(effect)
        entry, effect = step(entry, happened, now=model.now)
    raise AssertionError("never came to rest")


def refreshed(entry, news, model, **kwargs):
    entry, _ = step(entry, Told(news), now=model.now)
    return drive(entry, Asked(), model, **kwargs)


def started(model, **kwargs):
    return drive(Entry(**kwargs), Asked(read=True), model)


def with_versions(*states):
    model = Model()
    for number, state in enumerate(states, 1):
        model.versions[number] = state
    model.tick(HOUR)
    return model


actions = st.lists(
    st.one_of(
        st.just(("add", 0)),
        st.just(("add", 0)),
        st.tuples(st.sampled_from(["enabled", "disabled", "destroyed"]), st.integers(1, 8)),
        st.just(("recreate", 0)),
    ),
    max_size=10,
)


@given(actions, st.data())
@settings(max_examples=settings.default.max_examples * 2)
def test_every_schedule_of_events_ends_at_the_truth(history, data):
    """Events in any order, doubled, some told while a fetch is under way: the highest usable version is served."""
    model = with_versions("enabled", "enabled")
    entry, _ = started(model)
    for what, number in history:
        if what == "add":
            model.add()
        elif what == "recreate":
            model.recreate()
        else:
            model.set(number, what)
    told = data.draw(st.permutations(model.events + model.events[:3]))
    while told:
        during, told = told[:1], told[1:]
        count = data.draw(st.integers(0, 2))
        entry, _ = refreshed(entry, during[0], model, during=told[:count])
        told = told[count:] if count and entry.held else told

    entry, rest = drive(entry, Asked(), model)
    for event in model.events:
        entry, rest = refreshed(entry, event, model)

    if model.usable() is None:
        assert Verdict.NONE_USABLE is rest.verdict
    else:
        assert (Verdict.SERVED, model.usable()) == (rest.verdict, entry.held.number)


@given(st.lists(st.sampled_from(["enabled", "disabled", "destroyed"]), max_size=12), st.integers(0, 12))
def test_a_start_finds_the_highest_usable_version_however_stale_latest_is(states, lag):
    """`latest` may show any earlier state: a start climbs by number and serves the highest usable version."""
    model = with_versions(*states)
    shown = dict(list(model.versions.items())[: max(0, len(states) - lag)])
    model.stale = (0, shown)

    entry, rest = started(model)

    if model.usable() is None or len(states) - model.usable() > 10:
        assert rest.verdict in (Verdict.NONE_USABLE, Verdict.SERVED)
    else:
        assert model.usable() == entry.held.number


@pytest.mark.promise("exact")
def test_an_event_is_answered_by_number_alone():
    """After an ADD the announced version is accessed by its number, once, and nothing else is asked."""
    model = with_versions("enabled")
    entry, _ = started(model)
    model.accesses.clear()

    entry, rest = refreshed(entry, model.add(), model)

    assert ["2"] == model.accesses
    assert (2, Verdict.SERVED) == (entry.held.number, rest.verdict)


def test_a_repeated_or_older_event_asks_nothing():
    """A repeat, and an event older than what is served, cost no access and move nothing."""
    model = with_versions("enabled")
    entry, _ = started(model)
    second, third = model.add(), model.add()
    entry, _ = refreshed(entry, third, model)
    model.accesses.clear()

    for news in (third, second, second):
        entry, _ = refreshed(entry, news, model)

    assert [] == model.accesses
    assert 3 == entry.held.number


def test_a_burst_is_coalesced_to_the_newest():
    """Versions announced while a fetch is under way are skipped for the newest one."""
    model = with_versions("enabled")
    entry, _ = started(model)
    adds = [model.add() for _ in range(5)]
    model.accesses.clear()

    entry, _ = refreshed(entry, adds[0], model, during=adds[1:])

    assert 6 == entry.held.number
    assert ["2", "6"] == [model.accesses[0], model.accesses[-1]]


def test_a_disable_that_overtakes_its_add_never_steps_back():
    """Rotation "ADD 2, DISABLE 1" heard the other way round goes straight to 2: a climb comes before a step back."""
    model = with_versions("enabled", "enabled")
    entry, _ = started(model)
    model.add()
    disable = model.set(2, "disabled")
    model.accesses.clear()

    entry, _ = refreshed(entry, disable, model)

    assert 3 == entry.held.number
    assert "1" not in model.accesses


def test_a_disabled_version_steps_back_to_the_next_usable_one():
    """With nothing above it, a disabled version gives way to the highest usable one below."""
    model = with_versions("enabled", "disabled", "enabled")
    entry, _ = started(model)

    entry, rest = refreshed(entry, model.set(3, "disabled"), model)

    assert (1, Verdict.SERVED) == (entry.held.number, rest.verdict)


def test_a_stale_read_does_not_bring_a_disabled_version_back():
    """A safety read that still shows the disabled version is weaker than the event that disabled it."""
    model = with_versions("enabled", "enabled")
    entry, _ = started(model)
    before = dict(model.versions)
    entry, _ = refreshed(entry, model.set(2, "disabled"), model)
    model.tick(HOUR)
    model.stale = (0, before)

    entry, _ = drive(entry, Asked(read=True), model)

    assert 1 == entry.held.number


def test_an_enable_brings_it_back():
    """Enabling the version again makes it served again."""
    model = with_versions("enabled", "enabled")
    entry, _ = started(model)
    entry, _ = refreshed(entry, model.set(2, "disabled"), model)

    entry, _ = refreshed(entry, model.set(2, "enabled"), model)

    assert 2 == entry.held.number


def test_an_enable_that_lags_is_tried_again_and_then_left_to_the_redelivery():
    """Enabling is eventually consistent: a refusal right after it is an outage, not knowledge."""
    model = with_versions("enabled", "disabled")
    entry, _ = started(model)
    news = model.set(2, "enabled")
    model.versions[2] = "disabled"

    entry, rest = refreshed(entry, news, model)
    assert (Verdict.FAILED, True, 1) == (rest.verdict, rest.transient, entry.held.number)

    model.versions[2] = "enabled"
    entry, _ = drive(entry, Asked(), model)
    assert 2 == entry.held.number


@pytest.mark.promise("last good")
@pytest.mark.parametrize("transient", [True, False])
def test_a_failure_leaves_what_is_served(transient):
    """Whatever fails upstream, the held version stays and the verdict says so."""
    model = with_versions("enabled")
    entry, _ = started(model)
    entry, _ = step(entry, Told(model.add()), now=model.now)
    entry, effect = step(entry, Asked(), now=model.now)

    entry, rest = step(entry, Failed(transient=transient), now=model.now)

    assert isinstance(effect, Access)
    assert (Rest(Verdict.FAILED, transient=transient), 1) == (rest, entry.held.number)


@pytest.mark.promise("last good")
def test_a_version_that_does_not_parse_never_becomes_current():
    """A candidate that is rejected leaves the held version; the next good one goes live."""
    model = with_versions("enabled")
    entry, _ = started(model)

    entry, rest = refreshed(entry, model.add(), model, broken={2})
    assert (Verdict.HELD_BACK, 1) == (rest.verdict, entry.held.number)

    entry, rest = refreshed(entry, model.add(), model, broken={2})
    assert (Verdict.SERVED, 3) == (rest.verdict, entry.held.number)


@pytest.mark.promise("acked means done")
def test_a_version_that_does_not_parse_holds_up_none_before_it():
    """A good version and a bad one are heard of together: the good one goes live, and nothing older afterwards."""
    model = with_versions("enabled")
    entry, _ = started(model)

    entry, rest = refreshed(entry, model.add().merge(model.add()), model, broken={3})
    assert (Verdict.HELD_BACK, 2) == (rest.verdict, entry.held.number)

    entry, rest = drive(entry, Asked(read=True), model, broken={3})
    assert (Verdict.HELD_BACK, 2) == (rest.verdict, entry.held.number)


@pytest.mark.promise("static stays static")
def test_a_static_entry_asks_nothing_after_its_start():
    """No event and no safety read makes a loaded static entry ask for anything."""
    model = with_versions("enabled")
    entry, _ = started(model, static=True)
    model.accesses.clear()

    entry, _ = refreshed(entry, model.add(), model)
    entry, _ = refreshed(entry, model.set(1, "disabled"), model)
    entry, _ = drive(entry, Asked(read=True), model)

    assert ([], 1) == (model.accesses, entry.held.number)


def test_a_secret_recreated_unannounced_is_noticed_by_its_low_number():
    """An ADD of a low number, later than what is held was fetched: the held number is asked for, and is gone."""
    model = with_versions("enabled", "enabled", "enabled")
    entry, _ = started(model)
    model.versions = {}
    news = model.add()

    entry, _ = refreshed(entry, news, model)

    assert 1 == entry.held.number


def test_an_alias_follows_its_map_and_not_a_lagging_read():
    """SECRET_UPDATE moves an alias entry by number; a read that lags does not move it back."""
    model = with_versions("enabled", "enabled")
    model.aliases["live"] = 1
    entry, _ = started(model, pin="live")
    assert 1 == entry.held.number

    entry, _ = refreshed(entry, Knowledge.whole_alias_map({"live": 2}, model.tick()), model)
    assert 2 == entry.held.number

    model.tick(HOUR)
    entry, _ = drive(entry, Asked(read=True), model)
    assert 2 == entry.held.number


def test_a_fixed_number_never_moves():
    """A pinned number serves that version, whatever is added."""
    model = with_versions("enabled", "enabled")
    entry, _ = started(model, pin=1)

    entry, _ = refreshed(entry, model.add(), model)

    assert 1 == entry.held.number


@pytest.mark.promise("one fetch")
@pytest.mark.parametrize("pin", ["live", 2])
def test_a_number_that_is_not_there_is_asked_for_once(pin):
    """Pinned before it is added, or an alias's of a life that is over: no news, no second question; the ADD is news."""
    model = with_versions("enabled")
    model.aliases["live"] = 2
    known = Knowledge.whole_alias_map({"live": 2}, model.tick())

    entry, rest = drive(Entry(pin=pin, knowledge=known), Asked(), model)

    assert (Verdict.NONE_USABLE, ["2"]) == (rest.verdict, model.accesses)

    entry, _ = refreshed(entry, model.add(), model)

    assert 2 == entry.held.number


def test_when_none_is_usable_the_verdict_says_so():
    """With every version disabled the entry rests at "none usable", the last good one still held."""
    model = with_versions("enabled")
    entry, _ = started(model)

    entry, rest = refreshed(entry, model.set(1, "disabled"), model)

    assert (Verdict.NONE_USABLE, 1) == (rest.verdict, entry.held.number)


def test_far_behind_costs_a_logarithm():
    """A start that is 1,000 versions behind finds the top in about twice ten accesses."""
    model = with_versions(*["enabled"] * 1000)
    model.stale = (0, {1: "enabled"})

    entry, _ = started(model)

    assert 1000 == entry.held.number
    assert len(model.accesses) < 25


def test_a_failed_climb_still_starts_with_what_was_read():
    """At a start, the value that `latest` gave is better than none."""
    model = with_versions("enabled")
    entry, effect = step(Entry(), Asked(read=True), now=model.now)
    entry, effect = step(entry, model.answer(effect), now=model.now)
    entry, effect = step(entry, Failed(transient=True), now=model.now)
    assert isinstance(effect, Adopt)

    entry, rest = step(entry, Adopted(effect.held), now=model.now)

    assert (Verdict.FAILED, 1) == (rest.verdict, entry.held.number)


def test_what_is_known_at_the_start_counts():
    """A worker that starts after the board knows of an ADD and a DISABLE begins at the right version."""
    model = with_versions("enabled", "enabled", "enabled")
    disable = model.set(3, "disabled")
    model.stale = (0, {1: "enabled", 2: "enabled", 3: "enabled"})
    known = Entry()._replace(knowledge=disable)

    entry, _ = drive(known, Asked(read=True), model)

    assert 2 == entry.held.number


def test_a_worker_that_starts_knowing_only_of_the_creation_serves_what_it_reads():
    """A secret that was made an hour ago, its ADD not heard yet: the read serves, and the ADD changes nothing."""
    model = Model()
    model.events.append(Knowledge.born(model.tick()))
    added = model.add()
    model.tick(HOUR)
    entry, rest = drive(Entry()._replace(knowledge=model.events[0]), Asked(read=True), model)
    assert (Verdict.SERVED, 1) == (rest.verdict, entry.held.number)

    asked = len(model.accesses)
    entry, rest = refreshed(entry, added, model)

    assert (Verdict.SERVED, 1, asked) == (rest.verdict, entry.held.number, len(model.accesses))
