"""Schedules, clocks and entries that would make a careless trace say `converged`, or fail; each was one that did."""

import json

import pytest

from notifier.trace import Counted, Question, Verdict, report
from notifier.trace.looking import Look, follow
from notifier.trace.page import page
from notifier.trace.words import lines
from tests.entries import NEW, OLD, PROJECT, SECOND, SECRET, T0, audit, moved, rotation, said


MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def asked(entries, **more):
    return report(entries, Question(**({"project": PROJECT, "secret": SECRET, "now": T0 + HOUR} | more)))


def ended(method, at):
    entry = audit(method, "", at)
    entry["protoPayload"] |= {"resourceName": f"projects/{PROJECT}/secrets/{SECRET}", "response": {}}
    return entry


@pytest.mark.parametrize("said_so", [True, False], ids=["deleted", "expired"])
def test_a_word_of_an_earlier_life_is_none(said_so):
    """A secret was deleted and made anew; an instance on its old version 42 is not beyond the new version 1.

    Its clock is ahead, so that what it said last before the end seems to come after; and a secret that expired left
    no entry of its deletion, only versions that begin again with a lower number.
    """
    entries = [
        audit("AddSecretVersion", OLD, T0 - HOUR),
        audit("AddSecretVersion", NEW, T0),
        said("loaded", T0 - HOUR, version=OLD, path="start"),
        moved("payments-1", after=30 * SECOND),
        *([ended("DeleteSecret", T0 + 25 * SECOND)] if said_so else []),
        audit("AddSecretVersion", 1, T0 + 2 * MINUTE if not said_so else T0 + 26 * SECOND),
    ]
    found = asked(entries, counted=Counted.constant(1))

    assert 1 == found.version
    assert found.verdict is not Verdict.CONVERGED


def test_the_versions_of_a_new_life_are_followed():
    """What comes a minute after the new life began is believed, and the old one's acts are not told."""
    new = T0 + 10 * MINUTE
    entries = [
        *rotation(1, workers=1),
        audit("AddSecretVersion", 1, new),
        audit("AddSecretVersion", 2, new + 5 * MINUTE),
        said("refreshed", new + 2 * MINUTE, instance="payments-0", worker=0, version=1, previous=NEW, path="push"),
        said("refreshed", new + 6 * MINUTE, instance="payments-0", worker=0, version=2, previous=1, path="push"),
    ]
    found = asked(entries, counted=Counted.constant(1))

    assert (2, Verdict.CONVERGED) == (found.version, found.verdict)
    assert [1, 2] == [act.version for act in found.acts]


def test_adds_at_one_moment_may_be_logged_in_any_order():
    """Two adds whose stamps are not in the order of their numbers are no new life."""
    entries = [
        audit("AddSecretVersion", NEW, T0),
        audit("AddSecretVersion", OLD, T0 + SECOND // 100),
        said("loaded", T0 - HOUR, version=OLD - 1, path="start"),
        moved("payments-1"),
    ]

    assert (NEW, Verdict.CONVERGED) == ((found := asked(entries, counted=Counted.constant(1))).version, found.verdict)


def test_who_ended_before_the_add_fills_nobodys_place():
    """Its clock is an hour ahead, so that it seems to have ended after; the one whose entries are lost stays missed."""
    gone = [
        said("loaded", T0 - HOUR, instance="payments-gone", version=OLD, path="start"),
        said("worker_stopped", T0 + 50 * MINUTE, received=T0 - 10 * MINUTE, instance="payments-gone", secret=None),
    ]
    killed_since = moved("payments-2")
    found = asked([*rotation(1, workers=1), *gone, killed_since], counted=Counted({"": 3}, {"": 2}))

    assert Verdict.UNKNOWN is found.verdict


def test_a_clock_that_is_ahead_spoils_no_figure():
    """An instance whose clock is an hour ahead took no hour: Cloud Logging had its entry before that."""
    ahead = moved("payments-7", after=HOUR + SECOND, received=T0 + SECOND + SECOND // 5)
    called = said("called_back", T0 + HOUR + 2 * SECOND, instance="payments-7", version=NEW)
    found = asked([*rotation(2), ahead, called], counted=Counted.constant(3))
    (step,) = next(one for one in found.instances if one.name == "payments-7").steps

    assert {"p50": 1100.0, "max": 1200.0} == found.propagation_ms()
    assert (T0 + SECOND + SECOND // 5, SECOND) == (step.swapped, step.called_back - step.swapped)


@pytest.mark.parametrize(
    "moment",
    ["9999-12-31T23:59:59.9Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z"],
)
@pytest.mark.parametrize("span", [1e11, -1e11, 999_999_999_999.0])
def test_moments_at_the_ends_of_the_calendar(moment, span):
    """Whatever an entry's time, and however long something is said to have taken, the report can be shown."""
    strange = [
        moved("payments-9", event_ms=span, arrival_ms=span, fetch_ms=span) | {"timestamp": moment},
        said("push_answered", T0, version=NEW, publish_ms=span) | {"timestamp": moment},
        audit("AddSecretVersion", NEW) | {"timestamp": moment},
    ]
    for entries in (strange, strange[:2], [*rotation(2), *strange]):
        found = asked(entries, counted=Counted.constant(3))
        json.dumps(found.as_json(), allow_nan=False)
        assert page(found)
        assert list(lines(found))
        assert list(lines(found, brief=True))
        assert found.verdict is not Verdict.CONVERGED


class Late(Look):
    """A Logging in which an entry becomes visible long after it was taken in."""

    def __init__(self, counted):
        super().__init__(PROJECT, "", SECRET, version=NEW, since=HOUR, counted=counted)
        self.looks = 0

    def read(self, logging=None, *, now, received_since=0, paged=None):
        self.looks += 1
        back = said("stepped_back", T0 + 2 * SECOND, instance="payments-0", worker=0, version=OLD, previous=NEW)
        visible = rotation(1, workers=1) if self.looks > 1 else rotation(1, workers=1)[:2]
        late = [back] if self.looks > 1 and not received_since else []
        return iter([*visible, *late])


def test_an_entry_that_was_visible_late_is_not_overlooked():
    """Before a watch says that all have it, it reads everything once more, not only what came in since."""
    clock = iter(range(T0, T0 + 10 * HOUR, 30 * MINUTE))
    found = follow(
        Late(Counted.constant(1)),
        lambda _: None,
        timeout=HOUR,
        wall=lambda: next(clock),
        pause=lambda _: None,
        logging=1,
    )

    assert Verdict.BEHIND is found.verdict
