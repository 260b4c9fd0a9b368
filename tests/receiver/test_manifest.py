"""The manifest: one meaning, every problem with its place, and no value in it."""

import textwrap

import pytest

from receiver import SecretCache
from receiver.manifest import Manifest, ManifestError
from receiver.testing import InMemorySource, rotate


GOOD = """\
project: pgp-live
topic: secret-events
location: europe-west1
services:
  payments:
    service_account: payments@pgp-live.iam.gserviceaccount.com
    push_endpoint: https://payments.example.com/secrets/events
  wallet:
    service_account: wallet@pgp-live.iam.gserviceaccount.com
    events: pull
secrets:
  API_KEY:
    used_by: [payments]
    location: global
    rotation: {period: 90d, next: "2027-01-31T03:00:00Z"}
    overlap: 1h
  LIMITS:
    used_by: [payments, wallet]
    type: json
    pin: 2
  HOST_WALLET_PRIVATE_KEY:
    used_by: [wallet]
    mode: static
    because: a new key is a new address
"""

STATIC = "    mode: static\n    because: a new key is a new address\n"


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


def problems(text):
    with pytest.raises(ManifestError) as raised:
        Manifest.parse(text, source="secrets.yaml")
    return str(raised.value).splitlines()


def test_it_says_what_each_service_uses():
    """Names, durations in seconds, and locations, with the manifest's default where a secret says nothing."""
    manifest = Manifest.parse(GOOD)

    api_key, limits, wallet = manifest.secrets.values()
    assert ["API_KEY", "LIMITS"] == [secret.name for secret in manifest.used_by("payments")]
    assert ("", "europe-west1", 3600, 90 * 86400) == (
        api_key.location,
        limits.location,
        api_key.overlap,
        api_key.rotation.period,
    )
    assert ("static", 2, "json", "pull") == (wallet.mode, limits.pin, limits.type, manifest.services["wallet"].events)
    with pytest.raises(KeyError, match="payments, wallet"):
        manifest.used_by("rates")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("topic: secret-events", "topik: x", ["1:1: the manifest lacks topic", "2:1: unknown key 'topik'; did you"]),
        ("pgp-live\n", "Pgp Live\n", ["1:10: project is not of the form of pgp-live"]),
        ("type: json", "type: jsno", ["19:11: secrets.LIMITS.type must be text or bytes or json; json?"]),
        ("pin: 2", "pin: 0", ["20:10: secrets.LIMITS.pin must be 1 at least"]),
        ("pin: 2", "pin: [1]", ["20:10: secrets.LIMITS.pin must be text, in quotes"]),
        ("[payments, wallet]", "[payments, payments]", ["18:25: secrets.LIMITS.used_by names this twice"]),
        ("[payments, wallet]", "[rates]", ["18:15: there is no service 'rates' in this manifest"]),
        ("[payments, wallet]", "[]", ["18:14: nobody uses LIMITS: name its services, or say in a note why"]),
        ("[payments, wallet]", "payments", ["18:14: secrets.LIMITS.used_by must be all or a list: [payments, wallet]"]),
        ("overlap: 1h", "overlap: 1 hour", ["16:14: secrets.API_KEY.overlap is not of the form of 90d, 12h"]),
        ("period: 90d", "period: 59m", ["15:24: Secret Manager takes rotation periods of an hour to a hundred years"]),
        ("period: 90d", "period: 40000d", ["15:24: Secret Manager takes rotation periods of an hour to a hundred"]),
        ("2027-01-31T", "2027-02-31T", ["15:35: there is no such day or time"]),
        ("period: 90d, ", "", ["15:22: next needs a period"]),
        ('{period: 90d, next: "2027-01-31T03:00:00Z"}', "{}", ["15:15: rotation says nothing: give a period or a"]),
        ("period: 90d,", "period: 90d, settings: {length: 5},", ["15:15: API_KEY needs the", "15:39: settings is"]),
        ("    because: a new key is a new address\n", "", ["22:5: HOST_WALLET_PRIVATE_KEY is static; say"]),
        (STATIC, "", ["22:5: HOST_WALLET_PRIVATE_KEY looks like"]),
        ("    push_endpoint: https://payments.example.com/secrets/events\n", "", ["6:5: payments hears by push"]),
        ("https://payments", "http://payments", ["7:20: services.payments.push_endpoint is not of the form"]),
        ("events: pull", "events: pull\n    platform: cloud-run", ["9:5: wallet runs on Cloud Run, so its location"]),
        ("events: pull", "events: pull\n    run_service: w", ["11:18: run_service is for what runs on Cloud Run"]),
        ("events: pull", "events: pull\n    audience: https://w", ["11:15: wallet hears by pull alone, so nothing is"]),
        ("events: pull", "platform: cloud-run\n    location: europe-west1", ["9:5: wallet has no push_endpoint, and"]),
        ("mode: static", "mode: static\n    fallback: environment", ["24:15: HOST_WALLET_PRIVATE_KEY is static, so"]),
        ("  LIMITS:", "  API_KEY:", ["17:3: this key stands here twice"]),
        ("  LIMITS:", "  LIM ITS:", ["17:3: not a name that secrets can have"]),
        ("mode: static", "mode: [", ["25:1: not YAML: expected ',' or ']'"]),
        ("type: json", "type: *alias", ["not YAML: found undefined alias"]),
        ("type: json", "type: !!binary json", ["19:11: tags (!name) are not used in a manifest"]),
        ("pin: 2", "pin: !!str 2", ["20:10: tags (!name) are not used in a manifest"]),
        ("pin: 2", "pin: !!int '2'", ["20:10: tags (!name) are not used in a manifest"]),
        ("overlap: 1h", "overlap: 010", ["16:14: readers of YAML disagree on what this means; put it in quotes"]),
        ("overlap: 1h", "overlap: 1:30", ["16:14: readers of YAML disagree"]),
        ("overlap: 1h", "overlap: yes", ["16:14: readers of YAML disagree"]),
        ("overlap: 1h", "overlap:", ["16:13: nothing stands here; put it in quotes, or remove the key"]),
        ("  LIMITS:", "  on:", ["17:3: quote this key: readers of YAML disagree on what it means"]),
        ("    overlap: 1h", "    <<: {overlap: 1h}", ["16:5: a key must be text"]),
        ("type: json", "\ttype: json", ["19:5: not YAML: a tab; YAML is indented by spaces"]),
        ("project: pgp", "# x\n%YAML 1.2\n---\nproject: pgp", ["2:1: directives (%NAME) are not used in a manifest"]),
        ("type: json", "note: \u212b", ["19:11: Unicode can compose this text, and Terraform would"]),
        ("type: json", 'note: "A\\u030a"', ["19:11: Unicode can compose this text, and Terraform would"]),
        ("type: json", "type: json\n---\na: b", ["20:1: not YAML: a second document begins here"]),
        ("type: json", "value: 5", ["19:5: a manifest never holds a value; add it with"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(old, new, said):
    """Each problem has a line, a column, and what to do; nothing else is complained of."""
    found = problems(changed(old, new))

    assert len(said) == len(found), found
    for wanted, line in zip(said, found, strict=True):
        assert wanted in line.removeprefix("secrets.yaml:"), line


def test_all_problems_are_said_at_once():
    """One run shows everything, in the order of the file."""
    found = problems(changed("type: json", "typ: json").replace("overlap: 1h", "overlap: soon"))

    assert [16, 19] == [int(line.split(":")[1]) for line in found]


def test_a_file_of_problems_is_not_listed_to_its_end():
    """A hundred are listed, with how many more there are; all are in `problems`."""
    text = GOOD + "".join(f"  BAD {number}: x\n" for number in range(250))
    with pytest.raises(ManifestError, match="and 150 more") as raised:
        Manifest.parse(text)

    assert (250, 101) == (len(raised.value.problems), len(str(raised.value).splitlines()))


@pytest.mark.promise("silent")
@pytest.mark.parametrize(
    "value",
    [
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "AKIAIOSFODNN7EXAMPLE",
        "4f3c2b1a0d9e8f7c6b5a4d3e2f1c0b9a",
        "dGhpcyBpcyBhIHNlY3JldCB2YWx1ZSE1234Zz",
        "-----BEGIN PRIVATE KEY-----",
        "postgres://app:hunter2@db/app",
        "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
    ],
)
def test_what_looks_like_a_value_is_refused_and_not_repeated(value):
    """A value never stands in a manifest, and no error repeats it, wherever it was put."""
    said = problems(changed("a new key is a new address", f'"{value}"'))
    assert ["looks like a secret's value" in line and value not in line for line in said] == [True]

    for elsewhere in (
        changed("json", f'"{value}"'),
        changed("  LIMITS:", f'  "{value}!":'),
        changed("type:", f'"{value}":'),
    ):
        assert value not in "\n".join(problems(elsewhere))


@pytest.mark.parametrize(
    "prose",
    [
        "the wallet's address would change",
        "see docs/HOST_WALLET_PRIVATE_KEY.md and PGP_MICROBATCHPROCESSOR_URL",
        "counted in category 3, not listed in the script create_pgp_live_secrets.sh",
    ],
)
def test_prose_is_not_taken_for_a_value(prose):
    """Reasons in plain words pass, long names in them too."""
    assert (
        prose == Manifest.parse(changed("a new key is a new address", prose)).secrets["HOST_WALLET_PRIVATE_KEY"].because
    )


@pytest.mark.parametrize(
    "text", ["", "---\n", "[]", "a", "\x00", "a: b: c", "{", "- " * 3000, "&a [*a]", "a: &x 1\nb: *x"]
)
def test_what_is_no_manifest_is_refused_with_a_place(text):
    """Bad input never ends in a traceback."""
    assert all(line.startswith("secrets.yaml:") for line in problems(text))


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    """No file, a directory, or something that is not text."""
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "binary.yaml"):
        with pytest.raises(ManifestError, match=rf"{path.name}:1:1: "):
            Manifest.read(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"project: x\nnote: caf\xe9\n", "2:10: is not UTF-8 text"),
        ("project: \u00fcber".encode("utf-16"), "1:1: is not UTF-8 text"),
        (b"#" * 1024 * 1024 + "\u00e9".encode(), "1:1: a manifest has at most 1048576 bytes"),
        (b"project: x\n\x00", "2:1: not YAML: a character that it does not allow"),
    ],
    ids=["latin-1", "utf-16", "large", "nul"],
)
def test_bytes_that_are_no_manifest_are_said_with_their_place(tmp_path, data, said):
    """Another encoding, too much of it, or what is no text at all."""
    path = tmp_path / "secrets.yaml"
    path.write_bytes(data)
    with pytest.raises(ManifestError) as raised:
        Manifest.read(path)

    assert f"{path}:{said}" == str(raised.value)


def test_a_service_takes_its_entries_from_it(tmp_path):
    """`SecretCache.from_manifest` declares what the manifest gives to the service, and nothing else."""
    (tmp_path / "secrets.yaml").write_text(GOOD)
    source = InMemorySource(
        {f"projects/pgp-live/locations/europe-west1/secrets/{n}": "1" for n in ("LIMITS", "HOST_WALLET_PRIVATE_KEY")}
    )
    source.add("projects/pgp-live/locations/europe-west1/secrets/LIMITS", "2")
    cache = SecretCache.from_manifest(
        tmp_path / "secrets.yaml", service="wallet", source=source, run_dir=str(tmp_path), events="push"
    )
    cache.load()

    wallet, limits = cache["HOST_WALLET_PRIVATE_KEY"], cache["LIMITS"]
    rotate(cache, source, wallet.name, "3")

    assert ("1", 2, True) == (wallet.value, limits.value, cache.status()["entries"][1]["static"])
    for name, said in [("API_KEY", "is not declared; there are HOST_WALLET_PRIVATE_KEY, LIMITS"), ("x", "x is not")]:
        with pytest.raises(KeyError, match=said):
            cache[name]
    cache.close()


def test_the_schema_knows_the_same_keys():
    """The JSON Schema for editors names every key, and allows no other."""
    schema = Manifest.schema()
    secret = next(iter(schema["properties"]["secrets"]["patternProperties"].values()))

    everything = {"project", "project_number", "location", "topic", "pusher", "services", "rotator", "secrets"}
    assert everything == set(schema["properties"])
    assert (False, ["used_by"]) == (secret["additionalProperties"], secret["required"])
    assert {"hot", "static"} == set(secret["properties"]["mode"]["enum"])


def test_it_reads_as_people_write_it():
    """Quotes, comments and flow style mean the same."""
    text = textwrap.dedent("""
        # ours
        project: "pgp-live"
        location: global
        topic: 'secret-events'
        services: {payments: {service_account: "p@pgp-live.iam.gserviceaccount.com", events: pull}}
        secrets: {"API_KEY": {used_by: [payments], pin: live, existing: true}}
    """)

    secret = Manifest.parse(text).secrets["API_KEY"]

    assert (("payments",), "live", True, "") == (secret.used_by, secret.pin, secret.existing, secret.location)
