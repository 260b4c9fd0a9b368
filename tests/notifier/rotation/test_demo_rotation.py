"""`keyturn demo --rotation`: what it promises, and that nothing of it is left."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from notifier.demo.rotation import cluster


pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module", autouse=True)
def installed():
    try:
        cluster.programs()
    except cluster.NoDatabase as exc:
        pytest.skip(str(exc))


def demo(tmp_path, *args):
    return subprocess.Popen(
        [sys.executable, "-m", "notifier", "demo", "--rotation", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "KEYTURN_FREEZE": "1", "KEYTURN_ROTATION_PAUSED": "1"},
        start_new_session=True,
    )


@pytest.fixture
def directory():
    """A directory that PostgreSQL's user can reach; below pytest's own, any other run of pytest would shut it again."""
    with tempfile.TemporaryDirectory(prefix="keyturn-tests-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


def left(directory):
    """Files, and processes that were started with this directory."""
    mark = f"TMPDIR={directory}".encode()
    environments = [path / "environ" for path in Path("/proc").glob("[0-9]*")]
    found = [str(path) for path in environments if path.exists() and mark in _read(path)]
    return [*map(str, directory.iterdir()), *found]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_its_figures(directory):
    """A schedule fires, the password changes under load, nothing fails, and the old one is refused at the end."""
    process = demo(directory, "--json")
    out, err = process.communicate(timeout=80)

    assert 0 == process.returncode, err
    figures = json.loads(out)
    assert 0 < figures.pop("queries")
    assert {
        "rotations": 1,
        "queries_failed": 0,
        "workers": 2,
        "workers_on_new_role": 2,
        "old_version_state": "DISABLED",
        "old_credential_refused": True,
    } == figures
    assert [] == left(directory)


@pytest.mark.long
def test_nothing_is_left_after_ctrl_c(directory):
    """Interrupted in the middle, it ends everything that it started."""
    process = demo(directory)
    for line in process.stdout:
        if "1. Start" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert 130 == process.returncode, err
    assert [] == left(directory)
