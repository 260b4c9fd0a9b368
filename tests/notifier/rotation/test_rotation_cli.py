"""The commands, as people call them."""

import json

import pytest
from click.testing import CliRunner

from notifier.cli import keyturn as keyturn_command
from notifier.rotation.google_vault import GoogleVault
from receiver import SecretName


MANIFEST = """\
project: local-project
location: global
topic: events
services: {{pay: {{service_account: pay@x.iam.gserviceaccount.com, events: pull}}}}
rotator: {{service_account: r@x.iam.gserviceaccount.com, push_endpoint: "https://r.example/rotation/events"}}
secrets:
  {name}: {{used_by: [pay], rotation: {{rotator: random, grace: 1s}}}}
  {name}_BY_HAND: {{used_by: [pay], rotation: {{grace: 1s}}}}
"""


class Keyturn:
    """The command, in a directory with a manifest, against the local cloud."""

    def __call__(self, *args, status=0):
        done = CliRunner().invoke(keyturn_command, args)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert status == done.exit_code, done.output
        assert "canary" not in done.output
        return done.output


@pytest.fixture
def vault(rotation_cloud):
    client = rotation_cloud.secret_manager_client()
    return GoogleVault(lambda _: client)


@pytest.fixture
def secret(rotation_cloud, name, vault):
    rotation_cloud.create_secret(name, b"canary-first")
    secret = SecretName(rotation_cloud.project, name)
    vault.create(SecretName(rotation_cloud.project, f"{name}-candidate"), labels={})
    return secret


@pytest.fixture
def keyturn(rotation_cloud, name, tmp_path, monkeypatch):
    (tmp_path / "secrets.yaml").write_text(MANIFEST.format(name=name))
    monkeypatch.chdir(tmp_path)
    for variable, value in rotation_cloud.environment().items():
        monkeypatch.setenv(variable, value)
    return Keyturn()


def test_rotate_retire_and_roll_back(keyturn, secret, vault, name):
    """A person rotates, sees where it stands, cannot end what may be held, insists, and goes back."""
    planned = keyturn("rotate", name, "--dry-run")
    rotated = keyturn("rotate", name)
    first = vault.access(secret, "latest")[0]
    status = json.loads(keyturn("rotation", "status", name, "--json"))
    held = keyturn("retire", name, status=3)
    forced = keyturn("retire", name, "--force")
    back = keyturn("rollback", name)

    assert "would add version 2 by random" in planned
    assert "promote is done" in rotated
    assert 2 == first
    assert ("promoted", 2) == (status[0]["step"], status[0]["version"])
    assert "waiting: version 2; " in held
    assert "done" in forced
    assert (3, b"canary-first") == vault.access(secret, "latest")
    assert "has the value of version 1" in back


def test_pause_and_resume(keyturn, secret, vault, name):
    """What is paused is rotated by nobody until it is resumed."""
    keyturn("rotation", "pause", name, "--because", "the migration")
    refused = keyturn("rotate", name, status=3)
    keyturn("rotation", "resume", name)
    keyturn("rotate", name, "--wait")

    assert "paused: the migration" in refused
    assert 2 == vault.access(secret, "latest")[0]


def test_check(keyturn, secret, rotation_cloud, name):
    """What could not work is found before it is needed."""
    rotation_cloud.create_secret(f"{name}_BY_HAND", b"canary")
    well = keyturn("rotation", "check")
    rotation_cloud.secret_manager.delete_secret(f"{secret.path}-candidate")
    found = keyturn("rotation", "check", status=3)

    assert "2 rotations, nothing to complain about" in well
    assert f"{name}: {name}-candidate is missing" in found


def test_retire_by_hand(keyturn, rotation_cloud, vault, name, secret):
    """Old versions of a secret whose versions people make are ended by the same command."""
    path = rotation_cloud.create_secret(f"{name}_BY_HAND", b"canary-1")
    rotation_cloud.add_version(path, b"canary-2")
    keyturn("retire", f"{name}_BY_HAND", "--force")

    by_hand = SecretName(secret.project, f"{name}_BY_HAND")
    assert [True, False] == [version.enabled for version in vault.versions(by_hand)]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rotate", "NOT_THERE"], "says nothing of a rotation of NOT_THERE"),
        (["rotate", "X", "--manifest", "none.yaml"], "cannot be read"),
        (["rotation", "status"], "does not exist"),
    ],
)
def test_what_cannot_be_tried(keyturn, args, said):
    """What cannot be tried is one line that says why, and status 2."""

    assert said in keyturn(*args, status=2)
