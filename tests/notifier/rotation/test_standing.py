"""Who still holds an old version, as the logs tell; `keyturn demo --rotation` shows the whole of it."""

from dataclasses import replace

import pytest

from notifier.rotation.plan import Plan
from notifier.rotation.standing import Traced
from receiver import SecretName


@pytest.fixture
def plan(rotation_cloud, name, monkeypatch):
    monkeypatch.setenv("LOGGING_EMULATOR_HOST", rotation_cloud.environment()["LOGGING_EMULATOR_HOST"])
    rotation_cloud.create_secret(name, b"canary")
    rotation_cloud.add_version(name, b"canary")
    return Plan(SecretName(rotation_cloud.project, name), services=("payments",))


def test_nobody_is_believed_to_be_missing(plan):
    """Where nobody says how many instances there are, what the entries do not show counts as held."""
    holding = Traced({}).of(plan, 2)

    assert not holding.nobody
    assert "say in the manifest how many instances each service has" in holding.why


def test_an_instance_that_said_nothing(plan):
    """Where one instance was counted and none has spoken, it counts as one that holds the old version."""
    holding = Traced({"payments": 1}).of(plan, 2)

    assert not holding.nobody
    assert holding.why


def test_every_service_is_counted(plan):
    """One service without a count is enough not to know."""
    holding = Traced({"payments": 1}).of(replace(plan, services=("payments", "wallet")), 2)

    assert not holding.nobody
    assert "say in the manifest" in holding.why


def test_logs_that_cannot_be_read(plan, monkeypatch):
    """Logs that cannot be read tell nothing, and so end nothing."""
    from notifier.trace import google_logging

    monkeypatch.setattr(google_logging, "_PATIENCE", 0.2)
    monkeypatch.setenv("LOGGING_EMULATOR_HOST", "127.0.0.1:1")
    holding = Traced({"payments": 1}).of(plan, 2)

    assert not holding.nobody
    assert "could not be read" in holding.why
