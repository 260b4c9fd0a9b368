"""A rotation of two hundred instances, as a person sees it: on a terminal of 80 by 24, in words, and on a page."""

import unicodedata

import pytest

from notifier.trace import Counted, Question, Verdict, report
from notifier.trace.page import page
from notifier.trace.showing import Shower
from notifier.trace.words import by_cause, lines
from tests.entries import NEW, OLD, PROJECT, SECOND, SECRET, T0, audit, moved, said


HOUR = 3600 * SECOND
#: As long as a Cloud Run instance's name, and one of a script whose characters take two columns.
LONG = "00f46b92" + "7c" * 60
WIDE = "支払い" * 40


@pytest.fixture(scope="module")
def fleet():
    """180 follow, of two services; 60 do not, for three causes; 4 more were counted."""
    entries = [audit("AddSecretVersion", NEW)]
    for i in range(240):
        name = f"{[LONG, WIDE, 'payments-'][i % 3]}{i}"
        who = {"instance": name, "service": ["payments", "ledger"][i % 2], "worker": 1}
        entries.append(said("loaded", T0 - HOUR, version=OLD, path="start", **who))
        if i >= 60:
            entries.append(moved(name, service=who["service"], worker=1, after=SECOND + i * SECOND // 100))
        elif i % 3:
            message = f"{'held_back' if i % 3 == 1 else 'frozen'}: as it was told"
            entries.append(said(message.partition(":")[0], T0 + SECOND, message=message, **who))
    question = Question(project=PROJECT, secret=SECRET, now=T0 + HOUR // 4, counted=Counted.constant(244))
    return report(entries, question)


def columns(line):
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in line)


class Screen:
    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_it_fits_on_a_terminal(fleet, monkeypatch):
    """No line wraps, whatever the names, or the next drawing began in the wrong line; every cause is there."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    screen = Screen()
    Shower(screen)(fleet)
    shown = screen.text.splitlines()

    assert len(shown) < 24
    assert max(map(columns, shown)) < 80
    assert f"{SECRET}: 180 of 244 instances on version {NEW}" in shown[0]
    for cause in ("20: silent since before", "20: the new value was refused", "20: KEYTURN_FREEZE is set"):
        assert any(line.startswith(cause) for line in shown), cause


def test_what_does_not_fit_is_said_to_be_missing(fleet, monkeypatch):
    """A small terminal shows the beginning, and that there is more."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "8")
    screen = Screen()
    Shower(screen)(fleet)

    assert 7 == len(screen.text.splitlines())
    assert screen.text.endswith("\n...\n")


def test_a_cause_is_said_once(fleet):
    """In words and on the page: sixty stragglers have three causes, each with its next step and all its names."""
    assert [20, 20, 20] == sorted(map(len, by_cause(fleet.stragglers)))
    for text in ("\n".join(lines(fleet)), page(fleet)):
        assert 1 == text.count("silent since before the version was added")
        assert 1 == text.count("add a version with a good value")
        assert all(straggler.name in text for straggler in fleet.stragglers)


def test_the_page_begins_with_who_is_missing(fleet):
    """Then come the slowest; the many that followed are folded away, and the services are told apart."""
    text = page(fleet)
    places = [text.index(part) for part in ("180 of 244", "Not there yet", "By instance", "160 more, each within")]

    assert sorted(places) == places
    assert "ledger 90 of 120 &middot; payments 90 of 120" in text
    assert 1 + 20 == text[: places[-1]].count('<div class="row')
    assert 180 + 1 == text.count('<div class="row')
    assert len(text) < 200_000


def test_why_it_is_unknown_is_said_of_all_first():
    """Instances that are unclear by the hundred do not bury that nobody has counted them."""
    entries = [audit("AddSecretVersion", NEW)]
    for i in range(200):
        members = [f"m{i}", f"other-of-{i}"]
        who = {"instance": f"payments-{i}", "container": f"c{i}", "member": f"m{i}", "members": members}
        entries.append(said("loaded", T0 + SECOND, version=NEW, **who))
    found = report(entries, Question(project=PROJECT, secret=SECRET, now=T0 + HOUR))

    assert Verdict.UNKNOWN is found.verdict
    assert found.reasons[0].startswith("nobody has counted")
    assert len("\n".join(lines(found)).splitlines()) < 60
    assert "of 181 more like these" in page(found)
