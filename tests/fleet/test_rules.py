"""What the fleet decides, without a network."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.fleet import rules
from receiver.fleet.rules import Found
from receiver.fleet.seats import Seats
from receiver.knowledge import SECOND


HOUR = 3600 * SECOND
TOPIC = "projects/p/topics/secret-events"

names = st.text(max_size=300)
tokens = st.from_regex(r"\A[0-9a-f]{12}\Z")


class TestNames:
    """What a subscription is called, and what its labels say."""

    @given(service=names, instance=names, token=tokens, seat=st.integers(0, 2))
    def test_any_name_makes_a_valid_subscription(self, service, instance, token, seat):
        """Whatever services and pods are called, Pub/Sub takes the id, and the token is in it whole."""
        name = rules.subscription_id(service, instance, token, seat=seat)

        assert re.fullmatch(r"[a-z][a-z0-9-]{2,254}", name)
        assert token in name

    @given(service=names, instance=names, token=tokens)
    def test_no_two_containers_share_a_subscription(self, service, instance, token):
        """Containers of one pod differ by their token, and a stand-in has a subscription of its own."""
        other = token[:-1] + ("0" if token[-1] != "0" else "1")
        all_of_them = {
            rules.subscription_id(service, instance, one, seat=seat) for one in (token, other) for seat in range(3)
        }

        assert 6 == len(all_of_them)

    @given(service=names, instance=names, now=st.integers(0, 2**62))
    def test_labels_are_valid(self, service, instance, now):
        """Every label is one that Pub/Sub takes."""
        found = rules.labels(service, instance, now=now)

        assert all(re.fullmatch(r"[a-z0-9-]{0,63}", value) for value in found.values())


class TestOrphans:
    """Whose subscription may be removed."""

    @pytest.mark.parametrize(
        ("changed", "age", "orphan"),
        [
            ({}, 4 * HOUR, True),
            ({}, 2 * HOUR, False),
            ({}, -4 * HOUR, False),
            ({"topic": "projects/p/topics/other"}, 4 * HOUR, False),
            ({"labels": {}}, 4 * HOUR, False),
            ({"labels": {rules.SERVICE: "other", rules.SEEN: "0"}}, 4 * HOUR, False),
            ({"labels": {rules.SERVICE: "pay", rules.SEEN: "soon"}}, 4 * HOUR, False),
        ],
        ids=str,
    )
    def test_an_orphan_is_ours_and_old(self, changed, age, orphan):
        """Only what this service left on this topic, and what has given no sign for three hours, is an orphan."""
        now = 1_000_000 * SECOND + age
        made = {"name": "s", "topic": TOPIC, "labels": rules.labels("pay", "i", now=1_000_000 * SECOND)} | changed

        assert orphan is rules.is_orphan(Found(**made), topic=TOPIC, service="pay", now=now)

    @pytest.mark.parametrize(
        ("seen", "young"), [("1000000", True), ("999500", True), ("999000", False), ("", True), ("soon", True)]
    )
    def test_one_s_own_is_young_for_ten_minutes(self, seen, young):
        """Within them who made it may not have sought it back; who cannot tell takes it for young."""
        assert young is rules.is_young({rules.SEEN: seen}, now=1_000_000 * SECOND)

    @given(alive=st.integers(0, 100_000), jitter=st.floats(0, 1))
    def test_a_large_fleet_does_not_sweep_more_often(self, alive, jitter):
        """However many instances there are, they sweep about four times an hour together, and each once at most."""
        period = rules.next_sweep(alive, jitter)

        assert period >= rules.RENEWED / 2
        assert alive * rules.RENEWED / period <= 2 * rules.SWEEPS + (alive if alive < rules.SWEEPS else 0)


class TestSeats:
    """Who leads. Record locks exclude processes; within one, the book of locks does, so two objects stand for two."""

    @pytest.fixture
    def sit(self, tmp_path, clock):
        made = []

        def seats():
            made.append(Seats(tmp_path, clock=clock))
            return made[-1]

        yield seats
        for one in made:
            one.release()

    @pytest.fixture
    def passes(self, clock):
        """Let seconds pass, in which some look as they do: four times a second."""

        def passes(seconds, *looking):
            for _ in range(int(4 * seconds)):
                clock.now += 0.25
                for seats in looking:
                    seats.claim()

        return passes

    def test_one_leads(self, sit):
        """The first takes the first seat, and the others wait."""
        first, second = sit(), sit()

        assert (0, None, 0, None) == (first.claim(), second.claim(), first.claim(), second.claim())

    def test_who_leaves_is_followed(self, sit):
        """The next look after the leader has gone finds the seat free."""
        first, second = sit(), sit()
        assert (0, None) == (first.claim(), second.claim())
        first.release()

        assert 0 == second.claim()

    def test_who_takes_over_is_not_the_first(self, sit):
        """Of two that start at once one leads first; the other one knows that somebody led before it."""
        first, second = sit(), sit()
        assert (0, None) == (first.claim(), second.claim())
        first.release()
        second.claim()

        assert (True, False) == (first.newborn, second.newborn)

    def test_a_silent_leader_is_stood_in_for(self, sit, passes):
        """Who holds the lock and says nothing for three seconds has somebody beside it, until it speaks again."""
        first, second, third = sit(), sit(), sit()
        first.claim()
        assert (None, None) == (second.claim(), third.claim())
        passes(rules.SILENT, second, third)
        assert (None, None) == (second.claim(), third.claim())
        passes(0.25, second, third)

        assert (1, None) == (second.claim(), third.claim())
        assert 0 == first.claim()
        assert (None, None) == (second.claim(), third.claim())

    def test_a_stand_in_moves_up(self, sit, passes):
        """When the stopped leader is killed, its stand-in takes its seat."""
        first, second = sit(), sit()
        first.claim()
        second.claim()
        passes(rules.SILENT + 0.25, second)
        assert 1 == second.claim()
        first.release()

        assert 0 == second.claim()

    def test_a_slow_follower_counts_only_what_it_saw(self, sit, clock):
        """A sign that is old when a worker first looks says nothing: the leader may be about to speak."""
        first, second = sit(), sit()
        first.claim()
        clock.now += 100

        assert None is second.claim()

    def test_who_did_not_run_itself_stands_in_for_nobody(self, sit, clock, passes):
        """A container without CPU stops all its workers: whoever runs first again waits for the leader's sign."""
        first, second = sit(), sit()
        first.claim()
        passes(1.0, first, second)
        clock.now += 100
        assert None is second.claim()
        passes(1.0, first, second)

        assert None is second.claim()

    def test_signs_are_the_machine_s_seconds(self, tmp_path):
        """A leader's sign is its monotonic second, so that a clock that is set does not make it silent."""
        seats = Seats(tmp_path, clock=time.monotonic)
        before = time.monotonic()
        seats.claim()
        sign = (tmp_path / "seat-0").stat().st_mtime_ns / SECOND
        seats.release()

        assert before <= sign + 0.001 <= time.monotonic() + 0.002
