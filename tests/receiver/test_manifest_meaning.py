"""What a manifest means where it says nothing, and what it says of rotation."""

import jsonschema
import pytest
import yaml

from receiver import OIDC, CloudRunIAM, ConfigurationError, SecretCache
from receiver.manifest import Manifest, ManifestError
from receiver.testing import InMemorySource


GOOD = """\
project: pgp-live
project_number: 123456789012
location: europe-west1
topic: secret-events
services:
  payments:
    service_account: payments@pgp-live.iam.gserviceaccount.com
    platform: cloud-run
    location: europe-west4
  rates:
    service_account: rates@pgp-live.iam.gserviceaccount.com
    platform: gke
    events: both
    push_endpoint: https://rates.example.com/hooks/secrets
  worker:
    service_account: worker@pgp-live.iam.gserviceaccount.com
    events: pull
rotator:
  service_account: rotator@pgp-live.iam.gserviceaccount.com
  platform: cloud-run
  location: europe-west4
  at_once: 2
secrets:
  NEW: {used_by: all}
  OLD: {used_by: [worker], existing: true, annotations: {owner: team pay}}
  DB_PASSWORD:
    used_by: [payments]
    rotation:
      period: 30d
      rotator: postgres_alternating
      uses: [DB_ADMIN]
      windows: ["Mon-Fri 02:00-05:00", "Sun 22:00-02:00"]
      settings: {users: [app_a, app_b], host: /cloudsql/x, retries: 3, drain: true, tls: {mode: require}}
      grace: 2h
      destroy_after: 30d
  DB_ADMIN: {used_by: []}
  REMINDER: {used_by: [rates], rotation: {period: 90d, next: "2027-01-31T03:00:00Z"}}
  KEPT: {used_by: [rates], rotation: {grace: 1h}}
"""


def problems(old, new):
    assert old in GOOD
    with pytest.raises(ManifestError) as raised:
        Manifest.parse(GOOD.replace(old, new))
    return [str(problem) for problem in raised.value.problems]


def test_new_secrets_are_where_the_manifest_says_and_existing_ones_stay_global():
    """A location that a secret does not give is the manifest's; one that exists was global before there were others."""
    secrets = Manifest.parse(GOOD).secrets

    assert ("europe-west1", "") == (secrets["NEW"].location, secrets["OLD"].location)
    assert ("payments", "rates", "worker") == secrets["NEW"].used_by
    assert {"owner": "team pay"} == secrets["OLD"].annotations


def test_where_a_service_is_pushed_to_and_with_which_audience():
    """On Cloud Run both are made of the project's number; elsewhere the endpoint is its own audience."""
    manifest = Manifest.parse(GOOD)
    payments, rates, worker = manifest.services.values()

    assert "https://payments-123456789012.europe-west4.run.app/secrets/events" == payments.push_endpoint
    assert "https://payments-123456789012.europe-west4.run.app" == payments.audience
    assert "https://rates.example.com/hooks/secrets" == rates.push_endpoint == rates.audience
    assert (None, None) == (worker.push_endpoint, worker.audience)
    assert "https://keyturn-rotator-123456789012.europe-west4.run.app/rotation/events" == manifest.rotator.push_endpoint
    assert "keyturn-push@pgp-live.iam.gserviceaccount.com" == manifest.pusher


def test_what_a_rotator_is_told():
    """Durations in seconds, windows as they stand, settings as a tree, and whether the rotator is concerned at all."""
    secrets = Manifest.parse(GOOD).secrets
    rotation = secrets["DB_PASSWORD"].rotation

    assert (30 * 86400, 7200, 30 * 86400) == (rotation.period, rotation.grace, rotation.destroy_after)
    assert ("postgres_alternating", ("DB_ADMIN",)) == (rotation.rotator, rotation.uses)
    assert ("Mon-Fri 02:00-05:00", "Sun 22:00-02:00") == rotation.windows
    assert {
        "users": ["app_a", "app_b"],
        "host": "/cloudsql/x",
        "retries": 3,
        "drain": True,
        "tls": {"mode": "require"},
    } == rotation.settings
    served = {name: secret.rotation.served for name, secret in secrets.items() if secret.rotation}
    assert {"DB_PASSWORD": True, "REMINDER": False, "KEPT": True} == served


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("uses: [DB_ADMIN]", "uses: [DB_ADMINS]", "there is no secret 'DB_ADMINS' in this manifest"),
        ("Sun 22:00-02:00", "Sun 22:00-26:00", 'windows.1 is not of the form of "Mon-Fri 02:00-05:00"'),
        ("rotator: postgres_alternating\n      uses", "uses", "is for a rotator, and none is named here"),
        ("used_by: [payments]", "used_by: [payments]\n    pin: 3", "is pinned to a number, so no service would follow"),
        ("used_by: [payments]", "used_by: [payments]\n    mode: static\n    because: x", "is static, so no running"),
        (
            "DB_ADMIN: {used_by: []}",
            "DB_ADMIN: {used_by: []}\n  DB_PASSWORD-candidate: {used_by: all}",
            "candidates in",
        ),
        ("retries: 3", "password: x", "a manifest never holds a value; name the secret that holds it under `uses`"),
        ("retries: 3", "admin: 4f3c2b1a0d9e8f7c6b5a4d3e2f1c0b9a", "looks like a secret's value"),
        ("retries: 3", '"re tries": 3', "not a name that secrets.DB_PASSWORD.rotation.settings can have"),
        ("at_once: 2", "at_once: 0", "rotator.at_once must be 1 at least"),
        ("project_number: 123456789012\n", "", "without project_number its address on Cloud Run is not known"),
    ],
)
def test_what_does_not_fit_together_is_said(old, new, said):
    """Every problem of a rotation is found before anything rotates."""
    assert any(said in problem for problem in problems(old, new)), problems(old, new)


def test_settings_may_say_where_a_value_is_found_and_never_be_one():
    """A provider's requests need places called `value` or `token`; a text there that is no place is refused."""
    create = "create: {url: https://p.example.com/keys, value: /data/key, json: {token: '{old}', x.y: 1}}"
    text = GOOD.replace("rotator: postgres_alternating", "rotator: http")
    settings = text[text.index("{users") : text.index("grace") - 7]
    manifest = Manifest.parse(text.replace(settings, f"{{{create}}}"))

    assert "/data/key" == manifest.secrets["DB_PASSWORD"].rotation.settings["create"]["value"]
    with pytest.raises(ManifestError, match="a manifest never holds a value"):
        Manifest.parse(text.replace(settings, f"{{{create}}}".replace("/data/key", "hunter2")))


def test_a_signing_key_is_hot_only_with_a_reason_and_an_overlap():
    """Tokens that were signed just before must still verify."""
    hot = "NEW: {used_by: all}"
    for more in ("", ", because: tokens live for an hour", ", overlap: 1h"):
        assert ["24:16"] == [line[:5] for line in problems(hot, f"SIGNING_KEY: {{used_by: all{more}}}")]

    whole = GOOD.replace(hot, "SIGNING_KEY: {used_by: all, because: tokens live for an hour, overlap: 1h}")
    assert 3600 == Manifest.parse(whole).secrets["SIGNING_KEY"].overlap


def test_the_schema_takes_what_the_reader_takes():
    """An editor that follows the JSON Schema complains of nothing that is right."""
    jsonschema.validate(yaml.safe_load(GOOD), Manifest.schema())


def test_a_service_declares_what_is_given_to_all(tmp_path):
    """`used_by: all` is every service of the manifest."""
    (tmp_path / "secrets.yaml").write_text(GOOD)
    cache = SecretCache.from_manifest(
        tmp_path / "secrets.yaml", service="worker", source=InMemorySource({}), run_dir=str(tmp_path)
    )

    assert ["NEW", "OLD"] == [cache[name].name.secret for name in ("NEW", "OLD")]
    cache.close()


def test_whose_pushes_a_service_takes_stands_in_the_manifest_too(tmp_path):
    """Audience and sender are those that Terraform gives to the subscription; who hears by pull alone takes none."""
    path = tmp_path / "secrets.yaml"
    path.write_text(GOOD)
    manifest = Manifest.parse(GOOD)

    assert (
        "https://payments-123456789012.europe-west4.run.app",
        "keyturn-push@pgp-live.iam.gserviceaccount.com",
    ) == manifest.expected("payments")
    for auth in (OIDC, CloudRunIAM):
        auth.from_manifest(path, service="payments")
        with pytest.raises(ConfigurationError, match="worker hears by pull alone"):
            auth.from_manifest(path, service="worker")
        with pytest.raises(KeyError, match="payments, rates, worker"):
            auth.from_manifest(path, service="wallet")
