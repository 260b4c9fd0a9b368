"""The real `terraform` on a copy of a module, against the stand-in providers."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
#: What is downloaded and derived is kept here between runs.
KEPT = ROOT / ".terraform-check"
#: Seconds for a command; ten times what the slowest takes here.
LONGEST = 100
_TYPES = re.compile(r'^(?:resource|data) "google_\w+"', re.MULTILINE)
VERSIONS = ("6.50", "7.46", "8.7")


def needed():
    """Skip the test, with the reason, where there is no terraform."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no `terraform` on PATH")


@contextlib.contextmanager
def alone():
    """One process at a time: the tests run in several."""
    KEPT.mkdir(exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def python():
    """The interpreter that runs the providers: their library wants an older protobuf than ours."""
    venv = KEPT / "venv"
    ready = venv / "ready"
    if not ready.exists():
        run([sys.executable, "-m", "venv", "--clear", venv], "the stand-in's environment cannot be made")
        pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(
            [*pip, "--requirement", HERE / "stand_in/requirements.txt"],
            "the stand-in's packages cannot be installed (no network?)",
        )
        ready.touch()
    return venv / "bin/python"


def run(command, trouble):
    """Run what installs something; skip the test, with the reason, where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.skip(f"{trouble}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def installed(version):
    """The folder with the mirror of one version, made where it is not there or older than what it is made of."""
    needed()
    sources = "".join(path.read_text() for path in sorted((HERE / "stand_in").glob("*.py")))
    used = {line for path in (ROOT / "terraform").rglob("*.tf") for line in _TYPES.findall(path.read_text())}
    digest = hashlib.sha256(f"{sources}{sorted(used)}".encode()).hexdigest()[:16]
    target = KEPT / version
    with alone():
        if not (target / digest).exists():
            shutil.rmtree(target, ignore_errors=True)
            command = [python(), HERE / "stand_in/install.py", target, KEPT / "wheels", version, ROOT / "terraform"]
            run(command, "the providers' schemas cannot be downloaded (no network?)")
            (target / digest).touch()
    return target


class Providers:
    """Both providers of one version, running for many commands."""

    def __init__(self, version):
        self.mirror = installed(version)
        schemas = sorted(self.mirror.glob("mirror/registry.terraform.io/hashicorp/*/*/*/schema.json"))
        command = [python(), HERE / "stand_in/provider.py", "--all", *schemas]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ready, _, _ = select.select([self._process.stdout], [], [], LONGEST)
        assert ready, "the stand-in did not start"
        self.attached = self._process.stdout.readline().strip()

    def stop(self):
        self._process.stdin.close()
        self._process.wait(LONGEST)
        self._process.stdout.close()


class Terraform:
    """Run commands in a folder.

    Args:
        folder: a root module.
        environment: of every command, beside the path.
    """

    def __init__(self, folder, **environment):
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
        } | environment

    def __call__(self, *command, ok=True, **environment):
        """Run a command and return what it said, without frames and line breaks."""
        done = subprocess.run(
            ["terraform", *command, "-no-color"],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        said = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, said
        return " ".join(said.replace("│", " ").split())

    def plan(self, *options, **environment):
        """The plan, as `terraform show -json` has it."""
        self("plan", "-out=plan", "-input=false", *options, **environment)
        return self.json("show", "-json", "plan")

    def json(self, *command):
        """The JSON that a command prints."""
        done = subprocess.run(
            ["terraform", *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=True,
        )
        return json.loads(done.stdout)


def copied(to):
    """A copy of the module with its examples, and of what they read."""
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "plan")
    shutil.copytree(ROOT / "terraform", to / "terraform", ignore=ignored)
    shutil.copytree(ROOT / "examples", to / "examples", ignore=ignored)
    return to / "terraform"


def resources(plan):
    """What a plan creates, changes or imports: (type, name, key, its values as planned)."""
    found = []
    for change in plan["resource_changes"]:
        if change["change"]["actions"] != ["no-op"]:
            found.append((change["type"], change["name"], change.get("index"), change["change"]["after"]))
    return found
