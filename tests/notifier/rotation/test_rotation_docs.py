"""docs/rotation.md says what the code does."""

import importlib.metadata
import re
from pathlib import Path
from typing import get_args

from notifier.rotation import steps, telemetry
from notifier.rotation.cli import retire, rollback, rotate, rotation
from notifier.rotation.rotations import Rotations, plans_of
from notifier.rotation.rotator import GROUP
from receiver import Manifest
from tests.notifier.rotation.bench import Logs


TEXT = (Path(__file__).parents[3] / "docs" / "rotation.md").read_text()


def column(heading):
    """The first column of the first table below a heading, without backquotes."""
    below = TEXT.split(f"## {heading}\n", 1)[1]
    rows = re.findall(r"^\| `?([a-z][^`|]*?)`? \|", below.split("\n## ", 1)[0], re.MULTILINE)
    return rows[1:]


def test_every_event_is_explained():
    """Each log event has its line, and each line its event."""

    assert sorted(get_args(telemetry.Event)) == sorted(column("Log entries"))


def test_the_steps_are_those_of_the_code():
    """The table of the steps is the code's."""
    table = TEXT.split("## Steps\n\n", 1)[1].split("\n\n", 1)[0]

    assert table in steps.__doc__


def test_every_rotator_is_listed():
    """Each rotator that comes along has its line."""

    assert {entry.name for entry in importlib.metadata.entry_points(group=GROUP)} == set(column("In the manifest"))


def test_the_manifest_is_one_that_works():
    """The example is read, and each rotator takes the settings that it shows."""
    example = TEXT.split("```yaml\n", 1)[1].split("```", 1)[0]
    services = "services: {payments: {service_account: pay@pgp-live.iam.gserviceaccount.com, events: pull}}\n"
    manifest = Manifest.parse(f"project: pgp-live\nlocation: global\ntopic: events\n{services}{example}")

    assert 2 == len(list(Rotations(plans_of(manifest), None, Logs())))


def test_every_command_is_there():
    """Each command of the table is one of the command's."""
    rows = re.findall(r"^\| `keyturn ([a-z ]+?)(?: NAME.*?)?` \|", TEXT, re.MULTILINE)
    known = {"rotate", "retire", "rollback"} | {f"rotation {name}" for name in rotation.commands}

    assert known == set(rows) | {"rotation resume"}


def test_every_option_is_there():
    """Each command's line names the options that it has, and no other; the manifest's is named once for all."""
    commands = {"rotate": rotate, "retire": retire, "rollback": rollback}
    commands |= {f"rotation {name}": command for name, command in rotation.commands.items()}
    named = {
        found[1]: set(re.findall(r"--[a-z-]+", found[0]))
        for found in re.finditer(r"^\| `keyturn ([a-z ]+?)(?: NAME.*?)?` \|.*$", TEXT, re.MULTILINE)
    }

    for name, told in named.items():
        had = {option for one in commands[name].params for option in one.opts if option.startswith("--")}
        assert told == had - {"--manifest"}, name
