"""What the documents say of manifests is what the code does."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from notifier.cli import keyturn
from receiver import OIDC, Manifest, SecretCache
from receiver.manifest.shape import MANIFEST, ROTATION, ROTATOR, SECRET, SERVICE


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/manifest.md").read_text()
README = (ROOT / "README.md").read_text()

OWN = replace(ROTATOR, fields={key: kind for key, kind in ROTATOR.fields.items() if key not in SERVICE.fields})


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("At the top", MANIFEST),
        ("A service", SERVICE),
        ("The rotator", OWN),
        ("A secret", SECRET),
        ("Its rotation", ROTATION),
    ],
)
def test_every_key_is_explained(heading, kind):
    """The tables have each key of the shape, in its order, with its meaning, and say what is needed."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`( \(needed\))? \| .* \| (.*) \|$", section, re.MULTILINE)

    required = () if kind is OWN else kind.required
    assert rows == [(key, " (needed)" * (key in required), part.meaning) for key, part in kind.fields.items()]


@pytest.mark.parametrize("document", [PAGE, README], ids=["manifest.md", "README.md"])
def test_the_manifests_in_the_documents_are_right(document, tmp_path):
    """Word for word they pass the command, and a service and its push check can be made of them."""
    text = re.search(r"^```yaml\n(project:.*?)^```", document, re.DOTALL | re.MULTILINE)[1]
    path = tmp_path / "secrets.yaml"
    path.write_text(text)

    assert 0 == CliRunner().invoke(keyturn, ["manifest", "check", str(path)]).exit_code
    SecretCache.from_manifest(path, service="payments").close()
    OIDC.from_manifest(path, service="payments")


def test_the_commands_of_the_page_are_run(tmp_path, monkeypatch):
    """The three lines of the page, as they stand there."""
    monkeypatch.chdir(tmp_path)
    Path("secrets.yaml").write_text(re.search(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1])
    Path("deploy.sh").write_text("gcloud run deploy payments --set-secrets=API_KEY=API_KEY:latest\n")
    lines = re.search(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1].replace("\\\n", "").splitlines()

    for line in lines:
        arguments = line.partition(">")[0].split()
        assert "keyturn" == arguments[0]
        done = CliRunner().invoke(keyturn, arguments[1:])
        assert 0 == done.exit_code, done.output
    assert ["API_KEY"] == list(Manifest.parse(done.stdout).secrets)


def test_the_payments_platform_is_as_its_document_names_it():
    """57 secrets and 16 services; 45 hot and 12 static; 16 of which it is not said who uses them, with a note."""
    manifest = Manifest.read(ROOT / "examples/payments/secrets.yaml")
    secrets = manifest.secrets.values()
    names = yaml.safe_load((ROOT / "examples/payments/secrets.yaml").read_text())["secrets"]

    assert (57, 57, 16) == (len(secrets), len(names), len(manifest.services))
    assert (45, 12) == tuple(sum(one.mode == mode for one in secrets) for mode in ("hot", "static"))
    assert 16 == sum(not one.used_by and bool(one.note) for one in secrets)
    assert 15 == sum(name.endswith("_QUEUE") for name in names)
    assert all(one.existing and not one.location for one in secrets)
