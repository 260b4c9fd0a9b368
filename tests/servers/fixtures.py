"""`postgres` and `redis_server`: real servers of a test run's own, one for each worker of pytest-xdist.

They start when a test first asks for one. Where the machine lacks a program the test is skipped and says so;
`make servers` installs both, as root on Debian.
"""

import os

import pytest


LACKING = "is not installed on this machine; as root on Debian: make servers"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A PostgreSQL of this worker's own."""
    from tests.servers import postgres as module  # late: most workers' tests need no driver

    if module.binaries() is None:
        pytest.skip(f"PostgreSQL {LACKING}")
    base = tmp_path_factory.getbasetemp()
    # Each worker of xdist has a directory within the run's own.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    server = module.Postgres(module.template(shared))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server():
    """A Redis of this worker's own."""
    from tests.servers import redis as module

    if module.binary() is None:
        pytest.skip(f"Redis {LACKING}")
    server = module.RedisServer()
    yield server
    server.stop()
