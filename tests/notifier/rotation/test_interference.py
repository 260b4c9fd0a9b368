"""What people, other processes, late clocks and lost answers do to a rotation that is under way or waits."""

import pytest

from notifier.rotation.machine import LEASE, NotNow, Outcome
from notifier.rotation.report import report
from notifier.rotation.retirement import Holding
from notifier.rotation.rotator import RotatorError
from notifier.rotation.state import Step
from notifier.rotation.steps import Action
from notifier.rotation.vault import Unusable, VaultError
from tests.notifier.rotation.bench import Bench, Crash, Provider


WHOLE = (Action.BEGIN, Action.CREATE, Action.APPLY, Action.TEST, Action.PROMOTE)


@pytest.fixture
def replacing(rotation_cloud, name):
    """A workbench with a provider at which the new value ends the old one."""
    return Bench(rotation_cloud, name, rotator=Provider(overlap="none"))


def once(owner, method, instead):
    """Let the next call of a method be another; the one after it is the method's own again."""
    own = getattr(owner, method)

    def called(*args, **kwargs):
        setattr(owner, method, own)
        return instead(own, *args, **kwargs)

    setattr(owner, method, called)


def lost(own, *args, **kwargs):
    """It takes effect, and its answer never comes."""
    own(*args, **kwargs)
    raise VaultError("no answer", transient=True)


def refused(_own, *_args, **_kwargs):
    raise VaultError("permission denied")


def only_served_is_valid(bench):
    return {bench.served()[1]} == bench.provider.valid


def asked(bench):
    machine = bench.machine()
    machine.ask(bench.asks())
    return machine


def refuse_promotion(bench, how):
    """The first version that is added is the candidate, the second is the promoted one."""
    once(bench.vault, "add", lambda own, *args: (own(*args), once(bench.vault, "add", how))[0])


def test_an_unpromoted_value_gives_the_place_back(replacing):
    """Where the tested value cannot be added, the database accepts again what is served."""
    refuse_promotion(replacing, refused)
    failed = asked(replacing).advance()
    between = only_served_is_valid(replacing)
    replacing.now += 10
    done = replacing.machine().advance()

    assert (Outcome.FAILED, True) == (failed.outcome, between)
    assert Action.PROMOTE is done.steps[-1]
    assert (2, 1) == (replacing.served()[0], replacing.provider.made)
    assert only_served_is_valid(replacing)


def test_an_added_version_whose_answer_was_lost(replacing):
    """A version that was added without an answer is found, and the old credential does not come back over it."""
    refuse_promotion(replacing, lost)
    asked(replacing).advance()
    between = only_served_is_valid(replacing)
    replacing.now += 10
    replacing.machine().advance()

    assert between
    assert (2, 1) == (replacing.served()[0], replacing.provider.made)


@pytest.mark.parametrize("at", range(8))
def test_every_note_may_lose_its_answer(rotation_cloud, name, at):
    """A note that was taken without an answer is gone on from; nothing is made twice."""
    bench = Bench(rotation_cloud, name)
    notes = iter(range(100))
    annotate = bench.vault.annotate
    bench.vault.annotate = lambda *args, **how: (lost if next(notes) == at else call)(annotate, *args, **how)
    stamp = bench.asks()
    for _ in range(4):
        machine = bench.machine()
        try:
            machine.ask(stamp)
        except VaultError:
            continue
        machine.advance()
        bench.now += LEASE + 1

    assert (2, 1) == (bench.served()[0], bench.provider.made)
    assert [2] == bench.enabled()


def call(own, *args, **kwargs):
    return own(*args, **kwargs)


@pytest.mark.parametrize("step", ["create", "apply", "test"])
def test_a_request_stops_nobody(replacing, step):
    """Somebody who asks in the middle of a rotation does not leave the new password there without its version."""
    once(replacing.provider, step, lambda own, *a: (replacing.machine().ask(replacing.asks(1)), own(*a))[1])
    done = asked(replacing).advance()

    assert WHOLE == done.steps[:5]
    assert only_served_is_valid(replacing)


@pytest.mark.parametrize("step", ["create", "apply", "test"])
def test_a_pause_leaves_what_is_served_valid(replacing, step):
    """A pause in the middle of a rotation gives the old password its place back; afterwards it goes on."""
    once(replacing.provider, step, lambda own, *a: (replacing.machine().pause("a migration"), own(*a))[1])
    paused = asked(replacing).advance()
    between, number = only_served_is_valid(replacing), replacing.served()[0]
    replacing.machine().pause(None)
    replacing.machine().advance()

    assert "paused: a migration" == paused.why
    assert (True, 1) == (between, number)
    assert (2, 1) == (replacing.served()[0], replacing.provider.made)
    assert only_served_is_valid(replacing)


def test_a_pause_after_a_crash(replacing):
    """A process died between the new password and its note, and then somebody paused."""
    machine = asked(replacing)
    once(replacing.provider, "apply", lambda own, *a: (own(*a), (_ for _ in ()).throw(Crash))[1])
    with pytest.raises(Crash):
        machine.advance()
    dead = only_served_is_valid(replacing)
    replacing.machine().pause("what happened here?")
    replacing.now += LEASE
    replacing.machine().advance()

    assert not dead
    assert only_served_is_valid(replacing)


def test_a_sleeper_does_not_undo_what_its_heir_did(replacing):
    """Whoever slept through its lease in a test that fails gives no old credential a place that is another's."""

    def sleeps(_own, *_args):
        replacing.now += LEASE + 1
        replacing.machine().advance()
        raise RotatorError("the connection was lost")

    once(replacing.provider, "test", sleeps)
    done = asked(replacing).advance()

    assert Outcome.BUSY is done.outcome
    assert 2 == replacing.served()[0]
    assert only_served_is_valid(replacing)


def test_nobody_gives_up_what_is_there(replacing):
    """A version that was added and not noted cannot be given up: receivers have it."""
    refuse_promotion(replacing, lambda own, *a: (own(*a), (_ for _ in ()).throw(Crash))[1])
    with pytest.raises(Crash):
        asked(replacing).advance()
    replacing.now += LEASE
    with pytest.raises(NotNow, match="version 2 is there already"):
        replacing.machine().abandon()

    assert only_served_is_valid(replacing)


def test_what_was_added_by_hand_stays_valid(bench):
    """Somebody went back by adding the old value again: the end of the old version does not revoke it."""
    asked(bench).advance()
    bench.vault.add(bench.plan.secret, b"canary-value-0")
    bench.now += 61
    bench.machine().advance()

    assert bench.served()[1] in bench.provider.valid
    assert [2, 3] == bench.enabled()


def test_a_person_with_a_late_clock_goes_back(bench):
    """A rollback from a machine whose clock is late is done, and is not left for the next schedule to find."""
    machine = asked(bench)
    machine.advance()
    machine.ask_back(bench.asks(-120), 1)
    done = machine.advance(urgent=True)

    assert WHOLE == done.steps
    assert (3, b"canary-value-0") == bench.served()
    assert 0 == done.state.copy_of


def test_a_way_on_is_named(bench):
    """Whatever a rotation is stuck at, its status names what takes it on."""
    machine = asked(bench)
    machine.advance()
    machine.ask_back(bench.asks(), 1)
    bench.vault.destroy(bench.plan.secret, 1)
    stuck = machine.advance(urgent=True)
    told = report(machine)["next"]
    machine.abandon()

    assert Outcome.FAILED is stuck.outcome
    assert f"keyturn rotation abandon {bench.name}" in told
    with pytest.raises(Unusable):
        bench.vault.access(bench.plan.secret, 1)
    assert (2, Step.IDLE) == (bench.served()[0], machine.standing()[0].step)


def test_a_rotator_that_is_broken(bench):
    """What a rotator raises against its promise is a failure like others, and its words are not repeated."""
    once(bench.provider, "test", lambda _own, _job, value: int(value))
    done = asked(bench).advance()

    assert (Outcome.FAILED, 1) == (done.outcome, done.state.failures)
    assert "unexpectedly (ValueError)" in done.why
    assert "canary" not in str(done)


def test_a_request_does_not_wait_for_the_end_of_the_version_before(bench):
    """Where the old version's time of grace is longer than the period, each request is answered in its time."""
    asked(bench).advance()
    bench.now += 30
    done = asked(bench).advance()

    assert WHOLE == done.steps
    assert [1, 2, 3] == bench.enabled()


@pytest.mark.parametrize("nobody", [False, True])
def test_whose_turn_it_is_may_be_in_use(rotation_cloud, name, nobody):
    """Of two roles the other one's password is not changed while an older version, added by hand, may be held."""
    bench = Bench(rotation_cloud, name, rotator=Provider(one_at_a_time=True))
    bench.vault.add(bench.plan.secret, b"canary-by-hand")
    bench.provider.valid.add(b"canary-by-hand")
    bench.now += 10 * 365 * 86400
    bench.logs.holding = Holding(nobody=nobody, why="payments-7c9 serves version 1")
    done = asked(bench).advance()

    assert ([1, 2], [2, 3])[nobody] == bench.enabled()
    assert nobody or ("payments-7c9 serves version 1", 0) == (done.why, bench.provider.made)


@pytest.mark.parametrize("step", ["apply", "test"])
def test_a_rotator_is_told_what_is_served_now(bench, step):
    """Somebody added a version since the rotation began: a rotator that spares what is served spares that one."""
    told = []

    def adds(_own, job, candidate):
        bench.vault.add(bench.plan.secret, b"canary-by-hand")
        once(bench.provider, step, lambda own, job, value: (told.append(job.current), own(job, value))[1])
        raise RotatorError(f"not yet ({len(candidate)})")

    once(bench.provider, step, adds)
    machine = asked(bench)
    machine.advance()
    machine.advance(urgent=True)

    assert [b"canary-by-hand"] == told
    assert (3, b"canary-value-1") == bench.served()
