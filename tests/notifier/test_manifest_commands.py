"""`keyturn manifest`: problems with their places, a schema, and a first draft without a value in it."""

import json

import pytest
from click.testing import CliRunner

from notifier.cli import keyturn
from receiver import Manifest


GOOD = """\
project: demo-project
location: europe-west1
topic: secret-events
services:
  shop:
    service_account: shop-service@demo-project.iam.gserviceaccount.com
    events: pull
rotator:
  service_account: rotator@demo-project.iam.gserviceaccount.com
  push_endpoint: https://rotator.example.com/rotation/events
secrets:
  API_KEY:
    used_by: [shop]
    rotation:
      rotator: random
      settings: {length: 40}
"""
WANTED = ["--project", "demo-project", "--location", "europe-west1", "--service", "shop"]
WANTED += ["--service-account", "shop-service@demo-project.iam.gserviceaccount.com"]
CANARY = "hunter2-4f3c2b1a0d9e8f7c6b5a"


def run(*arguments, text=None):
    done = CliRunner().invoke(keyturn, ["manifest", *map(str, arguments)], input=text)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_a_right_manifest_passes(tmp_path):
    """It says how much it read, and the exit status is 0."""
    (tmp_path / "secrets.yaml").write_text(GOOD)

    done = run("check", tmp_path / "secrets.yaml")

    assert (0, f"{tmp_path}/secrets.yaml: 1 secrets for 1 services\n") == (done.exit_code, done.output)


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("used_by: [shop]", "used_bye: [shop]", "13:5", "unknown key 'used_bye'; did you mean used_by?"),
        ("rotator: random", "rotator: randon", "15:16", "no rotator 'randon' is installed; there are"),
        ("{length: 40}", "{lenght: 40}", "16:17", "lenght"),
        ("topic: secret-events", "topic: [", "5:7", "not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, old, new, place, said):
    """File, line and column, as editors read them; a rotator's own settings included; the exit status is 1."""
    path = tmp_path / "secrets.yaml"
    path.write_text(GOOD.replace(old, new))

    done = run("check", path)

    assert 1 == done.exit_code
    assert any(line.startswith(f"{path}:{place}: ") and said in line for line in done.output.splitlines()), done.output


HTTP = """\
      rotator: http
      uses: [ADMIN_TOKEN]
      settings:
        administrator: ADMIN_TOKEN
        create:
          url: https://provider.example.com/keys
          value: /data/key
          id: /data/id
          headers: {Authorization: "Bearer {administrator}"}
        verify: {url: https://provider.example.com/me, headers: {Authorization: "Bearer {candidate}"}}
        revoke: {url: "https://provider.example.com/keys/{old.id}", method: DELETE}
  ADMIN_TOKEN: {used_by: []}
"""


def test_a_providers_requests_can_be_described(tmp_path):
    """The generic HTTP rotator takes its settings as a manifest may hold them."""
    (tmp_path / "secrets.yaml").write_text(GOOD[: GOOD.index("      rotator: random")] + HTTP)

    done = run("check", tmp_path / "secrets.yaml")

    assert 0 == done.exit_code, done.output


def test_every_file_is_checked(tmp_path):
    """One that is wrong, or is not there, does not hide the next."""
    (tmp_path / "good.yaml").write_text(GOOD)

    done = run("check", tmp_path / "none.yaml", tmp_path / "good.yaml")

    assert 1 == done.exit_code
    assert "none.yaml:1:1: cannot be read" in done.output
    assert "good.yaml: 1 secrets" in done.output


def test_the_schema_is_json():
    """What is printed is the schema of manifests."""
    assert Manifest.schema() == json.loads(run("schema").output)


FLAGS = """\
gcloud run deploy shop --image x \\
  --set-secrets=API_KEY=API_KEY:latest,/run/key=HOST_WALLET_PRIVATE_KEY:3,HOOK=projects/1/secrets/HOOK_SECRET:live \\
  --set-env-vars=NOTHING=here --update-secrets "API_KEY=API_KEY:latest"
"""
ENVIRONMENT = f"""\
# settings
API_KEY={CANARY}
export DB_PASSWORD="{CANARY}
{CANARY}
TRAP={CANARY}"
SIGNING_KEY=-----BEGIN PRIVATE KEY-----
{CANARY}==
TAIL=
-----END PRIVATE KEY-----
what is this
EMPTY=
"""


def test_flags_become_secrets_that_exist(tmp_path):
    """By their ids and pins; how they are read today is noted, and what looks like a signing key is static."""
    (tmp_path / "deploy.sh").write_text(FLAGS)
    done = run(
        "from-env", tmp_path / "deploy.sh", *WANTED, "--push-endpoint", "https://shop.example.com/secrets/events"
    )

    secrets = Manifest.parse(done.output).secrets

    assert ["API_KEY", "HOST_WALLET_PRIVATE_KEY", "HOOK_SECRET"] == list(secrets)
    assert ["latest", 3, "live"] == [one.pin for one in secrets.values()]
    assert ["hot", "static", "hot"] == [one.mode for one in secrets.values()]
    assert {True} == {one.existing for one in secrets.values()}
    assert "read as /run/key until now" == secrets["HOST_WALLET_PRIVATE_KEY"].note


@pytest.mark.promise("silent")
def test_an_environment_file_gives_its_names_and_no_value():
    """Not of values over several lines either, which may look like names; what was not understood is said by line."""
    done = run("from-env", "-", *WANTED, text=ENVIRONMENT)

    assert 0 == done.exit_code
    assert ["API_KEY", "DB_PASSWORD", "SIGNING_KEY", "EMPTY"] == list(Manifest.parse(done.stdout).secrets)
    assert "-: not understood: line 10\n" == done.stderr
    assert CANARY not in done.output


@pytest.mark.parametrize("text", ["", "nothing here", f"A={CANARY}\x00\xff", f"export {CANARY}", f"{CANARY.upper()}="])
def test_what_gives_no_manifest_is_said(text):
    """Neither a traceback nor a value, whatever the file holds."""
    done = run("from-env", "-", *WANTED, text=text)

    assert done.exit_code in {0, 2}
    assert CANARY not in done.output.lower()


def test_an_argument_that_is_not_of_its_form_is_said():
    """What a person got wrong is said as it is said of a file."""
    done = run("from-env", "-", *WANTED, "--push-endpoint", "http://shop.example.com", text="A_KEY=1\n")

    assert 2 == done.exit_code
    assert "push_endpoint is not of the form of https://" in done.output
