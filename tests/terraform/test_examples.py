"""The module and its examples against the schemas of three versions of the providers."""

import itertools
import time

import pytest
from click.testing import CliRunner

from notifier.cli import keyturn

from .harness import ROOT, VERSIONS, Terraform, copied, installed, needed, resources


# The first test of a machine installs what all need.
pytestmark = pytest.mark.timeout(600)

MANIFESTS = [*sorted(ROOT.glob("examples/*/secrets.yaml")), *sorted(ROOT.glob("terraform/examples/*/secrets.yaml"))]


#: Every example with every version; in each run of the tests one with the oldest and one with the newest.
CHOSEN = {(VERSIONS[0], "gke"), (VERSIONS[-1], "cloud-run")}
PLANS = [
    pytest.param(*plan, marks=() if plan in CHOSEN else pytest.mark.long)
    for plan in itertools.product(VERSIONS, ["cloud-run", "gke"])
]


@pytest.mark.parametrize(("version", "example"), PLANS)
def test_every_example_is_planned(module, attached, version, example):
    """Each example is valid, and its plan makes or imports something and deletes or replaces nothing."""
    terraform = Terraform(module / "examples" / example, **attached(version))
    terraform("init", "-upgrade")
    plan = terraform.plan()

    assert resources(plan)
    for change in plan["resource_changes"]:
        assert "delete" not in change["change"]["actions"], change["address"]


@pytest.mark.parametrize("version", VERSIONS)
def test_terraform_chooses_and_starts_the_providers_itself(tmp_path, version):
    """With nothing running yet: `init` takes the version that the module allows, `validate` speaks its protocol."""
    terraform = Terraform(copied(tmp_path), TF_CLI_CONFIG_FILE=str(installed(version) / "terraform.rc"))

    assert f"Installed hashicorp/google v{version}." in terraform("init")
    assert "The configuration is valid" in terraform("validate")


def test_a_version_that_was_not_checked_is_refused(tmp_path):
    """The range of versions is one that is checked, so what is outside is not installed."""
    folder = copied(tmp_path)
    versions = folder / "versions.tf"
    versions.write_text(versions.read_text().replace(">= 6.50, < 9.0", ">= 9.0"))
    terraform = Terraform(folder, TF_CLI_CONFIG_FILE=str(installed(VERSIONS[-1]) / "terraform.rc"))

    assert "no available releases match" in terraform("init", ok=False)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.parent.name)
def test_every_examples_manifest_is_right(manifest):
    """The command finds nothing wrong in it, its rotators' settings included."""
    done = CliRunner().invoke(keyturn, ["manifest", "check", str(manifest)])

    assert 0 == done.exit_code, done.output


def test_it_is_in_form(module):
    """`terraform fmt` has nothing to say."""
    needed()

    assert "" == Terraform(module)("fmt", "-check", "-recursive")


def test_the_payments_platform_is_planned_within_a_minute(module, attached):
    """Its 57 existing secrets are imported, none is made, and the plan takes less than a minute."""
    terraform = Terraform(module / "examples/payments", **attached())
    terraform("init")
    began = time.monotonic()
    plan = terraform.plan()
    took = time.monotonic() - began

    secrets = [change for change in plan["resource_changes"] if change["type"] == "google_secret_manager_secret"]
    assert 57 == len([change for change in secrets if "importing" in change["change"]])
    assert {("update",)} == {tuple(change["change"]["actions"]) for change in secrets}
    assert 16 == len([change for change in plan["resource_changes"] if change["name"] == "push"])
    assert took < 60
