"""Where a rotation stands, told from entries: counts, stragglers by name and cause, and what must not be mixed up."""

import pytest

from notifier.trace import Counted, Question, State, Verdict, report
from tests.entries import NEW, NUMBER, OLD, PROJECT, SECOND, SECRET, T0, audit, moved, rotation, said


HOUR = 3600 * SECOND


def asked(entries, **more):
    return report(entries, Question(**({"project": PROJECT, "secret": SECRET, "now": T0 + HOUR} | more)))


def only(found):
    (straggler,) = found.stragglers
    return straggler


def test_all_followed_and_somebody_counted():
    """Three instances ran and moved, three were counted: converged, with who added the version and how long it took."""
    found = asked(rotation(3), counted=Counted.constant(3)).as_json()

    assert "converged" == found["verdict"]
    assert (NEW, 3, 3, []) == tuple(
        found[key] for key in ("version", "instances_total", "instances_converged", "stragglers")
    )
    assert ("alice@example.com", "203.0.113.7 gcloud/528.0.0") == (found["added_by"], found["added_from"])
    assert "2026-09-21T14:13:20.000Z" == found["added_at"]
    assert {"p50": 1100.0, "max": 1200.0} == found["propagation_ms"]


@pytest.mark.parametrize(("number", "known"), [(4, 1), (2, 0)])
def test_a_count_that_does_not_agree_leaves_it_unknown(number, known):
    """More were counted than spoke: the others are missed. Fewer: somebody has miscounted."""
    found = asked(rotation(3), counted=Counted.constant(number))

    assert Verdict.UNKNOWN is found.verdict
    assert f"{number} counted" in found.reasons[0]
    assert known == found.uncounted


def test_a_count_of_none_is_no_proof():
    """A count that failed is a nought as well, so where nobody serves the version nothing is claimed."""
    silent = said("loaded", T0 - HOUR, instance="payments-9", version=OLD)
    for entries in (rotation(1)[:1], [*rotation(1)[:1], silent]):
        assert Verdict.UNKNOWN is asked(entries, counted=Counted.constant(0)).verdict


def test_without_a_count_it_is_unknown():
    """Entries alone cannot say that nobody is missing."""
    found = asked(rotation(3))

    assert Verdict.UNKNOWN is found.verdict
    assert ["nobody has counted the instances, so one that said nothing would be missed: give --instances"] == list(
        found.reasons
    )


def test_a_straggler_is_told_by_name():
    """17 of 18 follow; the one that has been silent since before the add is named, with its version and last sign."""
    entries = rotation(17, workers=1)
    entries.append(said("loaded", T0 - 180 * SECOND, instance="payments-7c9", version=OLD, path="start"))
    found = asked(entries)
    straggler = only(found)

    assert (Verdict.BEHIND, 17, 18) == (found.verdict, found.converged, found.total)
    assert ("payments-7c9", (OLD,), T0 - 180 * SECOND) == (straggler.name, straggler.versions, straggler.last_sign)
    assert "silent since before the version was added" in straggler.cause
    assert "see whether it runs" in straggler.advice


def test_who_ended_before_the_add_holds_up_nothing():
    """Where the count of those that ran at the add agrees, one that has been silent since before is none of them."""
    entries = [*rotation(2), said("loaded", T0 - HOUR, instance="payments-dead", version=OLD, path="start")]

    assert Verdict.BEHIND is asked(entries, counted=Counted.constant(3)).verdict
    assert Verdict.CONVERGED is asked(entries, counted=Counted.constant(2)).verdict


@pytest.mark.parametrize(
    ("event", "fields", "cause"),
    [
        ("held_back", {}, "the new value was refused"),
        ("refresh_failed", {}, "Secret Manager did not give it"),
        ("would_refresh", {}, "merely observes"),
        ("frozen", {"secret": None}, "KEYTURN_FREEZE"),
        ("push_answered", {"answer": "KNOWN", "secret": None}, "the news did not reach it"),
        ("revoked", {}, "no version was usable"),
        ("waiting", {}, "no usable version at that moment"),
    ],
)
def test_the_likely_cause_of_a_straggler(event, fields, cause):
    """What an instance said itself comes first; one that is alive and heard nothing was passed over by the push."""
    entries = [
        *rotation(1, workers=1),
        said("loaded", T0 - HOUR, instance="payments-9", version=OLD, path="start"),
        said(event, T0 + SECOND, instance="payments-9", **fields),
    ]
    straggler = only(asked(entries))

    assert ("payments-9", State.BEHIND) == (straggler.name, straggler.state)
    assert cause in straggler.cause
    assert straggler.advice


def test_what_is_pinned_or_static_is_said_to_be():
    """An entry that never follows is a straggler by declaration, beside one of the same process that follows."""
    entries = [
        *rotation(1, workers=1),
        said("loaded", T0 - HOUR, instance="payments-0", worker=0, version=OLD, static=True),
    ]
    straggler = only(asked(entries))

    assert ("payments-0", (OLD, NEW)) == (straggler.name, straggler.versions)
    assert "declared static, or pinned" in straggler.cause


def test_one_worker_of_an_instance_that_has_not_followed():
    """An instance holds the old value for as long as one of its workers does."""
    entries = [*rotation(1), said("loaded", T0 - HOUR, instance="payments-0", worker=9, version=OLD)]

    assert "some of its workers" in only(asked(entries)).cause


def test_a_worker_that_is_gone_is_not_waited_for():
    """Who said that it ends, and who was not there at a later roll call, holds nothing any more."""
    entries = [
        *rotation(1),
        said("loaded", T0 - HOUR, instance="payments-0", worker=9, version=OLD),
        said("worker_stopped", T0 - HOUR // 2, instance="payments-0", worker=9, secret=None),
        said("loaded", T0 - HOUR, instance="payments-0", worker=10, member="w-dead", version=OLD),
        said("alive", T0 + 60 * SECOND, instance="payments-0", worker=0, secret=None, members=["0", "1"]),
    ]

    assert Verdict.CONVERGED is asked(entries, counted=Counted.constant(1)).verdict


def test_a_worker_that_was_killed_a_moment_ago():
    """Its successor's roll call does not name it, so it is not waited for, though it said no word of its end."""
    entries = [
        audit("AddSecretVersion", NEW),
        said("loaded", T0 - 5 * SECOND, instance="p", worker=1, member="a", version=OLD, members=["a"]),
        said("worker_started", T0 - 3 * SECOND, instance="p", worker=2, member="b", secret=None, members=["b"]),
        moved("p", worker=2, member="b", members=["b"]),
    ]

    assert Verdict.CONVERGED is asked(entries, counted=Counted.constant(1)).verdict


def test_a_worker_of_the_roll_call_that_said_nothing():
    """An instance is unclear while a worker that lives has not said what it serves."""
    entries = [
        *rotation(1),
        said("alive", T0 + 60 * SECOND, instance="payments-0", worker=0, secret=None, members=["0", "1", "w-mute"]),
    ]
    found = asked(entries, counted=Counted.constant(1))

    assert (Verdict.UNKNOWN, State.UNCLEAR, 3) == (found.verdict, only(found).state, only(found).workers)


def test_a_sign_of_life_says_what_is_served():
    """An instance that loaded days ago is known by its hourly sign."""
    serving = [f"projects/{PROJECT}/secrets/{SECRET}/versions/{OLD}", "projects/other/secrets/X/versions/9"]
    entries = [*rotation(1), said("alive", T0 - HOUR // 2, instance="payments-5", secret=None, serving=serving)]

    assert ("payments-5", (OLD,)) == (only(asked(entries)).name, only(asked(entries)).versions)


def test_equal_names_of_other_projects_and_regions_are_others():
    """A secret of the same id elsewhere, and an instance of the same name elsewhere, are not mixed up."""
    other = f"projects/other/secrets/{SECRET}"
    regional = f"projects/{PROJECT}/locations/europe-west1/secrets/{SECRET}"
    entries = [
        *rotation(1),
        audit("AddSecretVersion", 99, project="other", number="1"),
        audit("DisableSecretVersion", NEW, T0 + SECOND, project="other", number="1"),
        said("loaded", T0 + SECOND, instance="payments-0", worker=0, version=7, secret=other),
        said("loaded", T0 + SECOND, instance="payments-0", worker=0, version=7, secret=regional),
    ]

    assert Verdict.CONVERGED is asked(entries, counted=Counted.constant(1)).verdict


def test_instances_of_equal_names_are_told_apart():
    """payments-0 of another project, service or cluster is another instance, and hides none."""
    for elsewhere in (
        {"project": "other-project"},
        {"service": "ledger"},
    ):
        entries = [*rotation(1), said("loaded", T0 - HOUR, instance="payments-0", worker=0, version=OLD, **elsewhere)]
        assert (Verdict.BEHIND, 2) == (asked(entries).verdict, asked(entries).total)
    cluster = said("loaded", T0 - HOUR, instance="payments-0", worker=0, version=OLD)
    cluster["resource"] = {"type": "k8s_container", "labels": {"cluster_name": "east", "namespace_name": "pay"}}
    assert 2 == asked([*rotation(1), cluster]).total


def test_a_project_is_known_by_its_id_and_by_its_number():
    """Audit entries show both, so receivers that are configured with the number count too, and so does the question."""
    by_number = f"projects/{NUMBER}/secrets/{SECRET}"
    entries = [
        audit("AddSecretVersion", NEW),
        moved("payments-0", secret=by_number),
        moved("payments-1"),
    ]
    for project in (PROJECT, NUMBER):
        assert Verdict.CONVERGED is asked(entries, project=project, counted=Counted.constant(2)).verdict


def test_the_newest_usable_version_is_asked_about():
    """Without a version it is the newest that was added and not ended, also where its audit entry is late."""
    ended = [
        *rotation(1),
        audit("AddSecretVersion", 43, T0 + SECOND),
        audit("DisableSecretVersion", 43, T0 + 2 * SECOND),
    ]
    late = [*rotation(1), moved("payments-0", worker=0, after=9 * SECOND, previous=NEW, version=43)]

    assert NEW == asked(ended).version
    assert (43, Verdict.BEHIND) == (asked(late).version, asked(late).verdict)
    assert T0 == asked(late).added_at


def test_a_version_that_was_ended_is_nobodys_aim():
    """A disabled version is not to be served, so the verdict does not say that all is well."""
    entries = [*rotation(1), audit("DisableSecretVersion", NEW, T0 + 60 * SECOND)]
    found = asked(entries, version=NEW, counted=Counted.constant(1))

    assert Verdict.UNKNOWN is found.verdict
    assert "was disabled at" in found.reasons[0]


def test_a_refused_call_changed_nothing():
    """An audit entry with an error is an attempt."""
    refused = audit("DisableSecretVersion", NEW, T0 + SECOND, status={"code": 7, "message": "no"})

    assert Verdict.CONVERGED is asked([*rotation(1), refused], counted=Counted.constant(1)).verdict


def test_a_re_created_secret_begins_anew():
    """Numbers start again at 1 after a deletion: what was served before it does not count as newer."""
    deleted = audit("DeleteSecret", "", T0 + 60 * SECOND)
    deleted["protoPayload"]["resourceName"] = f"projects/{PROJECT}/secrets/{SECRET}"
    entries = [*rotation(1), deleted, audit("AddSecretVersion", 1, T0 + 120 * SECOND)]
    found = asked(entries, counted=Counted.constant(1))

    assert (1, Verdict.UNKNOWN, 0) == (found.version, found.verdict, found.converged)


def test_accesses_of_the_old_version_are_told():
    """Where Data Access logs are on: who read an older version after the new one was there, each entry once."""
    late = audit("AccessSecretVersion", OLD, T0 + 60 * SECOND, by="old-job@example.com")
    entries = [
        *rotation(1),
        late,
        late,
        audit("AccessSecretVersion", OLD, T0 + 90 * SECOND, by="old-job@example.com"),
        audit("AccessSecretVersion", OLD, T0 - 60 * SECOND, by="payments@example.com"),
        audit("AccessSecretVersion", NEW, T0 + 60 * SECOND, by="payments@example.com"),
        audit("AccessSecretVersion", "latest", T0 + 60 * SECOND, by="payments@example.com"),
    ]

    assert [{"version": OLD, "by": "old-job@example.com", "times": 2, "last": "2026-09-21T14:14:50.000Z"}] == asked(
        entries
    ).as_json()["accesses_of_older_versions"]


def test_numbers_come_back_as_floats():
    """Cloud Logging keeps a payload's numbers as doubles, so `42` may come back as `42.0`."""
    entries = rotation(2)
    for entry in entries[1:]:
        entry["jsonPayload"] |= {key: float(entry["jsonPayload"][key]) for key in ("version", "worker")}

    assert Verdict.CONVERGED is asked(entries, counted=Counted.constant(2)).verdict


def test_counts_by_service():
    """A count by service is compared by service: one too many of one hides none of another."""
    entries = [audit("AddSecretVersion", NEW), moved("a", service="payments"), moved("b", service="ledger")]
    right = Counted({"payments": 1, "ledger": 1}, {"payments": 1, "ledger": 1}, by="Cloud Run")
    wrong = Counted({"payments": 2, "ledger": 0}, {"payments": 1, "ledger": 1}, by="Cloud Run")

    assert Verdict.CONVERGED is asked(entries, counted=right).verdict
    assert Verdict.UNKNOWN is asked(entries, counted=wrong).verdict


def test_what_a_master_loads_serves_nobody():
    """gunicorn --preload loads in a process that only forks; its word would stay old for ever."""
    entries = [*rotation(1), said("loaded", T0 - HOUR, instance="payments-0", worker=1, version=OLD, path="preload")]
    entries[-1]["jsonPayload"]["worker"] = 999

    assert Verdict.CONVERGED is asked(entries, counted=Counted.constant(1)).verdict


def test_how_a_worker_moved():
    """The waterfall's moments: arrival and fetch by what the entry says, the callbacks by their own entry."""
    entries = [
        audit("AddSecretVersion", NEW),
        moved("payments-0", after=SECOND, arrival_ms=50.0, fetch_ms=20.0),
        said("called_back", T0 + 3 * SECOND, instance="payments-0", version=NEW),
        said("push_answered", T0 + 4 * SECOND, instance="payments-0", version=NEW, publish_ms=3900.0),
    ]
    found = asked(entries)
    (step,) = found.instances[0].steps

    assert T0 + SECOND // 10 == found.published_at
    assert [950, 980, 1000, 3000] == [
        (moment - T0) // 10**6 for moment in (step.arrived, step.fetched, step.swapped, step.called_back)
    ]


def test_a_clock_that_goes_slow_makes_no_time_negative():
    """A receiver whose clock is behind says that it served the version before it was added: that is shown as 0."""
    found = asked([audit("AddSecretVersion", NEW), moved("payments-0", event_ms=-250.0)])

    assert {"p50": 0.0, "max": 0.0} == found.propagation_ms()
