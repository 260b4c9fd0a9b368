"""Fixtures of `keyturn[testing]`: a local cloud for the tests of services.

Installed as the top-level module `keyturn_pytest`, as the command is, and for the same reason. pytest loads it in every
run where keyturn is installed, so it imports nothing of ours before a test asks for a fixture.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what a project may say of its services."""
    parser.addini("keyturn_project", "id of the project that the services' caches name", default="local-project")


@pytest.fixture
def keyturn_cloud(pytestconfig: pytest.Config) -> Iterator[Any]:
    """A local cloud for one test, with the environment set for it: empty at first, gone afterwards.

    For services that make their cache in a factory; see `keyturn_session_cloud`.
    """
    yield from _running(pytestconfig)


@pytest.fixture(scope="session")
def keyturn_session_cloud(pytestconfig: pytest.Config) -> Iterator[Any]:
    """A local cloud for all tests of a process, with the environment set for it.

    For services whose cache stands at the top of a module: it outlives a test, and must find its secrets where they
    were.
    """
    yield from _running(pytestconfig)


def _running(config: pytest.Config) -> Iterator[Any]:
    try:
        module = importlib.import_module("notifier.local.cloud_for_tests")
    except ModuleNotFoundError as exc:
        raise pytest.UsageError(f"keyturn's fixtures need `pip install 'keyturn[testing]'` ({exc})") from exc
    with (
        pytest.MonkeyPatch.context() as patched,
        module.CloudForTests(project=config.getini("keyturn_project")) as cloud,
    ):
        for name, value in cloud.environment().items():
            patched.setenv(name, value)
        yield cloud
