"""docs/scale.md says what its script computes, and the script computes with the numbers that the code has."""

from pathlib import Path

import pytest

from benchmarks import scale
from receiver import hearing, live, secret_manager, worker


PAGE = (Path(__file__).parents[1] / "docs" / "scale.md").read_text()


def test_the_page_shows_what_stands_and_what_it_costs():
    """Every line of the table is what the script prints."""

    assert "\n".join(scale.standing()) in PAGE


@pytest.mark.parametrize("instances", [100, 10_000])
def test_the_page_shows_rotations(instances):
    """The rows of the smaller fleets are what the simulation gives."""
    for line in scale.rotations((instances,)):
        assert line in PAGE


@pytest.mark.long
@pytest.mark.timeout(0)
def test_the_page_shows_all_rotations():
    """The same for all, with the fleet that is larger than the quota."""

    assert "\n".join(scale.rotations()) in PAGE


def test_a_spread_keeps_the_largest_fleet_inside_the_quota():
    """With the longest spread that can be set nobody is refused, and the last is done when it ends."""
    found = scale.rotate(100_000, spread=scale.SPREAD_MOST)

    assert 0 == found.refused
    assert found.last < scale.SPREAD_MOST + 1


def test_the_model_has_the_code_s_numbers():
    """A bound that is changed in the code fails here until the page is made anew."""

    assert (scale.CALL, scale.SPREAD_MOST) == (worker.UPSTREAM, hearing._SPREAD_MOST)
    assert (scale.RETRY_FIRST, scale.RETRY_CAP) == (live.RETRY_FIRST, live.RETRY_CAP)
    assert (scale.IN_CALL_FIRST, scale.IN_CALL_MOST) == (secret_manager._RETRY_FIRST, secret_manager._RETRY_MOST)
