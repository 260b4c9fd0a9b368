"""What the documents show is what happens: every code block runs, every command and setting is compared."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from notifier.local.cloud import SENDER, LocalCloud
from receiver import handler, intake, worker
from receiver.errors import Answer
from receiver.knowledge import SECOND
from receiver.telemetry import Event
from tests.documents import README, ROOT, TEXT


DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_first_screen_shows_the_two_commands():
    """`make demo` and `make test` are what a stranger types."""
    commands = [line for block in blocks(README, "sh") for line in block.splitlines()]

    assert {"make demo", "make test"} <= set(commands)


def test_the_service_of_the_readme_serves_what_secret_manager_holds(tmp_path):
    """The README's service, word for word, starts against the local cloud and sends the key that was added last."""
    service = next(block for block in blocks(README, "python") if "def create_app" in block)
    (tmp_path / "readme_service.py").write_text(service)
    driver = """
import http.server, os, threading
seen = []
class Provider(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.headers["x-api-key"]); self.send_response(200); self.end_headers(); self.wfile.write(b"1.5")
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["RATE_URL"] = f"http://127.0.0.1:{server.server_port}/"
from readme_service import create_app
answer = create_app().test_client().get("/rate")
print(answer.status_code, answer.text, seen == ["demo-key"])
"""
    with LocalCloud(project="pgp-live") as cloud:
        cloud.create_secret("CHANGENOW_API_KEY", b"demo-key\n")
        cloud.create_secret("HOST_WALLET_PRIVATE_KEY", b"wallet")
        environment = {
            **os.environ,
            **cloud.environment(),
            "KEYTURN_RUN_DIR": str(tmp_path / "run"),
            "PUSH_AUDIENCE": "https://service.example/secrets/events",
            "PUSH_SENDER": SENDER,
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
        }
        ran = subprocess.run(
            [sys.executable, "-c", driver], env=environment, capture_output=True, text=True, timeout=25, check=False
        )

    assert ("200 1.5 True", "") == (ran.stdout.strip(), ran.stderr.strip())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_are_python(document):
    """Every Python block parses."""
    for block in blocks(document.read_text(), "python"):
        ast.parse(block)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(document):
    """Every `make` command in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [
        line.partition("#")[0].split()
        for block in blocks(document.read_text(), "sh")
        for line in block.splitlines()
        if line.startswith("make")
    ]
    shown = {word for command in commands for word in command[1:] if "=" not in word}

    assert shown <= targets


def rows(heading):
    """The first cells of the table whose header begins with `heading`."""
    table = TEXT.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [re.findall(r"`([A-Za-z_]+)`", line)[0] for line in table.splitlines()[2:]]


def test_every_log_event_is_explained():
    """The table of events and the code's list of events are the same."""

    assert sorted(get_args(Event)) == sorted(rows("event"))


def test_every_log_event_is_used():
    """No event stands in the list that no code writes."""
    code = "".join(path.read_text() for path in (ROOT / "receiver").rglob("*.py") if path.name != "telemetry.py")

    assert [] == [event for event in get_args(Event) if f'"{event}"' not in code]


def test_every_answer_is_explained():
    """The table of answers says what the code's table says."""
    table = TEXT.split("| answer | status | when |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]

    assert [f"| `{answer.name}` | {answer.status} | {answer.reason} |" for answer in Answer] == table


def test_every_variable_is_explained():
    """The variables that the receiver reads are those of the settings table."""
    code = "".join(path.read_text() for path in (ROOT / "receiver").rglob("*.py"))
    read = set(re.findall(r'"((?:KEYTURN|K|SECRET_MANAGER|PUBSUB|GCE)_[A-Z_]+)"', code))

    assert read == set(rows("variable"))


def test_the_bounds_are_those_of_the_code():
    """Each bound in the settings is the number that the code uses."""
    table = README.split("| bound | seconds | why |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    shown = [float(line.split("|")[2]) for line in table]

    assert [handler.DEADLINE, worker.UPSTREAM, 1.0, worker.CATCH_UP, intake.REDELIVERED_UNTIL / SECOND] == shown


def test_keyturn_dev_prints_an_environment():
    """The command that the README shows prints the variables to use, and ends on a signal."""
    command = next(block for block in blocks(README, "sh") if "keyturn dev" in block).split()
    process = subprocess.Popen(
        [Path(sys.executable).with_name(Path(command[0]).name), *command[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        first = process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=10)

    assert "export " in first
    assert 0 == process.returncode
