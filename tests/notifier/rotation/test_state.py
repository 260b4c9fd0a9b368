"""What is kept of a rotation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.rotation.state import Doomed, State, Step, UnreadableState


STATES = st.builds(
    State,
    asked=st.integers(0, 2**63),
    satisfied=st.integers(0, 2**63),
    step=st.sampled_from(Step),
    base=st.integers(0, 2**40),
    before=st.integers(0, 2**40),
    candidate=st.integers(0, 2**40),
    promoted=st.integers(0, 2**40),
    promoted_at=st.floats(0, 2e9),
    copy_of=st.integers(0, 99),
    doomed=st.lists(st.builds(Doomed, st.integers(1, 99), st.floats(0, 2e9)), max_size=5).map(tuple),
    owner=st.text("0123456789abcdef", max_size=16),
    until=st.floats(0, 2e9),
    failures=st.integers(0, 99),
    retry_at=st.floats(0, 2e9),
    why=st.text(max_size=300),
)


@settings(max_examples=40)
@given(STATES)
def test_it_is_read_as_it_was_written(state):
    """A state survives being kept as text."""

    assert state == State.parse(state.text())


@given(st.text() | st.from_regex(r'\{"layout":1,.*\}', fullmatch=True))
def test_what_is_no_state_is_refused(text):
    """Whatever stands there, it is read or refused as no state, and nothing of it is repeated."""
    said = ""
    try:
        State.parse(text)
    except UnreadableState as exc:
        said = str(exc)

    assert len(text) < 10 or text not in said


def test_the_layout_is_checked():
    """A newer layout is refused."""
    with pytest.raises(UnreadableState, match="another version"):
        State.parse('{"layout":2}')


def test_none_is_a_secret_that_was_never_rotated():
    """No annotation is the state before all."""

    assert State() == State.parse(None)


@settings(max_examples=40)
@given(STATES)
def test_it_fits_into_an_annotation(state):
    """Annotations have 16 KiB in all; a state stays far below."""

    assert len(state.text()) < 4096
