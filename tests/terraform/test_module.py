"""The module's own tests, its README, and what the stand-in refuses as the real providers would."""

import re
from pathlib import Path

import pytest

from .harness import ROOT, VERSIONS, Terraform, needed


# The first test of a machine installs what all need.
pytestmark = pytest.mark.timeout(600)

MODULE = ROOT / "terraform"
DECLARED = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_modules_own_tests_pass(module, attached, version):
    """`terraform test`: with mocked providers, so that whoever has the real ones can run it too."""
    terraform = Terraform(module, **attached(version))
    terraform("init")

    assert " 0 failed" in terraform("test")


def test_the_submodules_own_tests_pass(module, tmp_path):
    """What a manifest means needs no provider, so neither do its tests."""
    needed()
    (tmp_path / "terraform.rc").write_text("disable_checkpoint = true\n")
    terraform = Terraform(module / "modules/manifest", TF_CLI_CONFIG_FILE=str(tmp_path / "terraform.rc"))
    terraform("init")

    assert "7 passed, 0 failed" in terraform("test")


@pytest.mark.parametrize("folder", [MODULE, MODULE / "modules/manifest"], ids=["module", "manifest"])
def test_the_readme_lists_every_variable_and_output(folder):
    """The tables say the name and the description of each, in order, and what is required."""
    assert _declared(folder, "variable") == _listed(folder, "Variables")
    assert _declared(folder, "output") == _listed(folder, "Outputs")


def _declared(folder, kind):
    text = "".join(path.read_text() for path in sorted(Path(folder).glob("*.tf")))
    found = []
    for what, name, body in DECLARED.findall(text):
        if what == kind:
            default = re.search(r"^  default += (.*)$", body, re.MULTILINE)
            description = re.search(r'^  description += "(.*)"$', body, re.MULTILINE)[1]
            found.append((name, default[1] if default else "required" if kind == "variable" else "", description))
    return sorted(found)


def _listed(folder, heading):
    section = (folder / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (?:`?([^|`]*)`? \| )?(.*) \|$", section, re.MULTILINE)
    return sorted((name, default, description) for name, default, description in rows)


MISTAKES = {
    "misspelt argument": ("ack_deadline_seconds", "ack_deadline_second", 'named "ack_deadline_second" is not expected'),
    "missing argument": ("account_id   = module.manifest.pusher", "", 'The argument "account_id" is required'),
    "wrong type": ("= 60\n", '= "soon"\n', "a number is required"),
    "missing block": ("  replication {\n    auto {}\n  }\n", "", "Insufficient replication blocks"),
    "unknown attribute": ("google_service_account.pusher.email", "google_service_account.pusher.mail", "Unsupported"),
    "beta resource, ga provider": ("  provider = google-beta\n", "", "Invalid resource type"),
    "member without its kind": (
        "= google_project_service_identity.pubsub.member",
        '= "service-1@example.com"',
        "expected a match of",
    ),
    "duration without its unit": ('"604800s"', '"604800"', "expected a match of"),
    "contradicting blocks": (
        "    auto {}",
        '    auto {}\n    user_managed {\n      replicas {\n        location = "eu"\n      }\n    }',
        "exactly one of",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_module_would_be_found(attached, tmp_path, mistake):
    """The check checks: each of these, made in the module, is refused."""
    right, wrong, message = MISTAKES[mistake]
    texts = {path: path.read_text() for path in MODULE.glob("*.tf")}
    assert any(right in text for text in texts.values())
    for path, text in texts.items():
        (tmp_path / path.name).write_text(text.replace("./modules", f"{MODULE}/modules").replace(right, wrong))
    terraform = Terraform(tmp_path, **attached())
    terraform("init")

    assert message in terraform("validate", ok=False)
