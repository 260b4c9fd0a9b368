"""Whatever happens to a secret's versions, in whatever order its events come: what is accepted is what counts."""

from contextlib import closing
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from receiver import SecretCache
from receiver.testing import InMemorySource, push


ACTS = st.lists(
    st.one_of(
        st.just(("add", 0)),
        st.tuples(st.sampled_from(["disable", "enable", "destroy"]), st.integers(1, 6)),
        st.just(("push", 0)),
        st.just(("look", 0)),
    ),
    max_size=25,
)


def act(source, cache, key, what, number):
    if what == "add":
        source.add("KEY", f"value-{len(source._history[source._name('KEY')][-1].versions) + 1}")
    elif what == "push":
        push(source, cache)
    elif what == "look":
        key.look()
    else:
        try:
            getattr(source, what)("KEY", number)
        except ValueError:  # it does not exist, or is destroyed
            return


#: A fifth of what the profile asks for: each example has a cache of its own, with its directory and its workers.
EXAMPLES = max(1, settings.default.max_examples // 5)


@settings(max_examples=EXAMPLES)
@given(acts=ACTS, shuffled=st.randoms(use_true_random=False))
def test_only_usable_versions_are_accepted_and_the_served_one_comes_first(acts, shuffled):
    """After all events have come, in any order: the value is first, no version twice, none that is unusable, and at
    most three before it."""
    source = InMemorySource({"KEY": "value-1"})
    with (
        TemporaryDirectory() as run_dir,
        closing(SecretCache("p", source=source, run_dir=run_dir, backstop=None, pause=lambda _: None)) as cache,
    ):
        key = cache.secret("KEY", overlap="until_disabled")
        cache.load()
        for what, number in acts:
            act(source, cache, key, what, number)
        bodies = source.pushes()
        shuffled.shuffle(bodies)
        source.pushes = lambda: bodies
        push(source, cache)

        usable = {
            f"value-{number}"
            for number, version in enumerate(source._history[source._name("KEY")][-1].versions, start=1)
            if version.state.value == "enabled"
        }
        first, *before = key.accepted
        assert key.value == first
        assert set(before) <= usable
        assert first in usable or not usable
        assert len({first, *before}) == 1 + len(before) <= 4
