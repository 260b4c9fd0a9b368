"""Profiles and fixtures that every test may use."""

import os

from hypothesis import HealthCheck, settings

from tests.servers.fixtures import postgres, redis_server  # noqa: F401  # fixtures for every directory


settings.register_profile("default", deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("prove", deadline=None, max_examples=36_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
