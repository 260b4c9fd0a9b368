"""kill -9 of the local cloud at random moments: nothing that it acknowledged is lost."""

import pytest
from hypothesis import settings

from tests.notifier.killing import Forks, Witness, survive


#: `make prove` kills in twenty directories; the tests in one.
ROUNDS = 20 if settings().max_examples > 10_000 else 1
KILLS = 10


@pytest.fixture(scope="module")
def forks():
    running = Forks()
    yield running
    running.close()


@pytest.mark.filterwarnings("ignore:The return_immediately flag:DeprecationWarning")
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_kills(forks, tmp_path, seed):
    """Versions, messages and acknowledgements outlive ten deaths under load, and each time the store opens."""
    witness = Witness(seed)
    survive(forks, tmp_path / "state", witness, kills=KILLS)

    assert witness.complete
