"""The command, without starting anything."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from notifier.cli import keyturn


ROOT = Path(__file__).parents[2]


def run(*code_or_args, code=False):
    command = [sys.executable, "-c", *code_or_args] if code else [sys.executable, "-m", "notifier", *code_or_args]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_help_imports_nothing_heavy():
    """The command line is there without gRPC, Google's packages or Flask, and without what other commands need."""
    heavy = {"grpc", "google", "flask", "jwt", "rich", "notifier.trace", "notifier.rotation", "notifier.manifest"}
    done = run(f"import sys, notifier.cli; print(sorted({heavy} & set(sys.modules)))", code=True)

    assert "[]\n" == done.stdout


def test_version():
    """The version is one line."""
    done = run("--version")

    assert (0, 1, True) == (done.returncode, done.stdout.count("\n"), done.stdout.startswith("keyturn "))


def test_a_missing_extra_is_named():
    """Where Google's Pub/Sub package is not installed, one line says what to install."""
    done = run(
        "import sys; sys.modules['google.pubsub_v1'] = None; sys.modules['google.cloud.pubsub_v1'] = None\n"
        "from notifier.cli import keyturn; keyturn(['dev'], prog_name='keyturn')",
        code=True,
    )

    assert (2, "Error: needs `pip install 'keyturn[local]'`\n", "") == (done.returncode, done.stderr, done.stdout)


@pytest.mark.parametrize(
    "args",
    [
        ["dev", "--pubsub-port", "70000"],
        ["dev", "--project", "Not/One"],
        ["dev", "--address", "203.0.113.9"],
        ["dev", "--none"],
        ["none"],
    ],
)
def test_bad_arguments(args):
    """Arguments that cannot be are refused with status 2, before anything is started."""
    done = run(*args)

    assert (2, "") == (done.returncode, done.stdout)


def test_the_commands_of_the_readme_are_commands():
    """Every `keyturn` command that the README shows is one, with the options that it shows."""
    shown = re.findall(r"^\.venv/bin/keyturn (.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    for line in shown:
        name, *args = shlex.split(line)
        assert keyturn.get_command(click.Context(keyturn), name).make_context(name, args)

    assert len(shown) > 1
