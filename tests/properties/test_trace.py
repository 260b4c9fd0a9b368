"""A trace never says that all have followed where one has not, whatever becomes of the entries on their way."""

import json
from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.trace import Counted, Question, State, Verdict, report
from tests.entries import NEW, NUMBER, OLD, PROJECT, SECOND, SECRET, T0, audit, said


NOW = T0 + 3600 * SECOND
MINUTE = 60 * SECOND


@dataclass(frozen=True)
class Life:
    """What truly became of one worker: moments in seconds from the add, None for never."""

    began: int
    moved: int | None
    ended: int | None
    back: int | None = None
    says_end: bool = True

    @property
    def runs(self):
        return self.ended is None

    def lives(self, second):
        return self.began <= second and (self.ended is None or self.ended > second)

    def serves(self, second):
        moved = self.began > 0 or (self.moved is not None and self.moved <= second)
        return NEW if moved and not (self.back is not None and self.back <= second) else OLD

    @property
    def follows(self):
        return self.moved is not None and self.back is None


def lives():
    """Workers that were there and moved, or did not; that came later, with the new version; that ended, or vanished."""
    old = st.builds(
        lambda began, moved, ended, back, says: Life(
            began,
            moved if moved is None or ended is None or moved < ended else None,
            ended,
            back if moved is not None and ended is None else None,
            says,
        ),
        st.integers(-5000, -1),
        st.none() | st.integers(1, 300),
        st.none() | st.integers(-4999, 900),
        st.none() | st.integers(301, 400),
        st.booleans(),
    ).filter(lambda life: life.ended is None or life.ended > life.began)
    young = st.integers(1, 900).map(lambda began: Life(began, began, None))
    gone = st.integers(1, 900).map(lambda began: Life(began, began, began + 5, says_end=False))
    return st.one_of(old, young, gone)


def entries_of(name, workers, *, skew, roll):
    """What the workers of an instance write, stamped by a clock of their own."""
    written = []

    def wrote(event, number, second, **fields):
        true = T0 + second * SECOND
        who = {"instance": name, "worker": number, "container": f"c-{name}", "member": f"{name}-{number}"}
        if event != "worker_stopped":
            fields["members"] = [f"{name}-{i}" for i, life in enumerate(workers) if life.lives(second)]
        written.append(said(event, true + skew, received=true + SECOND // 5, **who, **fields))

    for number, life in enumerate(workers):
        wrote("worker_started", number, life.began, secret=None)
        wrote("loaded", number, life.began, version=life.serves(life.began), path="start")
        if life.moved is not None and life.began <= 0:
            late = life.moved * 1000 + skew / 1e6
            wrote("refreshed", number, life.moved, version=NEW, previous=OLD, path="push", event_ms=late)
        if life.back is not None:
            wrote("stepped_back", number, life.back, version=OLD, previous=NEW, path="push")
        if life.ended is not None and life.says_end:
            wrote("worker_stopped", number, life.ended, secret=None)
    living = [i for i, life in enumerate(workers) if roll is not None and life.lives(roll)]
    if living:
        serving = [f"projects/{PROJECT}/secrets/{SECRET}/versions/{workers[living[0]].serves(roll)}"]
        wrote("alive", living[0], roll, secret=None, serving=serving)
    return written


fleets = st.lists(
    st.tuples(st.lists(lives(), min_size=1, max_size=3), st.integers(-7200, 7200), st.none() | st.integers(-900, 1500)),
    min_size=1,
    max_size=4,
)


def counted(fleet):
    """What an independent count says: instances (not workers) that ran at the add, and that run now."""
    then = sum(
        any(life.began <= 0 for life in workers) and any(life.ended is None or life.ended > 0 for life in workers)
        for workers, _, _ in fleet
    )
    now = sum(any(life.runs for life in workers) for workers, _, _ in fleet)
    return Counted({"": then}, {"": now})


def written(fleet):
    entries = [audit("AddSecretVersion", NEW)]
    for number, (workers, skew, roll) in enumerate(fleet):
        entries += entries_of(f"payments-{number}", workers, skew=skew * SECOND, roll=roll)
    return entries


def asked(fleet, entries, **more):
    question = {"project": PROJECT, "secret": SECRET, "version": NEW, "now": NOW, "counted": counted(fleet)} | more
    return report(entries, Question(**question))


def all_follow(fleet):
    """The truth about every instance that was there when the version came, and about whoever runs."""
    running = [life for workers, _, _ in fleet for life in workers if life.runs]
    return all(life.follows for life in running)


def arrived(entries, chance):
    """What becomes of entries on their way: some are lost, some come twice, some late, and in any order."""
    found = []
    for entry in entries:
        fate = chance.choice(["arrives", "arrives", "arrives", "lost", "twice", "late"])
        late = {"receiveTimestamp": "2026-12-31T00:00:00Z"} if fate == "late" else {}
        found += [entry | late] * {"lost": 0, "twice": 2}.get(fate, 1)
    chance.shuffle(found)
    return found


#: What one chance is drawn by: entry by entry, Hypothesis would take a second for each example.
chances = st.integers(0, 2**32).map(Random)


@given(fleets, chances)
def test_never_a_false_converged(fleet, chance):
    """Entries may be missing, late, doubled and in any order, and clocks may differ."""
    found = asked(fleet, arrived(written(fleet), chance))

    if found.verdict is Verdict.CONVERGED:
        stepped = any(life.back is not None for workers, _, _ in fleet for life in workers)
        # An entry that is lost cannot be believed: who went back and whose word of it never came is not seen.
        assert stepped or all_follow(fleet)


@given(fleets)
def test_with_every_entry_the_verdict_is_the_truth(fleet):
    """Where nothing is lost, a worker that runs with the old version is seen, and with it its instance."""
    found = asked(fleet, written(fleet))
    behind = [
        f"payments-{number}"
        for number, (workers, _, _) in enumerate(fleet)
        if any(life.runs and not life.follows for life in workers)
    ]

    assert set(behind) <= {one.name for one in found.stragglers}
    assert not behind or found.verdict is Verdict.BEHIND


@given(st.integers(1, 5), st.integers(1, 3), st.integers(-30, 30))
def test_it_says_converged_where_all_have_followed(instances, workers, skew):
    """The verdict is not merely careful: a rotation that went well is said to have gone well."""
    fleet = [([Life(-100, 2, None)] * workers, skew * number, 900) for number in range(instances)]

    assert Verdict.CONVERGED is asked(fleet, written(fleet)).verdict


@given(fleets, chances)
def test_the_order_of_entries_and_their_repetition_change_nothing(fleet, chance):
    """The report is a function of the set of entries."""
    entries = arrived(written(fleet), chance)
    again = [*entries, *entries[:3]]
    chance.shuffle(again)
    first, second = (asked(fleet, one).as_json() for one in (entries, again))

    assert first | {"entries": None} == second | {"entries": None}


@given(fleets)
def test_without_a_count_nothing_is_converged(fleet):
    """Nobody knows by its entries alone that an instance wrote none."""

    assert asked(fleet, written(fleet), counted=None).verdict is not Verdict.CONVERGED


@given(st.lists(st.tuples(st.booleans(), st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=4), chances)
def test_a_life_that_ended_is_not_the_present_one(instances, chance):
    """A secret was made anew; who serves a version of before, whose number may be higher or the same, has not followed.

    Each instance has followed or not, has a clock of its own, and served a version of the earlier life.
    """
    deleted = audit("DeleteSecret", "", T0 - 5 * SECOND)
    deleted["protoPayload"] |= {"resourceName": f"projects/{PROJECT}/secrets/{SECRET}", "response": {}}
    entries = [
        deleted,
        audit("AddSecretVersion", 1),
        *(audit("AddSecretVersion", n, T0 - 900 * SECOND + n) for n in range(1, 10)),
    ]
    for number, (follows, skew, before) in enumerate(instances):
        name, late = f"payments-{number}", skew * SECOND
        entries.append(said("loaded", T0 - 10 * SECOND + late, received=T0 - 9 * SECOND, instance=name, version=before))
        if follows:
            entries.append(said("refreshed", T0 + 90 * SECOND + late, instance=name, version=1, previous=before))
        # A sign of life, from which no lost entry may take the sense: it says what it serves.
        serving = [f"projects/{PROJECT}/secrets/{SECRET}/versions/{1 if follows else before}"]
        entries.append(said("alive", T0 + 1800 * SECOND + late, instance=name, secret=None, serving=serving))
    found = report(
        arrived(entries, chance),
        Question(project=PROJECT, secret=SECRET, now=NOW, counted=Counted.constant(len(instances))),
    )

    assert found.verdict is not Verdict.CONVERGED or all(follows for follows, _, _ in instances)


names = st.sampled_from(
    [
        "event",
        "secret",
        "version",
        "previous",
        "instance",
        "container",
        "member",
        "members",
        "worker",
        "serving",
        "path",
    ]
)
words = st.sampled_from(
    [
        "loaded", "refreshed", "alive", "worker_stopped", "fallback_served", "push_answered", "called_back", "frozen",
        f"projects/{PROJECT}/secrets/{SECRET}", f"projects/{NUMBER}/secrets/{SECRET}/versions/7", "payments-1",
        "\x1b]0;", "projects//secrets/", "versions/", "AddSecretVersion", "2026-11-24T02:00:00Z",
        "9999-99-99T99:99:99Z", "²",
    ]
)  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), words)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | words, inner, max_size=5),
    max_leaves=12,
)
payloads = st.dictionaries(names, anything, max_size=8)
hostile = st.one_of(
    anything,
    st.fixed_dictionaries(
        {"jsonPayload": payloads, "timestamp": st.just("2026-11-24T02:00:00.5Z") | anything},
        optional={"receiveTimestamp": anything, "labels": anything, "resource": anything, "logName": anything},
    ),
    st.fixed_dictionaries(
        {
            "protoPayload": st.fixed_dictionaries(
                {"serviceName": st.just("secretmanager.googleapis.com") | anything, "methodName": words | anything},
                optional={"resourceName": words | anything, "response": anything, "status": anything},
            ),
            "timestamp": words | anything,
        }
    ),
)


@settings(max_examples=settings.default.max_examples // 4)
@given(st.lists(hostile, max_size=6))
def test_no_entry_makes_it_fail(entries):
    """Whatever stands in a log, the answer is a report that can be written as JSON, and never that all is well."""
    question = Question(project=PROJECT, secret=SECRET, now=NOW, counted=Counted.constant(2))
    found = report(entries, question)

    json.dumps(found.as_json(), allow_nan=False)
    assert all(one.state in State for one in found.instances)
    assert found.verdict is not Verdict.CONVERGED
