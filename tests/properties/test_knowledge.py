"""Promise 3, any order: what is known does not depend on when, how often or in which order it was heard."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.knowledge import LATEST, REMEMBERED, Claim, Knowledge


pytestmark = pytest.mark.promise("any order")

numbers = st.integers(1, 6)
stamps = st.integers(1, 40)
aliases = st.sampled_from(["blue", "green"])

pieces = st.one_of(
    st.builds(
        lambda n, s, u, c: Knowledge.version(n, s, usable=u, claim=c),
        numbers,
        stamps,
        st.booleans(),
        st.sampled_from(Claim),
    ),
    st.builds(Knowledge.destruction, numbers, stamps),
    st.builds(Knowledge.alias, aliases, numbers, stamps),
    st.builds(Knowledge.whole_alias_map, st.dictionaries(aliases, numbers), stamps),
    st.builds(Knowledge.born, stamps),
    st.builds(Knowledge.deleted, stamps),
)
pins = st.one_of(st.just(LATEST), aliases, numbers)


def merged(told):
    known = Knowledge()
    for piece in told:
        known = known.merge(piece)
    return known


knowledge = st.lists(pieces, max_size=8).map(merged)
histories = st.lists(pieces, max_size=8).flatmap(
    lambda told: st.tuples(st.just(told), st.permutations(told + told[:3]))
)


@given(knowledge, knowledge)
def test_merge_is_commutative(a, b):
    """Who heard first does not matter."""

    assert a.merge(b) == b.merge(a)


@given(knowledge, knowledge, knowledge)
def test_merge_is_associative(a, b, c):
    """By which way knowledge came together does not matter."""

    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(knowledge, knowledge)
def test_merge_is_idempotent(a, b):
    """Hearing something again changes nothing, and is seen to change nothing."""
    both = a.merge(b)

    assert both.merge(b) is both


@given(
    st.lists(pieces, max_size=8).flatmap(lambda told: st.tuples(st.just(told), st.permutations(told + told[:3]))), pins
)
def test_any_order_and_repetition_wants_the_same(histories, pin):
    """A history heard in any order, with repetitions, ends at the same wanted version."""
    told, shuffled = histories

    assert merged(told).wanted(pin) == merged(shuffled).wanted(pin)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 1000)), min_size=80, max_size=160), st.randoms())
def test_forgetting_does_not_depend_on_order(words, random):
    """Knowledge is cut to a bounded size, and to the same in whichever order it came."""
    told = [Knowledge.version(n, s, usable=True) for n, s in words]
    shuffled = list(told)
    random.shuffle(shuffled)
    known = merged(told)

    assert known == merged(shuffled)
    assert len(known.words) <= 2 * REMEMBERED


def test_a_recreated_secret_starts_a_new_life_in_every_order():
    """ADD 1, DESTROY 1, DELETE, CREATE, ADD 1: in all 120 orders the new life's version 1 is wanted."""
    history = [
        Knowledge.version(1, 5, usable=True, claim=Claim.ADDED),
        Knowledge.destruction(1, 10),
        Knowledge.deleted(15),
        Knowledge.born(20),
        Knowledge.version(1, 30, usable=True, claim=Claim.ADDED),
    ]

    assert {1} == {merged(order).wanted(LATEST) for order in itertools.permutations(history)}


def test_a_version_after_a_deletion_is_a_new_life():
    """A version event later than a deletion counts although the creation was never heard."""
    known = merged([Knowledge.version(9, 5, usable=True), Knowledge.deleted(10)])

    assert known.wanted(LATEST) is None
    assert 1 == known.merge(Knowledge.version(1, 11, usable=True)).wanted(LATEST)


def test_the_new_life_survives_forgetting():
    """A low number of the new life is kept beside any number of higher ones of the old life."""
    old = [Knowledge.version(n, n, usable=True) for n in range(100, 200)]
    known = merged([*old, Knowledge.version(1, 1000, usable=True), *old, Knowledge.born(900)])

    assert 1 == known.wanted(LATEST)


def test_destroyed_versions_stay_dead_in_this_life():
    """An ENABLE later than a destruction does not revive the version."""
    known = merged([Knowledge.destruction(7, 10), Knowledge.version(7, 20, usable=True, claim=Claim.ENABLED)])

    assert known.wanted(LATEST) is None


@given(knowledge)
def test_the_wire_keeps_everything(known):
    """What the board and siblings carry is what was known, and nothing else."""

    assert known == Knowledge.from_wire(json.loads(json.dumps(known.to_wire())))


@pytest.mark.parametrize("wire", [{}, {"words": 3}, {"words": {"x": [1, 2, 3]}}, [], None, "x"])
def test_broken_wire_is_a_value_error(wire):
    """Whatever is not knowledge is refused as such."""
    with pytest.raises(ValueError, match="not knowledge"):
        Knowledge.from_wire(wire)
