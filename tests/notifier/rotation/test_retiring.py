"""How old versions end when a person asks, and what must not end."""

from dataclasses import replace

import pytest

from notifier.rotation.ledger import Page
from notifier.rotation.machine import LEASE, NotNow, Outcome
from notifier.rotation.retirement import Holding
from notifier.rotation.retiring import retire_now
from notifier.rotation.rotator import RotatorError
from notifier.rotation.state import Step
from notifier.rotation.vault import VaultError
from notifier.rotation.windows import Window
from tests.notifier.rotation.bench import Crash
from tests.notifier.rotation.test_interference import asked, once, refused


@pytest.mark.parametrize("force", [False, True])
def test_nothing_ends_before_a_version_that_cannot_be_used(bench, force):
    """Somebody disabled the new version: the one before is all there is, whoever insists."""
    machine = asked(bench)
    machine.advance()
    bench.vault.disable(bench.plan.secret, 2)
    bench.now += 61
    done = retire_now(machine, bench.vault, force=force)

    assert Outcome.WAITING is done.outcome
    assert f"keyturn rollback {bench.name}" in done.why
    assert [1] == bench.enabled()


def test_what_was_enabled_again_is_not_destroyed(bench):
    """Somebody needed a version that was to be destroyed."""
    machine = bench.machine(plan=replace(bench.plan, destroy_after=3600.0))
    machine.ask(bench.asks())
    machine.advance()
    bench.now += 61
    machine.advance()
    bench.vault.enable(bench.plan.secret, 1)
    bench.now += 3600
    machine.advance()

    assert (1, b"canary-value-0") == bench.vault.access(bench.plan.secret, 1)
    assert () == machine.standing()[0].doomed


def test_ending_begins_nothing(bench):
    """Who ends an old version begins no rotation that waits for its window."""
    plan = replace(bench.plan, windows=(Window.parse("Mon-Fri 02:00-05:00"),))
    bench.now = 1_799_798_400.0  # a Wednesday, midnight
    machine = bench.machine(plan=plan)
    machine.ask(bench.asks())
    machine.advance(urgent=True)
    machine.ask(bench.asks(1))
    done = retire_now(machine, bench.vault, force=True)

    assert (Outcome.DONE, [2]) == (done.outcome, bench.enabled())
    assert bench.machine(plan=plan).standing()[0].wanted


@pytest.mark.parametrize("step", [Step.IDLE, Step.PROMOTED])
def test_ending_waits_for_a_pause_and_for_others(bench, step):
    """Nothing is ended while it is paused, or while another process works on it, not even by force."""
    machine = bench.machine()
    if step is Step.PROMOTED:
        machine.ask(bench.asks())
        machine.advance()
    else:
        bench.vault.add(bench.plan.secret, b"canary-by-hand")
    machine.pause("a migration")
    paused = retire_now(machine, bench.vault, force=True)
    machine.pause(None)
    page = Page(bench.vault, bench.plan)
    page.save(page.state.held_by("another", until=bench.now + LEASE))
    busy = retire_now(machine, bench.vault, force=True)
    untouched = bench.enabled()
    bench.now += LEASE
    done = retire_now(machine, bench.vault, force=True)

    assert ("paused: a migration", Outcome.BUSY) == (paused.why, busy.outcome)
    assert ([1, 2], [2]) == (untouched, bench.enabled())
    assert (Outcome.DONE, "") == (done.outcome, machine.standing()[0].owner)


def test_an_end_that_failed_is_not_called_done(bench):
    """Where Secret Manager or the rotator does not do its part, the old version is not said to be ended."""
    machine = asked(bench)
    machine.advance()
    once(bench.vault, "versions", refused)
    with pytest.raises(VaultError):
        retire_now(machine, bench.vault, force=True)
    once(bench.provider, "revoke", lambda *_: (_ for _ in ()).throw(RotatorError("no such key")))
    failed = retire_now(machine, bench.vault, force=True)

    assert (Outcome.FAILED, "no such key") == (failed.outcome, failed.why)
    assert [1, 2] == bench.enabled()


def test_held_up_by_logs_that_cannot_be_read(bench):
    """A person who does not insist is told who holds the old version, and nothing is ended."""
    bench.logs.holding = Holding(nobody=False, why="payments-7c9 serves version 1")
    machine = asked(bench)
    machine.advance()
    bench.now += 61
    done = retire_now(machine, bench.vault, force=False)

    assert (Outcome.WAITING, "payments-7c9 serves version 1") == (done.outcome, done.why)
    assert [1, 2] == bench.enabled()


def test_what_was_ended_before_a_crash_is_destroyed_too(bench):
    """A process died between the end of the old version and its note: the version is destroyed in time all the same."""
    plan = replace(bench.plan, destroy_after=3600.0)
    machine = bench.machine(plan=plan)
    machine.ask(bench.asks())
    machine.advance()
    bench.now += 61
    once(bench.vault, "disable", lambda own, *a: (own(*a), (_ for _ in ()).throw(Crash))[1])
    with pytest.raises(Crash):
        machine.advance()
    for seconds in (LEASE, 3599, 2):
        kept = [version.destroyed for version in bench.vault.versions(bench.plan.secret)]
        bench.now += seconds
        bench.machine(plan=plan).advance()

    assert [False, False] == kept
    assert [False, True] == [version.destroyed for version in bench.vault.versions(bench.plan.secret)]


def test_a_version_that_ends_again_is_destroyed_later(bench):
    """The time until its destruction counts from its last end."""
    plan = replace(bench.plan, destroy_after=3600.0)
    machine = bench.machine(plan=plan)
    machine.ask(bench.asks())
    machine.advance()
    bench.now += 61
    machine.advance()
    machine.ask_back(bench.asks(), 1)
    machine.advance()
    bench.now += 3590
    machine.advance()
    bench.now += 100
    machine.advance()

    assert [3] == bench.enabled()
    assert [False, False, False] == [version.destroyed for version in bench.vault.versions(bench.plan.secret)]


def test_going_back_touches_nothing_while_a_rotation_is_under_way(bench):
    """Who may not go back yet enables nothing either."""
    bench.vault.add(bench.plan.secret, b"canary-by-hand")
    bench.vault.disable(bench.plan.secret, 1)
    bench.provider.down = True
    machine = asked(bench)
    machine.advance()
    with pytest.raises(NotNow):
        machine.ask_back(bench.asks(), 1)

    assert [2] == bench.enabled()
