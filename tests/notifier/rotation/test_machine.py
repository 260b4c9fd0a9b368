"""A rotation from its request to the end of the old version."""

from dataclasses import replace

import pytest

from notifier.rotation.ledger import Page
from notifier.rotation.machine import LEASE, NotNow, Outcome
from notifier.rotation.retirement import Holding
from notifier.rotation.retiring import retire_now
from notifier.rotation.state import STATE, Step
from notifier.rotation.steps import Action
from notifier.rotation.windows import Window
from tests.notifier.rotation.bench import Bench, Provider


WHOLE = (Action.BEGIN, Action.CREATE, Action.APPLY, Action.TEST, Action.PROMOTE)


def test_from_request_to_new_version(bench):
    """A request ends in a version that was applied and tested before anybody could be served it."""
    machine = bench.machine()
    machine.ask(bench.asks())
    done = machine.advance()

    assert (Outcome.WAITING, WHOLE) == (done.outcome, done.steps)
    assert (2, b"canary-value-1") == bench.served()
    assert {b"canary-value-0", b"canary-value-1"} == bench.provider.valid
    assert [1, 2] == bench.enabled()


def test_the_old_version_ends_after_its_grace(bench):
    """After the time of grace, and when nobody holds it, the old value is revoked and its version disabled."""
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    early = machine.advance()
    bench.now += 61
    done = machine.advance()

    assert (Outcome.WAITING, ()) == (early.outcome, early.steps)
    assert (Outcome.DONE, (Action.RETIRE,)) == (done.outcome, done.steps)
    assert [2] == bench.enabled()
    assert {b"canary-value-1"} == bench.provider.valid
    assert [(bench.name, 2)] == bench.logs.asked


def test_nothing_ends_while_somebody_holds_it(bench):
    """An instance on the old version keeps it alive, is named, and is looked for again only after a while."""
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    bench.now += 61
    bench.logs.holding = Holding(nobody=False, why="payments-7c9 still serves version 1")
    first, second = machine.advance(), machine.advance()
    bench.logs.holding = Holding(nobody=True, why="")
    bench.now += 301
    third = machine.advance()

    assert "payments-7c9 still serves version 1" == first.why == second.why
    assert 2 == len(bench.logs.asked)
    assert (Action.RETIRE,) == third.steps
    assert [2] == bench.enabled()


def test_force_ends_it_all_the_same(bench):
    """Whoever insists ends the old version at once."""
    bench.logs.holding = Holding(nobody=False, why="payments-7c9 still serves version 1")
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    retire_now(machine, bench.vault, force=True)

    assert [2] == bench.enabled()


def test_a_repeated_event_rotates_once(bench):
    """The same event, whatever its message id and whenever it comes, makes one version."""
    stamp = bench.asks()
    for _ in range(3):
        machine = bench.machine()
        machine.ask(stamp)
        machine.advance()
        bench.now += 61

    assert 2 == bench.served()[0]
    assert 1 == bench.provider.made


def test_an_event_from_before_the_last_rotation_is_satisfied(bench):
    """An event that comes late finds a version that is newer than it."""
    late = bench.asks(-10)
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    machine.ask(late)
    machine.advance()

    assert 2 == bench.served()[0]


def test_two_processes_rotate_once(bench):
    """Of two rotators with one event, one rotates; the other says so and touches nothing."""
    one, other = bench.machine(), bench.machine()
    seen = []
    provider = bench.provider
    create = provider.create

    def meanwhile(job):
        provider.create = create
        seen.append(other.advance())
        return create(job)

    provider.create = meanwhile
    one.ask(bench.asks())
    other.ask(bench.asks())
    done = one.advance()

    assert Outcome.BUSY is seen[0].outcome
    assert WHOLE == done.steps
    assert (2, 1) == (bench.served()[0], provider.made)


def test_a_dead_owner_is_taken_over_from(bench):
    """What a process that died has begun is gone on with when its lease has run out, and not before."""
    dead = bench.machine()
    dead.ask(bench.asks())
    page = Page(bench.vault, bench.plan)
    page.save(page.state.held_by("process-that-died", until=bench.now + LEASE))
    heir = bench.machine()
    before = heir.advance()
    bench.now += LEASE
    after = heir.advance()

    assert Outcome.BUSY is before.outcome
    assert WHOLE == after.steps


def test_a_lost_lease_is_noticed(bench):
    """A process that slept through its lease notes nothing over what its heir noted."""
    sleeper, heir = bench.machine(), bench.machine()
    provider = bench.provider
    apply = provider.apply

    def sleeps(job, candidate):
        provider.apply = apply
        bench.now += LEASE + 1
        heir.advance()
        apply(job, candidate)

    provider.apply = sleeps
    sleeper.ask(bench.asks())
    done = sleeper.advance()

    assert Outcome.BUSY is done.outcome
    assert (2, b"canary-value-1") == bench.served()
    assert 1 == provider.made


def test_a_refused_candidate_never_becomes_a_version(bench):
    """Where the provider refuses the candidate, the old version stays, the failure is noted, and it is tried again."""
    bench.provider.refuse = True
    machine = bench.machine()
    machine.ask(bench.asks())
    refused, waiting = machine.advance(), machine.advance()
    bench.provider.refuse = False
    bench.now += 10
    done = machine.advance()

    assert (Outcome.FAILED, Outcome.WAITING) == (refused.outcome, waiting.outcome)
    assert "refused the candidate" in refused.state.why
    assert (Action.TEST, Action.PROMOTE) == done.steps
    assert (2, b"canary-value-1") == bench.served()


def test_the_old_credential_is_restored_where_the_new_one_replaced_it(rotation_cloud, name):
    """Where the new value ends the old one and is then refused, the old one is made valid again."""
    bench = Bench(rotation_cloud, name, rotator=Provider(overlap="none"))
    bench.provider.refuse = True
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    valid = set(bench.provider.valid)
    bench.provider.refuse = False
    bench.now += 10
    machine.advance()

    assert {b"canary-value-0"} == valid
    assert {b"canary-value-1"} == bench.provider.valid
    assert b"canary-value-1" == bench.served()[1]


def test_one_role_at_a_time(rotation_cloud, name):
    """Where the next rotation would overwrite the old credential, it waits for that one's end."""
    bench = Bench(rotation_cloud, name, rotator=Provider(one_at_a_time=True))
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    machine.ask(bench.asks(1))
    bench.now += 2
    early = machine.advance()
    bench.now += 61
    done = machine.advance()

    assert "time of grace" in early.why
    assert (Action.RETIRE, *WHOLE) == done.steps
    assert {b"canary-value-1", b"canary-value-2"} == bench.provider.valid


def test_windows(bench):
    """A rotation begins within its windows only, unless a person asks."""
    plan = replace(bench.plan, windows=(Window.parse("Mon-Fri 02:00-05:00"),))
    bench.now = 1_799_798_400.0  # 2027-01-13, a Wednesday, midnight
    machine = bench.machine(plan=plan)
    machine.ask(bench.asks())
    closed = machine.advance()
    bench.now += 2 * 3600
    opened = machine.advance()
    machine.ask(bench.asks(12 * 3600))
    bench.now += 12 * 3600
    urgent = machine.advance(urgent=True)

    assert ("waits for its window", ()) == (closed.why, closed.steps)
    assert WHOLE == opened.steps
    assert WHOLE == urgent.steps[-5:]


def test_pause(bench):
    """A paused rotation does nothing and says why; nothing that was asked for is forgotten."""
    machine = bench.machine()
    machine.pause("migration of the database")
    machine.ask(bench.asks())
    paused = machine.advance(urgent=True)
    machine.pause(None)
    done = machine.advance()

    assert ("paused: migration of the database", ()) == (paused.why, paused.steps)
    assert WHOLE == done.steps


def test_rollback_makes_the_version_before_current(bench):
    """Rolling back adds the earlier value as the newest version, by the same way and with the same test."""
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    machine.ask_back(bench.asks(1), 1)
    done = machine.advance(urgent=True)

    assert WHOLE == done.steps
    assert (3, b"canary-value-0") == bench.served()
    assert 1 == bench.provider.made


def test_no_rollback_into_a_rotation(bench):
    """Two wishes are not mixed: what is under way ends first."""
    bench.provider.down = True
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()

    with pytest.raises(NotNow, match="under way"):
        machine.ask_back(bench.asks(1), 1)


@pytest.mark.parametrize("overlap", ["until revoked", "none"])
def test_what_cannot_go_on_is_given_up(rotation_cloud, name, overlap):
    """A rotation that will never work is given up: what was served is valid, and the next one begins anew."""
    bench = Bench(rotation_cloud, name, rotator=Provider(overlap=overlap))
    bench.provider.refuse = True
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    machine.abandon()
    with pytest.raises(NotNow, match="under way"):
        machine.abandon()
    bench.provider.refuse = False
    bench.now += 10
    given_up, valid = bench.served(), set(bench.provider.valid)
    machine.ask(bench.asks())
    done = machine.advance()

    assert (1, b"canary-value-0") == given_up
    assert b"canary-value-0" in valid
    assert WHOLE == done.steps
    assert (2, b"canary-value-2") == bench.served()


def test_candidates_are_destroyed(bench):
    """Once a value stands in the secret, no second copy of it stays."""
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()

    assert [] == bench.candidates()


def test_doomed_versions_are_destroyed_in_time(bench):
    """A version that was ended is destroyed after its delay, and not before."""
    machine = bench.machine(plan=replace(bench.plan, destroy_after=3600.0))
    machine.ask(bench.asks())
    machine.advance()
    bench.now += 61
    machine.advance()
    kept = [version.destroyed for version in bench.vault.versions(bench.plan.secret)]
    bench.now += 3600
    machine.advance()

    assert [False, False] == kept
    assert [False, True] == [version.destroyed for version in bench.vault.versions(bench.plan.secret)]


def test_no_value_is_in_the_annotations(bench):
    """What is kept of a rotation holds no value, at no step."""
    kept = []
    annotate = bench.vault.annotate
    bench.vault.annotate = lambda secret, texts, *, etag: kept.append(str(texts)) or annotate(secret, texts, etag=etag)
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()

    assert kept
    assert all(STATE in text and "canary" not in text for text in kept)


def test_a_state_of_another_version_is_never_guessed_at(bench):
    """An annotation that this version did not write stops the rotation and stays as it is."""
    page = bench.vault.describe(bench.plan.companion)
    bench.vault.annotate(bench.plan.companion, {STATE: '{"layout":9}'}, etag=page.etag)
    done = bench.machine().advance(urgent=True)

    assert Outcome.FAILED is done.outcome
    assert "another version of keyturn" in done.why
    assert '{"layout":9}' == bench.vault.describe(bench.plan.companion).annotations[STATE]


def test_without_a_companion_it_says_what_to_do(bench):
    """A secret whose companion is missing is not rotated, and the error says who makes it."""
    plan = replace(bench.plan, secret=replace(bench.plan.secret, secret=f"{bench.name}_OTHER"))
    done = bench.machine(plan=plan).advance(urgent=True)

    assert Outcome.FAILED is done.outcome
    assert "made by the Terraform module" in done.why


def test_the_first_version_of_all(rotation_cloud, name):
    """A secret without a version gets its first."""
    bench = Bench(rotation_cloud, name)
    empty = replace(bench.plan, secret=replace(bench.plan.secret, secret=f"{name}_EMPTY"))
    rotation_cloud.create_secret(f"{name}_EMPTY")
    bench.vault.create(empty.companion, labels={})
    machine = bench.machine(plan=empty)
    machine.ask(bench.asks())
    machine.advance()

    assert (1, b"canary-value-1") == bench.vault.access(empty.secret, 1)


def test_an_outage_is_no_end(bench):
    """Where Secret Manager answers nothing for a while, the rotation goes on from where it stood."""
    machine = bench.machine()
    machine.ask(bench.asks())
    add = bench.vault.add
    bench.vault.add = lambda *_: (_ for _ in ()).throw(_outage())
    failed = machine.advance()
    bench.vault.add = add
    bench.now += 10
    done = machine.advance()

    assert Outcome.FAILED is failed.outcome
    assert Step.BEGUN is failed.state.step
    assert WHOLE[1:] == done.steps
    assert 2 == bench.served()[0]


def _outage():
    from notifier.rotation.vault import VaultError

    return VaultError("Secret Manager does not answer", transient=True)
