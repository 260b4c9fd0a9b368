"""One cloud for the tests of a worker; each test has secrets of its own."""

import itertools

import pytest

from notifier.local.cloud import LocalCloud
from tests.notifier.rotation.bench import Bench


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def rotation_cloud():
    """A local cloud."""
    with LocalCloud() as cloud:
        yield cloud


@pytest.fixture
def name():
    """A secret's name that no other test has."""
    return f"SECRET_{next(_numbers)}"


@pytest.fixture
def bench(rotation_cloud, name):
    """A workbench with a provider that both values work at until one is revoked."""
    return Bench(rotation_cloud, name)
