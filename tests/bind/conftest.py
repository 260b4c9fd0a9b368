"""A cache over a source in memory, for bindings of its secrets."""

import pytest

from receiver import SecretCache
from receiver.testing import InMemorySource


@pytest.fixture
def source():
    return InMemorySource({"API_KEY": "one", "USER": "app-1", "PASSWORD": "pw-1"})


@pytest.fixture
def cache(source, tmp_path):
    made = SecretCache("any-project", source=source, run_dir=str(tmp_path / "run"), backstop=None)
    yield made
    made.close()
