"""A process may end anywhere: afterwards nothing was rotated twice, and no credential is lost."""

import pytest

from notifier.rotation.machine import LEASE
from notifier.rotation.state import Step
from tests.notifier.rotation.bench import Bench, Crash, Provider, Tripwire


KINDS = {
    "overlapping": {},
    "replacing": {"overlap": "none"},
    "alternating": {"one_at_a_time": True},
}


def whole(bench, wire=None):
    """One rotation from its event to the end of the old version, by as many processes as it takes."""
    stamp = bench.asks()
    machine = bench.machine(wire)
    machine.ask(stamp)
    machine.advance()
    bench.now += 61
    machine.advance()


def calls(cloud, name, kind):
    """How many calls a whole rotation makes."""
    wire = Tripwire()
    whole(Bench(cloud, name, rotator=Provider(**kind)), wire)
    return wire.calls


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_crash_at_every_call(rotation_cloud, name, kind):
    """After whatever effect a process dies, the next one ends with one new version, valid, and no other."""
    total = calls(rotation_cloud, name, kind)
    for at in range(total):
        bench = Bench(rotation_cloud, f"{name}_{at}", rotator=Provider(**kind))
        stamp = bench.asks()
        with pytest.raises(Crash):
            whole(bench, Tripwire(at))
        settle(bench, stamp)

        number, value = bench.served()
        assert (2, [2]) == (number, bench.enabled()), at
        assert {value} == bench.provider.valid, at
        assert [] == bench.candidates(), at


def settle(bench, stamp):
    """The event comes again, to another process, when the dead one's lease has run out."""
    for _ in range(3):
        bench.now += LEASE
        machine = bench.machine()
        machine.ask(stamp)
        machine.advance()
    state, _ = bench.machine().standing()
    assert Step.IDLE is state.step


@pytest.mark.parametrize("kind", ["overlapping", "alternating"])
def test_what_is_served_is_always_valid(rotation_cloud, name, kind):
    """Where both credentials work until one is revoked, what is served is valid at every moment."""
    kind = KINDS[kind]
    wire = Tripwire()
    bench = Bench(rotation_cloud, name, rotator=Provider(**kind))
    seen = []
    call = wire.call

    def watched(called, method, args, kwargs):
        result = call(called, method, args, kwargs)
        seen.append(bench.vault.access(bench.plan.secret, "latest")[1] in bench.provider.valid)
        return result

    wire.call = watched
    whole(bench, wire)

    assert all(seen)
    assert len(seen) > 10
