"""Random manifests mean the same to services and to Terraform; broken ones get an error with a place."""

import json
import os
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver import Manifest, ManifestError
from receiver.manifest.leaks import looks_like_a_value


ROOT = Path(__file__).parents[2]

PROJECT = "demo-project"
NUMBERS = st.integers(1, 10**15)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
# Names that readers of YAML disagree on are as good as any where they are quoted.
IDS = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True), st.sampled_from(["on", "NO", "010", "1e3"]))
REGIONS = st.sampled_from(["europe-west1", "us-central1", "asia-east2"])
LOCATIONS = st.one_of(st.just("global"), REGIONS)
DURATIONS = st.builds("{}{}".format, st.integers(1, 90), st.sampled_from("hd"))
PROSE = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=15).filter(
    lambda text: text.strip() and unicodedata.is_normalized("NFC", text) and not looks_like_a_value(text)
)
LABEL = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
LABELS = st.dictionaries(LABEL, st.one_of(LABEL, st.just("")), max_size=2)


def optional(**kinds):
    return st.fixed_dictionaries({}, optional=kinds)


@st.composite
def services(draw, name):
    made = {"service_account": f"{name}@{PROJECT}.iam.gserviceaccount.com"}
    platform = draw(st.sampled_from([None, "cloud-run", "gke", "vm", "other"]))
    if platform:
        made["platform"] = platform
    if platform == "cloud-run":
        made["location"] = draw(REGIONS)
        made |= draw(optional(run_service=NAMES))
    events = draw(st.sampled_from([None, "push", "pull", "both"]))
    if events:
        made["events"] = events
    if events != "pull":
        if platform != "cloud-run" or draw(st.booleans()):
            made["push_endpoint"] = f"https://{name}.example.com{draw(st.sampled_from(['', '/', '/secrets/events']))}"
        made |= draw(optional(audience=st.just(f"https://{name}.example.com:8443")))
    return made


ROTATIONS = optional(
    period=DURATIONS,
    grace=DURATIONS,
    destroy_after=DURATIONS,
    retire=st.booleans(),
).filter(bool)


@st.composite
def secrets(draw, users, others):
    made = {"used_by": draw(st.one_of(st.just("all"), st.lists(st.sampled_from(users), min_size=1, unique=True)))}
    made |= draw(
        optional(
            location=LOCATIONS,
            existing=st.booleans(),
            type=st.sampled_from(["text", "bytes", "json"]),
            pin=st.one_of(st.integers(1, 99), st.sampled_from(["latest", "live"])),
            on_revoked=st.sampled_from(["keep", "raise"]),
            # Names may look like signing keys; with both of these any may be hot.
            labels=LABELS,
            annotations=st.dictionaries(st.from_regex(r"[A-Za-z0-9]{1,5}", fullmatch=True), PROSE, max_size=2),
            note=PROSE,
            rotation=ROTATIONS,
        )
    )
    made |= {"because": draw(PROSE), "overlap": draw(DURATIONS)}
    if draw(st.booleans()) and not isinstance(made.get("pin"), int):
        rotation = made.setdefault("rotation", {})
        rotation |= {"rotator": "random", "settings": {"length": draw(NUMBERS), "note": draw(PROSE)}}
        rotation |= draw(optional(uses=st.lists(st.sampled_from(others), min_size=1, unique=True)))
    return made


@st.composite
def manifests(draw):
    """A manifest that is right, as plain values."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    ids = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    made = {
        "project": PROJECT,
        "project_number": draw(NUMBERS),
        "location": draw(LOCATIONS),
        "topic": "secret-events",
        "services": {name: draw(services(name)) for name in names},
        "rotator": {
            "service_account": f"r@{PROJECT}.iam.gserviceaccount.com",
            "push_endpoint": "https://r.example.com",
        },
        "secrets": {name: draw(secrets(names, ids)) for name in ids},
    }
    return made | draw(optional(pusher=st.just("another-pusher")))


def written(plain, style):
    """As people and tools write it: block or flow style, with anything ambiguous in quotes."""
    return yaml.dump(plain, default_flow_style=style, allow_unicode=True, sort_keys=False, Dumper=_Quoting)


class _Quoting(yaml.SafeDumper):
    """Text in double quotes, so that nothing is ambiguous."""

    def ignore_aliases(self, data):
        return True


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def meaning(manifest):
    """What Terraform's submodule says of a manifest, said by Python."""
    named = manifest.services | ({"(rotator)": manifest.rotator} if manifest.rotator else {})
    reached = {
        name: {
            "service_account": one.service_account,
            "platform": one.platform,
            "location": one.location,
            "run_service": one.run_service,
            "events": getattr(one, "events", "push"),
            "push_endpoint": one.push_endpoint,
            "audience": one.audience,
        }
        for name, one in named.items()
    }
    return {
        "project": manifest.project,
        "topic": manifest.topic,
        "pusher": manifest.pusher.partition("@")[0],
        "rotator": reached.pop("(rotator)", None),
        "services": reached,
        "secrets": {
            name: {
                "location": one.location or "global",
                "existing": one.existing,
                "users": sorted(one.used_by),
                "labels": dict(one.labels),
                "annotations": dict(one.annotations),
                "period": one.rotation.period if one.rotation else None,
                "next": one.rotation.next if one.rotation else None,
                "uses": sorted(one.rotation.uses if one.rotation else ()),
                "served": bool(one.rotation and one.rotation.served),
                "retired": one.rotation is None or one.rotation.retire,
            }
            for name, one in manifest.secrets.items()
        },
    }


EVALUATION = f"""\
locals {{
  texts = {{ for name in fileset(path.module, "*.yaml") : name => file("${{path.module}}/${{name}}") }}
  read  = {{ for name, text in local.texts : name => try(yamldecode(text), "unreadable") }}
}}

module "each" {{
  for_each = {{ for name, one in local.read : name => name if can(one.project) }}
  source   = "{ROOT}/terraform/modules/manifest"
  manifest = local.read[each.key]
}}

output "meanings" {{ value = {{ for name, one in module.each : name => one }} }}
"""

#: So many are evaluated in one run: Terraform's time grows faster than their number.
BATCH = 200


def evaluated(folder):
    """What Terraform takes the manifests in a folder for, by file name; those that it cannot read are missing."""
    (folder / "main.tf").write_text(EVALUATION)
    (folder / "terraform.rc").write_text("disable_checkpoint = true\n")
    environment = {"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc")}
    for command in (["init"], ["plan", "-out=plan"], ["show", "-json", "plan"]):
        done = subprocess.run(
            ["terraform", *command], cwd=folder, env=environment, capture_output=True, timeout=600, check=False
        )
        assert 0 == done.returncode, done.stderr.decode()
    return json.loads(done.stdout)["planned_values"]["outputs"]["meanings"]["value"]


#: What somebody may have typed somewhere.
PIECES = ["\t", ":", "- ", "&a ", "*a", "!!str ", "<<: {}", "\x00", "\ufeff", "'", '"', "{", "]", "---\n", "...\n"]
PIECES += [
    "\u00e9",
    "\u212b",
    "A\u030a",
    "  ",
    "\r",
    "\n",
    "\u2028",
    "\x85",
    "#",
    "~",
    ",",
    "0x1",
    "? ",
    "> ",
    "| ",
    "%YAML 1.1\n",
]


def edits(text):
    """A manifest with something cut out, doubled, or put in."""
    place = st.integers(0, len(text))
    return st.one_of(
        st.builds(lambda a, b: text[: min(a, b)] + text[max(a, b) :], place, place),
        st.builds(lambda at, piece: text[:at] + piece + text[at:], place, st.sampled_from(PIECES)),
        st.builds(lambda a, b, at: text[:at] + text[min(a, b) : max(a, b)] + text[at:], place, place, place),
    )


def problems(text):
    """What is wrong with a text; nothing where it is a manifest."""
    try:
        Manifest.parse(text)
    except ManifestError as error:
        return error.problems
    return []


# Its examples are as many as the profile says, 10,000 at most: each is evaluated by Terraform too.
@pytest.mark.timeout(3000)
def test_a_manifest_means_the_same_to_services_and_to_terraform(tmp_path):
    """Locations, users, endpoints, periods and labels: one file, one meaning; also after a slip of the hand."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no `terraform` on PATH")
    expected = {}

    @settings(max_examples=min(10_000, settings().max_examples))
    @given(manifests(), st.sampled_from([False, True, None]), st.data())
    def collect(plain, style, data):
        text = written(plain, style)
        for one in (text, data.draw(edits(text))):
            if one is text or not problems(one):
                expected[one] = meaning(Manifest.parse(one))

    collect()
    texts = list(expected)
    for start in range(0, len(texts), BATCH):
        folder = tmp_path / str(start)
        folder.mkdir()
        batch = {f"{place}.yaml": text for place, text in enumerate(texts[start : start + BATCH])}
        for name, text in batch.items():
            (folder / name).write_bytes(text.encode())
        found = evaluated(folder)
        for name, text in batch.items():
            assert expected[text] == found.get(name), text


@settings(max_examples=settings().max_examples // 4)
@given(manifests(), st.sampled_from([False, True, None]), st.data())
def test_a_broken_manifest_gets_an_error_with_a_place(plain, style, data):
    """Whatever is done to a manifest, it is read, or every problem has a line and a column within it."""
    text = data.draw(edits(written(plain, style)))

    for problem in problems(text):
        assert 1 <= problem.line <= len(text.splitlines()) + 1
        assert problem.column >= 1
        assert problem.text
