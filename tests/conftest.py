"""Profiles and fixtures that every test may use."""

import gc
import math
import os

from hypothesis import HealthCheck, settings

from tests.servers.fixtures import postgres, redis_server  # noqa: F401  # fixtures for every directory


# A test that CI tries again is called on a new instance of its class, and nothing of ours is kept on one.
_AGAIN = HealthCheck.differing_executors
settings.register_profile(
    "default", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow, _AGAIN]
)
settings.register_profile("prove", deadline=None, max_examples=36_000, suppress_health_check=[_AGAIN])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(items):
    """Those that may take longest come first, so that no worker is left alone with one of them at the end."""
    items.sort(key=_allowed, reverse=True)


def _allowed(item):
    """For how many seconds a test may run by a mark of its own."""
    mark = item.get_closest_marker("timeout")
    return 0 if mark is None else mark.args[0] or math.inf


def pytest_collection_finish():
    """What was collected stays until the end: the garbage collector need not look through it again and again."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """What failed and then passed says how it failed: else nobody learns of it."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"first failed: {report.nodeid}", sep="_")
        terminalreporter.write_line(report.longreprtext)
